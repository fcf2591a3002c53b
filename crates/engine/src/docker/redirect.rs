//! Port 80 of the gateway's address, for our bridge alone: a chain of our own in the host's nat table, so that whoever
//! holds the host's port 80 goes on unharmed.

use super::iptables::Table;
use crate::{Network, Result};

const NAT: Table = Table("nat");

pub(super) async fn put(network: &Network, from: u16, to: u16) -> Result<()> {
    let chain = chain(network);
    take_back(network).await?;
    NAT.change(&["-N", &chain]).await?;
    let (from, to) = (from.to_string(), to.to_string());
    NAT.change(&["-A", &chain, "-p", "tcp", "--dport", &from, "-j", "REDIRECT", "--to-ports", &to]).await?;
    let jump = jump(network, &chain);
    NAT.change(&[&["-I", "PREROUTING"], jump.each_ref().map(String::as_str).as_slice()].concat()).await
}

/// What is not there cannot be taken back, which is no error; whether iptables works at all, the next rule shows.
pub(super) async fn take_back(network: &Network) -> Result<()> {
    let chain = chain(network);
    let jump = jump(network, &chain);
    let jump = jump.each_ref().map(String::as_str);
    while NAT.is_done(&[&["-D", "PREROUTING"], jump.as_slice()].concat()).await? {}
    NAT.is_done(&["-F", &chain]).await?;
    NAT.is_done(&["-X", &chain]).await?;
    Ok(())
}

/// iptables takes names of up to 28 characters.
fn chain(network: &Network) -> String {
    format!("SPIN-DOCKER-{}", network.id.get(..12).unwrap_or(&network.id))
}

fn jump(network: &Network, chain: &str) -> [String; 6] {
    ["-i", &network.bridge, "-d", &network.gateway.to_string(), "-j", chain].map(str::to_owned)
}
