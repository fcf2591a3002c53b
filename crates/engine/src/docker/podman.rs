//! What Podman does otherwise than Docker, of which it speaks the language: it takes no order that containers of a network
//! be kept apart, and does not say what the network's bridge is called. So we call it, and keep them apart ourselves.

use super::iptables::Table;
use crate::Result;
use bollard::models::SystemVersion;

/// The option that names a network's bridge.
pub(super) const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// Before any rule of the engine's own, which would let their traffic pass.
const MANGLE: Table = Table("mangle");

pub(super) fn is_podman(said: &SystemVersion) -> bool {
    said.components.iter().flatten().any(|component| component.name == "Podman Engine")
}

/// Of the owner's network; Linux takes up to 15 characters.
pub(super) fn bridge(owner: &str) -> String {
    format!("sd-{}", owner.get(..12).unwrap_or(owner))
}

/// An image's name as a person writes it: Podman says the registry too, or `localhost` where it was made or loaded here.
pub(super) fn short_name(tag: &str) -> &str {
    let ways = ["localhost/", "docker.io/library/", "docker.io/"];
    ways.iter().find_map(|way| tag.strip_prefix(way)).unwrap_or(tag)
}

/// Lets containers on this bridge reach the gateway and the world, and not each other. Rules do not outlive the host's
/// restart: it is said whenever the network is looked for.
pub(super) async fn keep_apart(bridge: &str) -> Result<()> {
    let rule = rule(bridge);
    if MANGLE.is_done(&[&["-C"], rule.as_slice()].concat()).await? {
        return Ok(());
    }
    MANGLE.change(&[&["-I"], rule.as_slice()].concat()).await
}

/// Takes that back, once its network is gone.
pub(super) async fn forget(bridge: &str) -> Result<()> {
    let rule = rule(bridge);
    while MANGLE.is_done(&[&["-D"], rule.as_slice()].concat()).await? {}
    Ok(())
}

fn rule(bridge: &str) -> [&str; 7] {
    ["FORWARD", "-i", bridge, "-o", bridge, "-j", "DROP"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::SystemVersionComponents;

    #[test]
    fn podman_names_itself() {
        let said = |name: &str| SystemVersion {
            components: Some(vec![SystemVersionComponents { name: name.into(), ..Default::default() }]),
            ..Default::default()
        };
        assert!(is_podman(&said("Podman Engine")) && !is_podman(&said("Engine")));
        assert!(!is_podman(&SystemVersion::default()));
    }

    #[test]
    fn images_are_called_as_docker_calls_them() {
        for (said, short) in [
            ("docker.io/library/debian:12", "debian:12"),
            ("docker.io/atbaker/sd-postgres:latest", "atbaker/sd-postgres:latest"),
            ("localhost/mine:1", "mine:1"),
            ("quay.io/a/b:1", "quay.io/a/b:1"),
        ] {
            assert_eq!(short_name(said), short);
        }
    }

    #[test]
    fn a_bridge_has_a_name_that_linux_takes() {
        assert_eq!(bridge("0123456789abcdef"), "sd-0123456789ab");
        assert_eq!(bridge("t-1"), "sd-t-1");
    }
}
