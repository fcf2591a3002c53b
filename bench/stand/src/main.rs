//! Our own program but for its engine: the real server, control, store and gateway over the engine in memory, with as many
//! known containers as are asked for. For measuring alone; nothing of it is in `spin-docker`.
//!
//! It says how far it is in lines of JSON on its output, and ends when its input does.

#[path = "../../../crates/spin-docker/src/serve/by_name.rs"]
mod by_name;
mod events;
mod known;
mod ports;
mod serve;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
struct Cli {
    /// Where the store is.
    #[arg(long)]
    data_dir: PathBuf,
    /// How many containers it knows, all of them running.
    #[arg(long)]
    known: u32,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the containers into a new store.
    Fill,
    /// Serves them, on a free port of 127.0.0.1.
    Serve(serve::Options),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Command::Fill => known::fill(&cli.data_dir, cli.known),
        Command::Serve(options) => {
            // As the program itself with `log = "warn"`: a line for each of so many requests would be measured before all else.
            tracing_subscriber::fmt()
                .with_env_filter("warn")
                .with_ansi(false)
                .with_writer(std::io::stderr)
                .init();
            // As the program itself.
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            runtime.block_on(serve::run(&cli.data_dir, cli.known, options))
        }
    }
}
