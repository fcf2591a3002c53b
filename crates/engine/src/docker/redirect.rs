//! Port 80 of the gateway's address, for our bridge alone: a chain of our own in the host's nat table, so that whoever
//! holds the host's port 80 goes on unharmed.

use super::iptables::Table;
use crate::{EngineError, Network, Result};
use rustix::io::Errno;

const NAT: Table = Table("nat");
/// How our chains' names begin; the beginning of a network's id follows.
const CHAIN: &str = "SPIN-DOCKER-";
const ID_DIGITS: usize = 12;

pub(super) async fn put(network: &Network, from: u16, to: u16) -> Result<()> {
    let chain = chain(network);
    remove(network).await?;
    NAT.change(&["-N", &chain]).await?;
    let (from, to) = (from.to_string(), to.to_string());
    NAT.change(&["-A", &chain, "-p", "tcp", "--dport", &from, "-j", "REDIRECT", "--to-ports", &to]).await?;
    let jump = jump(network, &chain);
    NAT.change(&[&["-I", "PREROUTING"], jump.each_ref().map(String::as_str).as_slice()].concat()).await
}

/// The rules of networks that were removed behind our back, while no daemon of theirs ran: a chain named as ours are, and a jump to it from
/// a bridge that is no more.
async fn sweep() -> Result<()> {
    for rule in NAT.rules().await?.lines() {
        let Some((jump, chain)) = of_a_bridge_that_is_gone(rule) else { continue };
        NAT.is_done(&[&["-D"], jump.as_slice()].concat()).await?;
        NAT.is_done(&["-F", chain]).await?;
        NAT.is_done(&["-X", chain]).await?;
    }
    Ok(())
}

/// The rule, and its chain. No more than one such as `jump` makes it will do.
fn of_a_bridge_that_is_gone(rule: &str) -> Option<(Vec<&str>, &str)> {
    let words: Vec<_> = rule.strip_prefix("-A ")?.split(' ').collect();
    let ["PREROUTING", "-d", _, "-i", bridge, "-j", chain] = words[..] else { return None };
    let id = chain.strip_prefix(CHAIN)?;
    let is_ours = id.len() == ID_DIGITS && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_ours && is_gone(bridge)).then_some((words, chain))
}

/// Asked of the kernel: `/sys` may show another network namespace than the one that iptables changes.
fn is_gone(bridge: &str) -> bool {
    use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None);
    any.and_then(|any| name_to_index(any, bridge)) == Err(Errno::NODEV)
}

/// What is not there is no error; what could not be removed is one, and says how that is done by hand.
pub(super) async fn take_back(network: &Network) -> Result<()> {
    // Whoever may not even look has put none: a store of root's, whose rule it would be, opens for root alone.
    if !rustix::process::geteuid().is_root() && NAT.rules().await.is_err() {
        return Ok(());
    }
    let chain = chain(network);
    let failed = |source| EngineError::Host { doing: by_hand(network, &chain), source };
    remove(network).await.map_err(|error| failed(error.into()))?;
    let left = NAT.rules().await.map_err(|error| failed(error.into()))?;
    if left.contains(&chain) { Err(failed("it is still there".into())) } else { Ok(()) }
}

fn by_hand(network: &Network, chain: &str) -> String {
    let jump = jump(network, chain).join(" ");
    let commands = [format!("-D PREROUTING {jump}"), format!("-F {chain}"), format!("-X {chain}")]
        .map(|arguments| format!("iptables -t nat {arguments}"));
    format!("take back the redirect of check-ins (by hand, as root: `{}`)", commands.join("; "))
}

/// As far as it is there, and iptables lets us.
async fn remove(network: &Network) -> Result<()> {
    sweep().await?;
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
    format!("{CHAIN}{}", network.id.get(..ID_DIGITS).unwrap_or(&network.id))
}

fn jump(network: &Network, chain: &str) -> [String; 6] {
    ["-i", &network.bridge, "-d", &network.gateway.to_string(), "-j", chain].map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_of_ours_from_a_bridge_that_is_gone_is_swept_away() {
        let ours = "-A PREROUTING -d 172.30.0.1/32 -i br-0123456789ab -j SPIN-DOCKER-0123456789ab";
        assert_eq!(of_a_bridge_that_is_gone(ours).unwrap().1, "SPIN-DOCKER-0123456789ab");
        for other in [
            ours.replace("br-0123456789ab", "lo"),
            ours.replace("SPIN-DOCKER-0123456789ab", "SPIN-DOCKER-of-somebody"),
            ours.replace("SPIN-DOCKER", "DOCKER"),
            ours.replace("-j", "-p tcp -j"),
            "-P PREROUTING ACCEPT".to_owned(),
        ] {
            assert_eq!(of_a_bridge_that_is_gone(&other), None, "{other}");
        }
    }
}
