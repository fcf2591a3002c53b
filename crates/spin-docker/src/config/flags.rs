//! The flags, made from the table: `--a-b` for the setting `a_b`.

use super::given::{Given, Named, Origin};
use super::table::{Default, Setting, TABLE};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};
use std::path::PathBuf;

/// What the command line says about settings. It has no `Debug`: the password may be in it.
#[derive(Clone)]
pub(crate) struct Flags {
    /// `--config`.
    pub(crate) file: Option<PathBuf>,
    /// The others.
    pub(super) settings: Vec<Named>,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("The settings file [default: /etc/spin-docker/config.toml, if there] [env: SPIN_DOCKER_CONFIG]");
        command.arg(file).next_line_help(true).args(TABLE.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let settings = TABLE.iter().filter_map(|setting| named(setting, matches)).collect();
        Ok(Self { file: matches.get_one("config").cloned(), settings })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flags of `serve` for a command that looks for what is there. It takes all of them, so that both may be given the same,
/// and lists those that matter to it.
#[derive(Clone)]
pub(crate) struct Whereabouts(pub(crate) Flags);

const WHEREABOUTS: [&str; 3] = ["data_dir", "engine_host", "instance"];

impl Args for Whereabouts {
    fn augment_args(command: Command) -> Command {
        let is_other = |arg: &Arg| {
            Setting::known_as(arg.get_id().as_str()).is_some()
                && !WHEREABOUTS.contains(&arg.get_id().as_str())
        };
        Flags::augment_args(command).mut_args(|arg| if is_other(&arg) { arg.hide(true) } else { arg })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Whereabouts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Flags::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.name)
        .long(setting.flag())
        .help_heading(setting.group)
        .help(help(setting))
        .value_name("VALUE");
    match setting.default {
        Default::Switch(_) => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
        }
        Default::List(_) => arg.action(ArgAction::Append).value_name("VALUE,..."),
        _ => arg,
    }
}

fn help(setting: &Setting) -> String {
    let warning = if setting.is_secret() {
        " As a flag, every user of this machine can see it: rather use the file or the environment."
    } else {
        ""
    };
    let default = setting.default_in_words().replace('`', "");
    format!("{}{warning} [default: {default}] [env: {}]", setting.help(), setting.variable())
}

fn named(setting: &Setting, matches: &ArgMatches) -> Option<Named> {
    let values: Vec<&String> = matches.get_many(setting.name)?.collect();
    let given = Given::One(values.into_iter().map(String::as_str).collect::<Vec<_>>().join(","));
    Some(Named { name: setting.name.to_owned(), given, origin: Origin::Flag(setting.flag()) })
}
