//! What is wrong with the settings: every mistake a line of its own, all of them at once.

use super::given::{Entry, Named, Origin, Wrong};
use super::table::{Setting, TABLE};
use super::values::HIDDEN;
use std::fmt;

/// One mistake, in words.
#[derive(Debug)]
pub(crate) struct Mistake(String);

/// All of them.
#[derive(Debug)]
pub(crate) struct Mistakes(pub(super) Vec<Mistake>);

impl Mistake {
    /// In these words.
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// A setting that applies at once does not go with one that does not.
    pub(super) fn until_a_restart(self) -> Self {
        Self(self.0 + " (of what takes a restart, the old value counts until then)")
    }

    /// No setting has this name.
    pub(super) fn unknown(named: &Named) -> Self {
        let likeness = |setting: &&Setting| strsim::jaro_winkler(setting.name, &named.name);
        let nearest = TABLE.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
        // Of a name that is like none, the nearest would only mislead.
        let hint = nearest
            .filter(|setting| likeness(setting) > 0.8)
            .map(|setting| format!("; the nearest is {}", named.origin.spelling(setting)));
        let subject = named.origin.subject(&named.name);
        Self(format!("{subject} is not a setting{}", hint.unwrap_or_default()))
    }

    /// The same source names the setting twice.
    pub(super) fn twice(setting: &Setting, first: &Origin, named: &Named) -> Self {
        let subject = named.origin.subject(&named.name);
        Self(format!("{subject} sets {} a second time, after {first}", setting.name))
    }

    /// The setting does not take this value.
    pub(super) fn wrong(entry: &Entry, Wrong(what): Wrong) -> Self {
        let subject = entry.origin.subject(entry.setting.name);
        let what = if entry.setting.is_secret() { HIDDEN } else { &what };
        Self(format!("{subject} is {what}; allowed: {}", entry.setting.takes))
    }
}

impl Mistakes {
    /// Each in words.
    pub(crate) fn each(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|Mistake(words)| words.as_str())
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [Mistake(only)] => f.write_str(only),
            several => {
                write!(f, "{} mistakes in the settings", several.len())?;
                several.iter().try_for_each(|Mistake(words)| write!(f, "\n  {words}"))
            }
        }
    }
}

impl std::error::Error for Mistakes {}
