//! Whether the API's port can be had, by us or by systemd for us.

use super::Check;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

const NAME: &str = "listen";
/// The package's.
const UNIT: &str = "spin-docker.socket";

pub(super) fn check(listen: SocketAddr) -> Check {
    let error = match TcpListener::bind(listen) {
        Ok(_) => return Check::right(NAME, format!("{listen} is free")),
        Err(error) => error,
    };
    let is_taken = error.kind() == ErrorKind::AddrInUse;
    if is_taken && is_held(&unit(), listen) {
        return Check::right(NAME, format!("{listen} is held by systemd for the daemon ({UNIT})"));
    }
    let advice = if is_taken {
        format!("`ss -ltnp sport = :{}` tells who has it; end that, or set `listen`", listen.port())
    } else {
        "set `listen` to an address of this host and a port that may be bound".to_owned()
    };
    Check::wrong(NAME, format!("{listen} cannot be bound: {error}"), advice)
}

/// What systemd shows of the unit; nothing where there is no systemd.
fn unit() -> String {
    let shown = Command::new("systemctl").args(["show", "--property=ActiveState,Listen", UNIT]).output();
    shown.map(|shown| String::from_utf8_lossy(&shown.stdout).into_owned()).unwrap_or_default()
}

/// Older ones say `ListenStream=ADDRESS`, newer ones `Listen=ADDRESS (Stream)`.
fn is_held(unit: &str, listen: SocketAddr) -> bool {
    let says = |wanted: &str| unit.lines().any(|line| line == wanted);
    let is_there = says(&format!("Listen={listen} (Stream)")) || says(&format!("ListenStream={listen}"));
    is_there && says("ActiveState=active")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_held_for_us_by_an_active_unit_with_our_address() {
        let listen = "127.0.0.1:8080".parse().unwrap();
        assert!(is_held("ActiveState=active\nListen=127.0.0.1:8080 (Stream)\n", listen));
        assert!(is_held("ListenStream=127.0.0.1:8080\nActiveState=active\n", listen));
        for other in [
            "ActiveState=inactive\nListen=127.0.0.1:8080 (Stream)\n",
            "ActiveState=active\nListen=127.0.0.1:80 (Stream)\n",
            "ActiveState=active\n",
            "",
        ] {
            assert!(!is_held(other, listen), "{other}");
        }
    }
}
