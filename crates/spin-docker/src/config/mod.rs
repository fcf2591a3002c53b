//! The settings: from flags, environment, file and defaults, in this order of precedence, to one typed [`Settings`].
//!
//! The table in [`table`] says what there is; the sources only say what they were given. Every value of every source is
//! checked, those too that another one overrules, and every mistake is reported at once.

mod again;
mod agreement;
mod example;
mod file;
mod flags;
mod given;
mod mistake;
mod read;
mod reference;
mod show;
mod table;
mod values;
mod variables;

pub(crate) use example::example;
pub(crate) use flags::{Flags, Whereabouts};
pub(crate) use mistake::Mistakes;
pub(crate) use reference::{default_of, reference};
pub(crate) use table::Settings;
pub(crate) use values::{Environment, LogFormat};
pub(crate) use variables::Variables;

use file::File;
use given::{Entry, Given, Named, Origin};
use mistake::Mistake;
use std::path::PathBuf;
use table::{Default, Setting, TABLE};

/// Settings without a mistake, and where each comes from.
pub(crate) struct Config {
    /// To be used.
    pub(crate) settings: Settings,
    /// What whoever runs the daemon should know.
    pub(crate) notes: Vec<String>,
    /// One a setting.
    entries: Vec<Entry>,
}

/// Reads every source.
pub(crate) fn load(flags: Flags, variables: &Variables) -> Result<Config, Mistakes> {
    let Reading { entries, wrong, mut mistakes, is_legible } = Reading::of(flags, variables);
    let settings = Settings::read(|name| entries.iter().find(|entry| entry.setting.name == name));
    if let (Some(settings), true) = (&settings, is_legible) {
        mistakes.extend(agreement::check(settings, &entries, &wrong));
    }
    match settings {
        Some(settings) if mistakes.is_empty() => {
            let notes = agreement::notes(&settings, &entries);
            Ok(Config { settings, notes, entries })
        }
        _ => Err(Mistakes(mistakes)),
    }
}

/// What was read, from the source that wins downwards.
#[derive(std::default::Default)]
struct Reading {
    /// One a setting: the first right value.
    entries: Vec<Entry>,
    /// The settings that some source gives a wrong value.
    wrong: Vec<&'static str>,
    mistakes: Vec<Mistake>,
    /// Every source could be read, whatever it says.
    is_legible: bool,
}

impl Config {
    fn entry(&self, setting: &Setting) -> &Entry {
        let mut entries = self.entries.iter();
        entries
            .find(|entry| entry.setting.name == setting.name)
            .expect("settings without a mistake are all there")
    }
}

impl Reading {
    fn of(flags: Flags, variables: &Variables) -> Self {
        let mut reading = Self::default();
        let file = reading.file(flags.file, variables);
        let from_file = file.map(|file| file.settings(&mut reading.mistakes)).unwrap_or_default();
        let from_variables = variables.settings(&mut reading.mistakes);
        reading.is_legible = reading.mistakes.is_empty();
        for source in [flags.settings, from_variables, from_file, defaults(variables)] {
            reading.take(source);
        }
        reading
    }

    fn file(&mut self, flag: Option<PathBuf>, variables: &Variables) -> Option<File> {
        let named = flag.or_else(|| variables.get("SPIN_DOCKER_CONFIG").map(PathBuf::from));
        File::find(named).unwrap_or_else(|mistake| {
            self.mistakes.push(mistake);
            None
        })
    }

    fn take(&mut self, source: Vec<Named>) {
        let mut seen: Vec<(&Setting, Origin)> = Vec::new();
        for named in source {
            let Some(setting) = Setting::known_as(&named.name) else {
                self.mistakes.push(Mistake::unknown(&named));
                continue;
            };
            match seen.iter().find(|(other, _)| other.name == setting.name) {
                Some((_, first)) => self.mistakes.push(Mistake::twice(setting, first, &named)),
                None => seen.push((setting, named.origin.clone())),
            }
            self.weigh(Entry { setting, given: named.given, origin: named.origin });
        }
    }

    fn weigh(&mut self, entry: Entry) {
        let name = entry.setting.name;
        if let Err(what) = (entry.setting.check)(&entry.given) {
            self.wrong.push(name);
            self.mistakes.push(Mistake::wrong(&entry, what));
        } else if self.entries.iter().all(|better| better.setting.name != name) {
            self.entries.push(entry);
        }
    }
}

fn defaults(variables: &Variables) -> Vec<Named> {
    let named = |setting: &Setting| Named {
        name: setting.name.to_owned(),
        given: Given::One(default(setting, variables)),
        origin: Origin::Default,
    };
    TABLE.iter().map(named).collect()
}

fn default(setting: &Setting, variables: &Variables) -> String {
    match setting.default {
        Default::Folder(of_root) if rustix::process::geteuid().is_root() => of_root.into(),
        Default::Folder(_) => variables.state_folder().unwrap_or_default(),
        other => other.text().into(),
    }
}
