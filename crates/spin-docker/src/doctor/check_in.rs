//! The way of check-ins: our bridge redirects a port of its gateway's address to a listener of ours, by iptables, as root.

use super::Check;
use crate::config::Settings;
use crate::serve::check_in_door::whereabouts;
use control::DOOR_PORT;
use engine::Description;
use std::io;
use std::process::Command;

const NAME: &str = "check-in";

pub(super) fn check(settings: &Settings) -> Check {
    if !rustix::process::geteuid().is_root() {
        let finding = format!(
            "without root, port {} of the gateway's address must be bound directly, or check-ins are off",
            settings.check_in_port
        );
        return Check::degraded(
            NAME,
            finding,
            "run the daemon as root, or set `check_in_port` to a port that its user may bind",
        );
    }
    let rules = iptables(&["-t", "nat", "-S", "PREROUTING"]).and_then(|_| iptables(&["-S", "INPUT"]));
    match rules {
        Err(why) => Check::degraded(
            NAME,
            format!(
                "iptables cannot be used ({why}): port {} of the gateway's address is bound directly",
                settings.check_in_port
            ),
            advice(&why),
        ),
        Ok(input) => through(settings.check_in_port, &input),
    }
}

/// Where the engine stands between us and its containers.
pub(super) fn aside(settings: &Settings, engine: &Description) -> Check {
    match whereabouts(settings.check_in_port, engine) {
        Ok((address, url)) => Check::right(
            NAME,
            format!("containers check in at {url}, which is {address} here, each with its token"),
        ),
        Err(error) => Check::degraded(
            NAME,
            format!("check-ins are off: no address of this host can be told that containers reach ({error})"),
            "give this host an address beyond loopback, and a route",
        ),
    }
}

/// The daemon tries the way itself, from inside its first container; here only a wall that is plain to see is told.
fn through(inside: u16, input: &str) -> Check {
    let is_closed = input.lines().any(|rule| matches!(rule.trim(), "-P INPUT DROP" | "-P INPUT REJECT"));
    let is_named = input.contains(&format!("--dport {DOOR_PORT}"));
    if is_closed && !is_named {
        return Check::degraded(
            NAME,
            format!(
                "this host's firewall drops what no rule lets in, and no rule names port {DOOR_PORT}, to which check-ins are redirected"
            ),
            format!(
                "let it in from containers, such as by `iptables -I INPUT -i br-+ -p tcp --dport {DOOR_PORT} -j ACCEPT`"
            ),
        );
    }
    Check::right(NAME, format!("iptables can redirect port {inside} of the gateway's address to {DOOR_PORT}"))
}

/// Lists, and changes nothing. Whoever has iptables' lock is waited for, and not for long.
fn iptables(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("iptables").args(["-w", "5"]).args(arguments).output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")))
    }
}

/// Root may have been left without capabilities, as in a container.
fn advice(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::NotFound => "install iptables",
        _ => "give the daemon CAP_NET_ADMIN, and for iptables of the older kind CAP_NET_RAW",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn only_an_iptables_that_is_missing_is_to_be_installed() {
        assert_eq!(advice(&io::ErrorKind::NotFound.into()), "install iptables");
        let refused = io::Error::other("iptables v1.8.9 (nf_tables): Permission denied (you must be root)");
        assert!(advice(&refused).contains("CAP_NET_ADMIN"));
    }

    #[test]
    fn a_closed_firewall_needs_a_rule_for_our_port() {
        let state = |rules: &str| through(80, rules).state;
        assert_eq!(state("-P INPUT ACCEPT\n"), State::Right);
        assert_eq!(state("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"), State::Degraded);
        assert_eq!(
            state("-P INPUT DROP\n-A INPUT -i br-+ -p tcp -m tcp --dport 48080 -j ACCEPT\n"),
            State::Right
        );
    }
}
