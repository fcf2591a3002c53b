//! `config example`: the settings file that the package installs, made from the table. Every setting stands in it as a
//! comment that says its default, so that taking away a `#` changes nothing by itself.

use super::given::Given;
use super::table::{Default, Setting, TABLE};

const PREFACE: &str = "\
# The settings of spin-docker, each with its default. To change one, take away the # before its name. `spin-docker config check` finds
# mistakes. What is marked 'at once' applies on `systemctl reload spin-docker`, the rest on `systemctl restart spin-docker`.
# A password in this file is a reason to keep it from others: mode 0640.
";

/// The whole file.
pub(crate) fn example() -> String {
    let mut file = PREFACE.to_owned();
    let mut group = "";
    for setting in TABLE {
        if group != setting.group {
            file += &format!("\n## {}\n", setting.group);
            group = setting.group;
        }
        file += &entry(setting);
    }
    file
}

fn entry(setting: &Setting) -> String {
    let at_once = if setting.applies_at_once() { " At once." } else { "" };
    let unset = match setting.default {
        Default::Unset(words) => format!(" Not set: {}.", words.replace('`', "")),
        _ => String::new(),
    };
    let help = format!("{} Takes {}.{unset}{at_once}", setting.help(), setting.takes);
    let lines: String = wrapped(&help).iter().map(|line| format!("# {line}\n")).collect();
    format!("\n{lines}#{} = {}\n", setting.name, default(setting).as_toml())
}

fn default(setting: &Setting) -> Given {
    let one = |text: &str| Given::One(text.to_owned());
    match setting.default {
        Default::List(members) => {
            Given::List(members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect())
        }
        Default::Folder(of_root) => one(of_root),
        other => one(other.text()),
    }
}

fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 110;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => word.clone_into(line),
            Some(line) if line.len() + 1 + word.len() <= WIDTH => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, Variables, load};
    use super::*;

    fn shown(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let config = load(Flags { file: Some(path), settings: Vec::new() }, &Variables::none());
        let Ok(config) = config else { panic!("the file has mistakes") };
        let value = |line: &str| line.split("  # ").next().unwrap_or_default().to_owned();
        config
            .show()
            .lines()
            .map(value)
            .filter(|line| !line.starts_with("# data_dir"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn it_loads_as_it_is_and_with_every_line_uncommented_and_says_the_defaults_both_times() {
        let file = example();
        let is_setting = |line: &&str| {
            line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
        };
        let settings: Vec<_> = file.lines().filter(is_setting).map(|line| &line[1..]).collect();
        assert_eq!(settings.len(), TABLE.len());
        let without_folder: Vec<_> =
            settings.into_iter().filter(|line| !line.starts_with("data_dir")).collect();
        assert_eq!(shown(&without_folder.join("\n")), shown(""));
        assert_eq!(shown(&file), shown(""));
    }

    #[test]
    fn the_packaged_one_is_fresh() {
        let packaged = include_str!("../../../../deploy/deb/config.toml");
        assert_eq!(packaged, example(), "run `spin-docker config example >deploy/deb/config.toml`");
    }
}
