//! The settings file, one TOML table without sections.

use super::given::{Given, Named, Origin};
use super::mistake::Mistake;
use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};

const USUAL: &str = "/etc/spin-docker/config.toml";

/// A settings file that is there.
pub(super) struct File {
    path: PathBuf,
    text: String,
}

impl File {
    /// The one that was named, which must be there; else the usual one, if it is.
    pub(super) fn find(named: Option<PathBuf>) -> Result<Option<Self>, Mistake> {
        let is_optional = named.is_none();
        let path = named.unwrap_or_else(|| USUAL.into());
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Self { path, text })),
            Err(error) if is_optional && error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let advice = match error.kind() {
                    ErrorKind::PermissionDenied => {
                        "; run this as root, or name a file of your own with --config"
                    }
                    _ => "",
                };
                let path = path.display();
                Err(Mistake::new(format!("{path}: the settings file cannot be read: {error}{advice}")))
            }
        }
    }

    /// What it says, in its order; of one that is no TOML, nothing.
    pub(super) fn settings(&self, mistakes: &mut Vec<Mistake>) -> Vec<Named> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if !errors.is_empty() {
            mistakes.extend(errors.iter().map(|error| self.no_toml(error)));
            return Vec::new();
        }
        let mut keys: Vec<_> = table.get_ref().iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        keys.into_iter()
            .map(|(key, value)| Named {
                name: key.get_ref().clone().into_owned(),
                given: given(value.get_ref()),
                origin: self.at(key.span().start),
            })
            .collect()
    }

    fn at(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Origin::File { path: self.path.clone(), line }
    }

    fn no_toml(&self, error: &toml::de::Error) -> Mistake {
        let place = self.at(error.span().map_or(0, |span| span.start));
        Mistake::new(format!("{place}: {}", error.message().replace('\n', ", ")))
    }
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::Array(items) => {
            let members: Option<_> = items.iter().map(|item| scalar(item.get_ref())).collect();
            members.map_or(Given::Other("list of lists or tables"), Given::List)
        }
        other => scalar(other).map_or(Given::Other(other.type_str()), Given::One),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(Cow::to_string(text)),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}
