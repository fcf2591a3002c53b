//! Port 80 of the gateway's address, for our bridge alone: a chain of our own in the host's nat table, so that whoever
//! holds the host's port 80 goes on unharmed.

use crate::{EngineError, Network, Result};
use std::io;
use tokio::process::Command;

const WAIT_FOR_LOCK: &str = "5";

pub(super) async fn put(network: &Network, from: u16, to: u16) -> Result<()> {
    let chain = chain(network);
    take_back(network).await?;
    iptables(&["-N", &chain]).await?;
    iptables(&[
        "-A",
        &chain,
        "-p",
        "tcp",
        "--dport",
        &from.to_string(),
        "-j",
        "REDIRECT",
        "--to-ports",
        &to.to_string(),
    ])
    .await?;
    let jump = jump(network, &chain);
    iptables(&[&["-I", "PREROUTING"], jump.each_ref().map(String::as_str).as_slice()].concat()).await
}

/// What is not there cannot be taken back, which is no error; whether iptables works at all, the next rule shows.
pub(super) async fn take_back(network: &Network) -> Result<()> {
    let chain = chain(network);
    let jump = jump(network, &chain);
    let jump = jump.each_ref().map(String::as_str);
    while is_done(&[&["-D", "PREROUTING"], jump.as_slice()].concat()).await? {}
    is_done(&["-F", &chain]).await?;
    is_done(&["-X", &chain]).await?;
    Ok(())
}

/// iptables takes names of up to 28 characters.
fn chain(network: &Network) -> String {
    format!("SPIN-DOCKER-{}", network.id.get(..12).unwrap_or(&network.id))
}

fn jump(network: &Network, chain: &str) -> [String; 6] {
    ["-i", &network.bridge, "-d", &network.gateway.to_string(), "-j", chain].map(str::to_owned)
}

async fn iptables(args: &[&str]) -> Result<()> {
    let output = run(args).await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(args, io::Error::other(said)))
}

async fn is_done(args: &[&str]) -> Result<bool> {
    Ok(run(args).await?.status.success())
}

async fn run(args: &[&str]) -> Result<std::process::Output> {
    let mut command = Command::new("iptables");
    command.args(["-w", WAIT_FOR_LOCK, "-t", "nat"]).args(args).kill_on_drop(true);
    command.output().await.map_err(|source| failed(args, source))
}

fn failed(args: &[&str], source: io::Error) -> EngineError {
    EngineError::Host { doing: format!("run iptables -t nat {}", args.join(" ")), source: source.into() }
}
