//! What we read from an image: which ports it exposes, and the labels that speak to us.

mod labels;

pub use labels::IdleLabel;

use crate::ready::Ready;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The label by which an image names its application port.
pub const APP_PORT_LABEL: &str = "spin-docker.app_port";
/// The label by which an image names the file that takes authorized SSH keys.
pub const AUTHORIZED_KEYS_LABEL: &str = "spin-docker.authorized_keys";
/// The label by which an image names the command that succeeds once the application can serve.
pub const READY_LABEL: &str = "spin-docker.ready";
/// The port of an image that is SSH by convention.
pub const SSH_PORT: u16 = 22;

/// Far longer than any reference that a registry takes.
const LONGEST_REFERENCE: usize = 512;

/// Whether an image may go by this name, as far as its length, its characters and its parts tell: it becomes part of a path
/// in the engine's API, where `..`, `?` or a line's end would mean something else. The fine print of the grammar is the
/// engine's to judge.
pub fn is_reference(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    (1..=LONGEST_REFERENCE).contains(&name.len())
        && name.chars().all(known)
        && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// The transport of an exposed port. Only TCP is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Forwarded by the gateway.
    Tcp,
    /// Listed, not forwarded.
    Udp,
    /// Listed, not forwarded.
    Sctp,
}

/// One port that an image exposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortSpec {
    /// The number inside the container.
    pub port: u16,
    /// Its transport.
    pub protocol: Protocol,
}

impl PortSpec {
    /// A TCP port.
    pub const fn tcp(port: u16) -> Self {
        Self { port, protocol: Protocol::Tcp }
    }
}

/// An image as the engine describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The engine's id of it.
    pub id: String,
    /// The ports of `EXPOSE`, ascending.
    pub exposed: Vec<PortSpec>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its `HEALTHCHECK`.
    pub health_check: Option<Ready>,
}

impl Image {
    /// The exposed TCP ports, ascending: those that get an endpoint.
    pub fn tcp_ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> =
            self.exposed.iter().filter(|p| p.protocol == Protocol::Tcp).map(|p| p.port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// How to tell from inside that the application can serve: by the command of its label, else by its `HEALTHCHECK`.
    pub fn ready(&self) -> Option<Ready> {
        self.ready_command().or_else(|| self.health_check.clone())
    }

    fn ready_command(&self) -> Option<Ready> {
        let line = self.labels.get(READY_LABEL)?.trim();
        (!line.is_empty()).then(|| Ready::Shell(line.to_owned()))
    }

    /// The port that `app_port` speaks of: the label's, if that port is exposed, else the lowest TCP port other than 22.
    pub fn app_port(&self) -> Option<u16> {
        let ports = self.tcp_ports();
        self.labelled_port().or_else(|| ports.into_iter().find(|port| *port != SSH_PORT))
    }

    fn labelled_port(&self) -> Option<u16> {
        let port = self.labels.get(APP_PORT_LABEL)?.trim().parse().ok()?;
        self.tcp_ports().contains(&port).then_some(port)
    }

    /// The file that takes authorized SSH keys, by its path from the container's root.
    pub fn authorized_keys(&self) -> Option<&str> {
        let path = self.labels.get(AUTHORIZED_KEYS_LABEL)?.trim();
        (path.starts_with('/') && !path.ends_with('/')).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(ports: &[u16], label: Option<&str>) -> Image {
        let labels = label.map(|text| (APP_PORT_LABEL.to_owned(), text.to_owned())).into_iter().collect();
        Image { exposed: ports.iter().copied().map(PortSpec::tcp).collect(), labels, ..Image::default() }
    }

    #[test]
    fn the_app_port_is_the_lowest_other_than_ssh_or_the_labelled_one() {
        let table: &[(&[u16], Option<&str>, Option<u16>)] = &[
            (&[22, 5432], None, Some(5432)),
            (&[9000, 80], None, Some(80)),
            (&[22], None, None),
            (&[80, 9000], Some("9000"), Some(9000)),
            (&[80, 9000], Some("9001"), Some(80)),
            (&[80, 9000], Some("nine"), Some(80)),
            (&[22, 80], Some("22"), Some(22)),
        ];
        for (ports, label, expected) in table {
            assert_eq!(image(ports, *label).app_port(), *expected, "{ports:?} {label:?}");
        }
    }

    #[test]
    fn ready_is_what_its_label_says_before_its_health_check() {
        let check = Ready::Command(vec!["check".into()]);
        let said = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            let exposed = vec![PortSpec::tcp(8080)];
            Image { exposed, labels, health_check: Some(check.clone()), ..Image::default() }.ready()
        };
        assert_eq!(said(&[(READY_LABEL, "a b")]), Some(Ready::Shell("a b".into())));
        assert_eq!(said(&[(READY_LABEL, " ")]), Some(check.clone()));
        assert_eq!(said(&[]), Some(check.clone()));
        assert_eq!(Image::default().ready(), None);
    }

    #[test]
    fn what_no_image_is_called_is_told_from_what_one_may_be() {
        let digest = format!("host:5000/a/b:1.2@sha256:{}", "0".repeat(64));
        for name in ["a", "atbaker/sd-postgres", &digest, &"0".repeat(64), &"a".repeat(512)] {
            assert!(is_reference(name), "{name}");
        }
        let long = "a".repeat(513);
        for name in [
            "", " ", "..", "../etc", "a/../b", "./a", "a b", "a\n", "a\0", "a?x=1", "a#b", "a%2f", "/a",
            "a/", "ü", &long,
        ] {
            assert!(!is_reference(name), "{name:?}");
        }
    }

    #[test]
    fn udp_ports_get_no_endpoint() {
        let mut image = image(&[53], None);
        image.exposed.push(PortSpec { port: 54, protocol: Protocol::Udp });
        assert_eq!(image.tcp_ports(), [53]);
    }
}
