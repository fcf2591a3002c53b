//! Our network: a bridge of our own with inter-container traffic off, and a subnet that stays ours.
//!
//! Ours is the one that carries our owner id: a name proves nothing. Containers' addresses are ours to choose only where the subnet was given explicitly. So where none is wanted, the
//! engine chooses once, and the network is made again with what it chose.

use super::containers::endpoint;
use super::{Docker, QUICK, podman};
use crate::{EngineError, INSTANCE_LABEL, Network, NetworkSpec, OWNER_LABEL, Result};
use bollard::models::{
    Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptions};
use ipnet::Ipv4Net;
use model::EngineId;
use std::collections::HashMap;
use std::net::Ipv4Addr;

const NO_ICC: &str = "com.docker.network.bridge.enable_icc";

impl Docker {
    pub(super) async fn find_or_make_network(&self, wanted: &NetworkSpec) -> Result<Network> {
        let network = self.find_or_make(wanted).await?;
        if self.is_podman {
            podman::keep_apart(&network.bridge).await?;
        }
        Ok(network)
    }

    async fn find_or_make(&self, wanted: &NetworkSpec) -> Result<Network> {
        if let Some(found) = self.find_ours(wanted).await? {
            return agree(found, wanted);
        }
        let named = NetworkSpec { name: self.free_name(wanted).await?, ..wanted.clone() };
        match self.make_network(&named).await {
            Ok(made) => Ok(made),
            // Another call of ours may have been quicker.
            Err(error) => match self.find_ours(wanted).await? {
                Some(found) => agree(found, wanted),
                None => Err(error),
            },
        }
    }

    /// Ours is what carries our owner id, whatever it is called.
    pub(super) async fn find_ours(&self, wanted: &NetworkSpec) -> Result<Option<Network>> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{OWNER_LABEL}={}", wanted.owner)])]);
        let options = ListNetworksOptions { filters: Some(filters) };
        let ours = self.call("list its networks", QUICK, self.client.list_networks(Some(options))).await?;
        match ours.into_iter().find_map(|network| network.name) {
            Some(name) => self.network_named(&name).await.map(Some),
            None => Ok(None),
        }
    }

    /// A name that is somebody else's, such as that of a store that was lost, is left to them.
    async fn free_name(&self, wanted: &NetworkSpec) -> Result<String> {
        match self.network_named(&wanted.name).await {
            Err(error) if error.is_not_found() => Ok(wanted.name.clone()),
            Err(error) if error.is_away() => Err(error),
            _ => Ok(format!("{}-{}", wanted.name, wanted.owner.get(..8).unwrap_or(&wanted.owner))),
        }
    }

    /// The engine keeps the id of the network in the container: it is let go of that first.
    pub(super) async fn attach_container(
        &self,
        id: &EngineId,
        network: &str,
        address: Ipv4Addr,
    ) -> Result<()> {
        let leave = NetworkDisconnectRequest { container: id.as_str().to_owned(), force: Some(true) };
        let left = self.client.disconnect_network(network, leave);
        self.call("take the container off its old network", QUICK, left).await?;
        let join = NetworkConnectRequest {
            container: id.as_str().to_owned(),
            endpoint_config: Some(endpoint(Some(address))),
        };
        let joined = self.client.connect_network(network, join);
        self.call("put the container onto the network", QUICK, joined).await
    }

    async fn network_named(&self, name: &str) -> Result<Network> {
        let inspect = self.client.inspect_network(name, None::<InspectNetworkOptions>);
        let found = self.call("inspect the network", QUICK, inspect).await?;
        let id = found.id.unwrap_or_default();
        let config = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let subnet = config.iter().find_map(|config| config.subnet.as_ref()?.parse::<Ipv4Net>().ok());
        let subnet =
            subnet.ok_or_else(|| refused(format!("the network {name} has no IPv4 subnet; remove it")))?;
        let gateway = config.iter().find_map(|config| config.gateway.as_ref()?.parse::<Ipv4Addr>().ok());
        // Without a word, Docker takes the first address of the subnet.
        let gateway = gateway.unwrap_or_else(|| Ipv4Addr::from(u32::from(subnet.network()) + 1));
        let owner = found.labels.unwrap_or_default().remove(OWNER_LABEL).unwrap_or_default();
        let bridge = self.bridge(&id, &owner);
        let icc = found.options.unwrap_or_default().get(NO_ICC).cloned().unwrap_or_default();
        if icc != "false" && !self.is_podman {
            let why =
                format!("the network {name} is there and lets its containers talk to each other; remove it");
            return Err(refused(why));
        }
        let standing = found.containers.unwrap_or_default().into_values();
        let taken = standing.filter_map(|endpoint| endpoint.ipv4_address?.parse::<Ipv4Net>().ok());
        let taken = taken.map(|net| net.addr()).collect();
        Ok(Network { name: name.to_owned(), id, subnet, gateway, bridge, taken })
    }

    fn bridge(&self, id: &str, owner: &str) -> String {
        if self.is_podman { podman::bridge(owner) } else { format!("br-{}", id.get(..12).unwrap_or(id)) }
    }

    async fn make_network(&self, wanted: &NetworkSpec) -> Result<Network> {
        self.create_network(wanted).await?;
        if wanted.subnet.is_some() {
            return self.network_named(&wanted.name).await;
        }
        let chosen = self.network_named(&wanted.name).await?.subnet;
        self.drop_network(&wanted.name).await?;
        self.create_network(&NetworkSpec { subnet: Some(chosen), ..wanted.clone() }).await?;
        self.network_named(&wanted.name).await
    }

    async fn create_network(&self, wanted: &NetworkSpec) -> Result<()> {
        let mut options = HashMap::from([(NO_ICC.to_owned(), "false".to_owned())]);
        if self.is_podman {
            options.insert(podman::BRIDGE_NAME.to_owned(), podman::bridge(&wanted.owner));
        }
        let request = NetworkCreateRequest {
            name: wanted.name.clone(),
            driver: Some("bridge".into()),
            ipam: wanted.subnet.map(ipam),
            options: Some(options),
            labels: Some(HashMap::from([
                (INSTANCE_LABEL.to_owned(), wanted.instance.clone()),
                (OWNER_LABEL.to_owned(), wanted.owner.clone()),
            ])),
            ..Default::default()
        };
        let made = self.call("create the network", QUICK, self.client.create_network(request)).await;
        made.map(drop).map_err(|error| explain(error, wanted))
    }

    pub(super) async fn drop_network(&self, name: &str) -> Result<()> {
        if self.is_podman
            && let Ok(network) = self.network_named(name).await
        {
            podman::forget(&network.bridge).await?;
        }
        match self.call("remove the network", QUICK, self.client.remove_network(name)).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    pub(super) async fn labelled_subnets(&self) -> Result<Vec<Ipv4Net>> {
        let filters = HashMap::from([("label".to_owned(), vec![INSTANCE_LABEL.to_owned()])]);
        let options = ListNetworksOptions { filters: Some(filters) };
        let networks =
            self.call("list its networks", QUICK, self.client.list_networks(Some(options))).await?;
        let configs = networks.into_iter().filter_map(|network| network.ipam?.config).flatten();
        Ok(configs.filter_map(|config| config.subnet?.parse().ok()).collect())
    }
}

fn agree(found: Network, wanted: &NetworkSpec) -> Result<Network> {
    match wanted.subnet {
        Some(subnet) if subnet != found.subnet => Err(refused(format!(
            "the network {} is there with the subnet {}, and {subnet} is wanted; remove the network, or change `subnet`",
            found.name, found.subnet
        ))),
        _ => Ok(found),
    }
}

fn ipam(subnet: Ipv4Net) -> Ipam {
    let gateway = Ipv4Addr::from(u32::from(subnet.network()) + 1);
    let config = IpamConfig {
        subnet: Some(subnet.to_string()),
        gateway: Some(gateway.to_string()),
        ..Default::default()
    };
    Ipam { driver: Some("default".into()), config: Some(vec![config]), options: None }
}

/// Docker's two words about subnets, with what to do.
fn explain(error: EngineError, wanted: &NetworkSpec) -> EngineError {
    let EngineError::Refused { message, .. } = &error else { return error };
    if message.contains("overlaps with") {
        let subnet = wanted.subnet.map_or_else(|| "its own choice".to_owned(), |subnet| subnet.to_string());
        return refused(format!(
            "the subnet {subnet} of the network {} overlaps with another network, of the engine's or of a VPN; set \
             `subnet` to a free one",
            wanted.name
        ));
    }
    if message.contains("non-overlapping") {
        return refused(
            "the engine has no free subnet left; remove networks that nobody uses, or set `subnet`"
                .to_owned(),
        );
    }
    error
}

fn refused(message: String) -> EngineError {
    EngineError::Refused { doing: "give us a network".into(), status: 0, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_words_about_subnets_get_our_advice() {
        let wanted = NetworkSpec {
            name: "n".into(),
            instance: "i".into(),
            owner: "o".into(),
            subnet: Some("10.0.0.0/24".parse().unwrap()),
        };
        for (said, advice) in [
            ("Pool overlaps with other one on this address space", "set `subnet` to a free one"),
            (
                "could not find an available, non-overlapping IPv4 address pool among the defaults",
                "remove networks",
            ),
        ] {
            let error = EngineError::Refused { doing: "x".into(), status: 403, message: said.into() };
            assert!(explain(error, &wanted).to_string().contains(advice));
        }
    }
}
