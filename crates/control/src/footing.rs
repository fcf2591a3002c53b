//! What a store and an engine give whoever begins over them: what was remembered, the network, and the ranges.

use crate::control::LaunchError;
use crate::ledger::Ledger;
use crate::network::Ground;
use crate::store::{Change, Contents, Store};
use crate::{Endpoints, Settings};
use engine::{Engine, NetworkSpec};
use ipnet::Ipv4Net;
use std::sync::Arc;

pub(crate) struct Footing {
    pub(crate) contents: Contents,
    pub(crate) ground: Ground,
    pub(crate) ledger: Ledger,
}

impl Footing {
    /// Refuses settings under which containers of the store would be cut off, or opened.
    pub(crate) async fn take(
        engine: &dyn Engine,
        store: &mut dyn Store,
        endpoints: &Arc<dyn Endpoints>,
        settings: &Settings,
        mint: &dyn Fn() -> String,
    ) -> Result<Self, LaunchError> {
        let mut contents = store.read(mint)?;
        let containers = contents.containers.len();
        keeps_closed(settings.on_loopback, contents.on_loopback, containers)?;
        keeps_subnet(settings.subnet, contents.subnet, containers)?;
        let ground = Ground::prepare(engine, network_spec(settings, &contents)).await?;
        let network = ground.now();
        // Nothing new is not written: a full disk is no reason not to start.
        if contents.subnet != Some(network.subnet) {
            store.commit(&[Change::Subnet(network.subnet)])?;
        }
        if contents.on_loopback != Some(settings.on_loopback) {
            store.commit(&[Change::OnLoopback(settings.on_loopback)])?;
        }
        let trails = (std::mem::take(&mut contents.ports), std::mem::take(&mut contents.addresses));
        let range = &settings.endpoint_ports;
        let ledger = Ledger::new(
            range,
            network.subnet,
            network.gateway,
            trails,
            &contents.owner,
            Arc::clone(endpoints),
        );
        contents.containers.iter().for_each(|container| ledger.enter(container));
        Ok(Self { contents, ground, ledger })
    }
}

/// Containers that were told that they are on loopback stay there.
pub(crate) fn keeps_closed(
    on_loopback: bool,
    had: Option<bool>,
    containers: usize,
) -> Result<(), LaunchError> {
    match (had, on_loopback, containers) {
        (Some(true), false, containers @ 1..) => Err(LaunchError::Opened { containers }),
        _ => Ok(()),
    }
}

/// Containers keep the subnet that their addresses lie in.
pub(crate) fn keeps_subnet(
    wanted: Option<Ipv4Net>,
    had: Option<Ipv4Net>,
    containers: usize,
) -> Result<(), LaunchError> {
    match (wanted, had, containers) {
        (Some(wanted), Some(had), containers @ 1..) if wanted != had => {
            Err(LaunchError::SubnetChanged { wanted, had, containers })
        }
        _ => Ok(()),
    }
}

fn network_spec(settings: &Settings, contents: &Contents) -> NetworkSpec {
    NetworkSpec {
        name: settings.network(),
        instance: settings.instance.clone(),
        owner: contents.owner.clone(),
        subnet: settings.subnet.or(contents.subnet),
    }
}
