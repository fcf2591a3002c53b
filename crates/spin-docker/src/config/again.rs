//! The settings, read again while the daemon runs: some apply at once, the others are named and wait for a restart.

use super::given::Entry;
use super::mistake::Mistake;
use super::table::{Setting, Settings, TABLE};
use super::values::HIDDEN;
use super::{Config, Flags, Mistakes, Variables, agreement, load};
use std::fmt;

/// A setting that says something else now.
pub(crate) struct Change {
    /// Which.
    pub(crate) setting: &'static Setting,
    had: Entry,
    has: Entry,
}

impl Config {
    /// Reads every source again. What comes of it has of each setting what is in force from now on: what the sources say of
    /// one that applies at once, and what it was of any other. Sources with a mistake change nothing.
    pub(crate) fn again(&self, flags: Flags, variables: &Variables) -> Result<(Self, Vec<Change>), Mistakes> {
        let read = load(flags, variables)?;
        let in_force =
            |setting: &Setting| if setting.applies_at_once() { &read } else { self }.entry(setting);
        let entries: Vec<Entry> = TABLE.iter().map(in_force).cloned().collect();
        let settings = Settings::read(|name| entries.iter().find(|entry| entry.setting.name == name));
        let settings = settings.expect("what was read without a mistake is read without one again");
        // The password is read anew and the listener is not: together they must be what no start would refuse.
        let mistakes = agreement::check(&settings, &entries, &[]);
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes.into_iter().map(Mistake::until_a_restart).collect()));
        }
        let changes = TABLE.iter().filter_map(|setting| Change::between(setting, self, &read)).collect();
        let notes = agreement::notes(&settings, &entries);
        Ok((Self { settings, notes, entries }, changes))
    }
}

impl Change {
    fn between(setting: &'static Setting, had: &Config, has: &Config) -> Option<Self> {
        let (had, has) = (had.entry(setting).clone(), has.entry(setting).clone());
        (!(setting.is_same)(&had.given, &has.given)).then_some(Self { setting, had, has })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |entry: &Entry| match self.setting {
            setting if setting.is_secret() => HIDDEN.to_owned(),
            setting if setting.is_unset(&entry.given) => "not set".to_owned(),
            _ => entry.given.as_toml(),
        };
        let Self { setting, had, has } = self;
        write!(f, "{} was {} and is {} ({})", setting.name, shown(had), shown(has), has.origin)
    }
}
