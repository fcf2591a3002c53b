//! The command line. What a flag means is said elsewhere: the flags of settings are made from the table of settings.

use crate::config::{Flags, Whereabouts};
use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Containers on request that cost nothing while idle.
#[derive(Parser)]
#[command(name = "spin-docker", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be asked for.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the daemon.
    Serve(Flags),
    /// Look at the settings.
    Config(ConfigArgs),
    /// Thaw containers that are frozen; neither the daemon nor the engine need run.
    ///
    /// Prints a line for each container that was frozen. The exit code is 1 if one could not be thawed, or is not there. A daemon
    /// that runs notices at its next look, and later freezes again what nobody uses. Where `serve` is given flags, give the same
    /// here.
    Thaw(ThawArgs),
    /// Look at this machine: what is right, what is degraded, and what to do.
    ///
    /// Changes nothing; the daemon may run or not. The exit code is 1 if something is wrong, so that spin-docker cannot serve as its settings
    /// say, and 0 otherwise. Where `serve` is given flags, give the same here.
    Doctor(DoctorArgs),
    /// Write the state of `data_dir` to a file, whether the daemon runs or not.
    ///
    /// Holds what spin-docker knows of its containers and its own SSH key: keep it as secret as that. What containers have written is the
    /// engine's, and is not in it.
    Backup(BackupArgs),
    /// Make `data_dir` that of a backup. The daemon must not run.
    ///
    /// A file that is damaged, not ours, or of a later version is refused whole, and so is a `data_dir` whose store has containers. A store
    /// without any, such as the daemon's first start makes, is set aside, and its network removed. Where `serve` is given flags, give the same
    /// here.
    Restore(RestoreArgs),
    /// Remove every container, network and file of ours, for good; the daemon must not run.
    ///
    /// Ours are the containers that the store in `data_dir` knows and that carry its owner id. Images and named volumes stay, and
    /// everything of anybody else's. Without `--yes`, it only says what would go. Where `serve` is given flags, give the same here.
    Purge(PurgeArgs),
    /// Move the containers of the spin-docker of 2014 here, out of its Redis.
    ///
    /// The daemon must not run, and nor should the old program. Redis is only read. A container that is stopped gets a new body with what it has
    /// written, its id, its name and its volumes, and then sleeps here until somebody connects; the old body stays on the engine as NAME-2014.
    /// One that runs is left alone, unless --stop is said. Run it again at will: what is here already is passed over. docs/moving-from-2014.md
    /// says more. The exit code is 1 if a key was damaged or a container could not be moved. Where `serve` is given flags, give the same here.
    ImportRedis(ImportArgs),
    /// Print the completions for a shell.
    Completions {
        /// Whose.
        shell: Shell,
    },
    /// Write the manual pages, one a command.
    Man {
        /// The folder to write them to.
        folder: PathBuf,
    },
    /// Print docs/settings.md.
    #[command(hide = true)]
    SettingsReference,
    /// Print docs/policy.md.
    #[command(hide = true)]
    PolicyReference,
    /// Print docs/problems.md.
    #[command(hide = true)]
    ProblemsReference,
    /// Print docs/events.md.
    #[command(hide = true)]
    EventsReference,
    /// Print docs/metrics.md.
    #[command(hide = true)]
    MetricsReference,
    /// Print docs/api-reference.md.
    #[command(hide = true)]
    ApiReference,
    /// Print docs/openapi.json.
    #[command(hide = true)]
    Openapi,
}

/// `thaw …`.
#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).args(["all", "containers"]))]
pub(crate) struct ThawArgs {
    /// Every container of the store in `data_dir`, and every one that the engine has of this `instance`.
    #[arg(long)]
    pub(crate) all: bool,
    /// The engine's ids of containers, or the beginnings of them.
    #[arg(value_name = "ID")]
    pub(crate) containers: Vec<String>,
    #[command(flatten)]
    pub(crate) settings: Whereabouts,
}

/// `doctor …`.
#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) settings: Whereabouts,
}

/// `backup …`.
#[derive(Args)]
pub(crate) struct BackupArgs {
    /// The file to write.
    pub(crate) file: PathBuf,
    /// Overwrite it, where it is there.
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) settings: Whereabouts,
}

/// `restore …`.
#[derive(Args)]
pub(crate) struct RestoreArgs {
    /// The backup.
    pub(crate) file: PathBuf,
    /// Where `data_dir` has a store with containers, or another SSH key, keep those in `data_dir`'s folder `replaced`.
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) settings: Whereabouts,
}

/// `purge …`.
#[derive(Args)]
pub(crate) struct PurgeArgs {
    /// Do it.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) settings: Whereabouts,
}

/// `import-redis …`.
#[derive(Args)]
pub(crate) struct ImportArgs {
    /// Where the Redis is, such as `redis://127.0.0.1:6379/0`. It may hold a password, which every user of this machine sees in
    /// a command line: rather use the environment.
    #[arg(env = "REDIS_URL", hide_env_values = true)]
    pub(crate) url: String,
    /// Stop those that run, with ten seconds of grace, and move them too.
    #[arg(long)]
    pub(crate) stop: bool,
    #[command(flatten)]
    pub(crate) settings: Whereabouts,
}

/// `config …`.
#[derive(Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What can be asked about settings. `check` and `show` take the flags of `serve`, so that they judge what it would.
#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say `ok`, or every mistake.
    Check(Flags),
    /// Print the settings in effect, as a file, each with where it comes from. Secrets are hidden.
    Show(Flags),
    /// Print a settings file in which every setting stands as a comment, with its default.
    Example,
}
