//! The program. This file only orders: command line, settings, log, runtime, and then the daemon or one of the small
//! commands. Exit codes: 0 done, 1 failed (a mistake in the settings too), 2 not understood.

mod backup;
mod cli;
mod config;
mod doctor;
mod import_redis;
mod pages;
mod purge;
mod serve;
mod telemetry;
mod thaw;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use cli::{Cli, Command, ConfigCommand};
use config::{Config, Flags, Variables};
use std::io::{ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;

/// musl's own takes one lock for everything, which threads wait for. glibc's stays. Not measured against each other.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is gone too, the exit code is all that is left to say it.
            drop(writeln!(stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(flags) => serve(flags),
        Command::Config(args) => match args.command {
            ConfigCommand::Check(flags) => load(flags).and_then(|_| print("ok\n")),
            ConfigCommand::Show(flags) => print(&load(flags)?.show()),
            ConfigCommand::Example => print(&config::example()),
        },
        Command::Thaw(args) => {
            let config = load(args.settings.0)?;
            thaw::run(&config.settings, thaw::Chosen::of(args.all, args.containers))
        }
        Command::Doctor(args) => {
            doctor::run(config::load(args.settings.0, &Variables::of_this_process()), args.json)
        }
        Command::Backup(args) => backup::back_up(&load(args.settings.0)?.settings, &args.file, args.replace),
        Command::Restore(args) => backup::restore(&load(args.settings.0)?.settings, &args.file, args.replace),
        Command::Purge(args) => purge::run(&load(args.settings.0)?.settings, args.yes),
        Command::ImportRedis(args) => {
            import_redis::run(&load(args.settings.0)?.settings, &args.url, args.stop)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "spin-docker", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Man { folder } => clap_mangen::generate_to(Cli::command(), &folder)
            .with_context(|| format!("cannot write manual pages to {}", folder.display())),
        Command::SettingsReference => print(&config::reference()),
        Command::PolicyReference => print(&pages::policy()),
        Command::ProblemsReference => print(&pages::problems()),
        Command::EventsReference => print(&pages::events()),
        Command::MetricsReference => print(&server::metrics_reference()),
        Command::ApiReference => print(&server::api_reference()),
        Command::Openapi => print(&(server::openapi().to_pretty_json()? + "\n")),
    }
}

fn load(flags: Flags) -> anyhow::Result<Config> {
    Ok(config::load(flags, &Variables::of_this_process())?)
}

fn serve(flags: Flags) -> anyhow::Result<()> {
    let passed = serve::Passed::take()?;
    let config = load(flags.clone())?;
    let log = telemetry::begin(&config.settings)?;
    // One thread decides: what supervisors, the engine's events and the store tell each other wakes no other core. Requests and bytes have
    // threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(serve::run(config, flags, log, passed))
}

/// To a reader who went away, as `head` does, nothing more need be said.
fn print(text: &str) -> anyhow::Result<()> {
    match stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
