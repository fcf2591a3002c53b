//! `config show`: the settings in effect, each with where it comes from. What it prints is a settings file; secrets and
//! what is not set stand in it as comments.

use super::Config;
use super::given::{Entry, Given};
use super::table::TABLE;
use super::values::HIDDEN;

impl Config {
    /// All of it, by group.
    pub(crate) fn show(&self) -> String {
        let mut page = String::new();
        let mut group = "";
        for setting in TABLE {
            if group != setting.group {
                let gap = if group.is_empty() { "" } else { "\n" };
                page += &format!("{gap}# {}\n", setting.group);
                group = setting.group;
            }
            page += &line(self.entry(setting));
        }
        page
    }
}

fn line(Entry { setting, given, origin }: &Entry) -> String {
    let name = setting.name;
    if setting.is_secret() {
        format!("# {name} = \"{HIDDEN}\"  # {origin}\n")
    } else if setting.is_unset(given) {
        format!("# {name} is not set: {}  # {origin}\n", setting.default_in_words())
    } else if let (true, Ok(members)) = (setting.is_list(), given.members()) {
        let members = members.into_iter().map(str::to_owned).collect();
        format!("{name} = {}  # {origin}\n", Given::List(members).as_toml())
    } else {
        format!("{name} = {}  # {origin}\n", given.as_toml())
    }
}
