//! A value as somebody gave it, and where: what the sources have in common. Nothing here knows what a setting takes.

use super::table::Setting;
use std::fmt;
use std::path::PathBuf;

/// A value, not read yet. It has no `Debug`, since it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// One value; of a list, its members with commas between.
    One(String),
    /// The members of a list.
    List(Vec<String>),
    /// What no setting is, such as a table.
    Other(&'static str),
}

/// What of a value is not what the setting takes, fit to be shown.
pub(crate) struct Wrong(pub(crate) String);

/// Where a value comes from. Those that win come last.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The table.
    Default,
    /// The settings file.
    File {
        /// As it was named.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// This environment variable.
    Variable(String),
    /// This flag, without the dashes.
    Flag(String),
}

/// A value under the name that the source has for it.
#[derive(Clone)]
pub(crate) struct Named {
    /// As the table would spell it, if it knew it.
    pub(crate) name: String,
    /// Its value.
    pub(crate) given: Given,
    /// Where.
    pub(crate) origin: Origin,
}

/// A setting's value.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Whose.
    pub(crate) setting: &'static Setting,
    /// Its value.
    pub(crate) given: Given,
    /// Where.
    pub(crate) origin: Origin,
}

impl Given {
    /// As it would stand in the file. A value that is not set is an empty text.
    pub(crate) fn as_toml(&self) -> String {
        match self {
            Self::One(text) => literal(text),
            Self::List(items) => toml::Value::from(items.clone()).to_string(),
            Self::Other(kind) => format!("of the type {kind}"),
        }
    }

    /// Of a list, its members, however they were given.
    pub(crate) fn members(&self) -> Result<Vec<&str>, Wrong> {
        match self {
            Self::One(text) => Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
            Self::List(items) => Ok(items.iter().map(|item| item.trim()).collect()),
            Self::Other(_) => Err(Wrong(self.as_toml())),
        }
    }
}

/// Numbers and booleans stand bare.
fn literal(text: &str) -> String {
    let is_number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    if is_number || matches!(text, "true" | "false") { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

impl Wrong {
    /// This text; of a long one its beginning, since it may be a private key in the wrong place.
    pub(crate) fn text(text: &str) -> Self {
        const SHOWN: usize = 40;
        let line = text.lines().next().unwrap_or_default();
        let start: String = line.chars().take(SHOWN).collect();
        let more = if start == text { "" } else { "..." };
        Self(literal(&format!("{start}{more}")))
    }
}

impl Origin {
    /// How a message names a setting that stands here.
    pub(crate) fn subject(&self, name: &str) -> String {
        match self {
            Self::Default => format!("the default of {name}"),
            Self::File { .. } => format!("{self}: {name}"),
            Self::Variable(_) | Self::Flag(_) => self.to_string(),
        }
    }

    /// How a setting is spelt in this source.
    pub(crate) fn spelling(&self, setting: &Setting) -> String {
        match self {
            Self::Default | Self::File { .. } => setting.name.to_owned(),
            Self::Variable(_) => setting.variable(),
            Self::Flag(_) => format!("--{}", setting.flag()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}
