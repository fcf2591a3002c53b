//! The network that our containers stand on. `docker network prune` takes it as soon as nobody on it runs: it is made again
//! with the subnet that their addresses lie in, and a container that still names the old one is put onto the new one.

use crate::control::Shared;
use engine::{Engine, EngineError, Network, NetworkSpec};
use model::EngineId;
use std::net::Ipv4Addr;
use std::sync::{PoisonError, RwLock};

/// What it should be, and what it is.
#[derive(Debug)]
pub(crate) struct Ground {
    spec: NetworkSpec,
    now: RwLock<Network>,
}

impl Ground {
    /// Finds it or makes it. From now on its subnet is fixed.
    pub(crate) async fn prepare(engine: &dyn Engine, spec: NetworkSpec) -> Result<Self, EngineError> {
        let network = engine.network(&spec).await?;
        if network.name != spec.name {
            tracing::warn!(name = %spec.name, ours = %network.name,
                "the network of this instance's name belongs to another spin-docker, or to none; it is left alone");
        }
        let spec = NetworkSpec { subnet: Some(network.subnet), ..spec };
        Ok(Self { spec, now: RwLock::new(network) })
    }

    /// As it was last seen.
    pub(crate) fn now(&self) -> Network {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes sure that it is there, and that the ledger passes over whatever of somebody else's stands on it.
pub(crate) async fn restore(shared: &Shared) -> Result<Network, EngineError> {
    let found = shared.engine.network(&shared.ground.spec).await?;
    let before = std::mem::replace(
        &mut *shared.ground.now.write().unwrap_or_else(PoisonError::into_inner),
        found.clone(),
    );
    if before.id != found.id {
        tracing::warn!(network = %found.name, subnet = %found.subnet, "the network was gone, and is made again");
    }
    if let Err(error) = shared.keep_redirect().await {
        tracing::warn!(error = %crate::chain(&error), "check-ins are off: the redirect is not on the new network yet; trying again");
        shared.reconciler.networks.notify_one();
    }
    Ok(found)
}

/// Puts a body whose network is gone onto the one that is there instead.
pub(crate) async fn attach(shared: &Shared, body: &EngineId, address: Ipv4Addr) -> Result<(), EngineError> {
    let network = restore(shared).await?;
    shared.engine.attach(body, &network.name, address).await
}
