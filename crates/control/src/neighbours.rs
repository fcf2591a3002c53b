//! Where the containers of every spin-docker on this engine stand: nobody there is to reach an API or an endpoint, else one
//! container reaches another through the host.

use ipnet::Ipv4Net;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// Their subnets, as of the last comparison with the engine. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Neighbours(Arc<RwLock<Vec<Ipv4Net>>>);

impl Neighbours {
    /// Whether this address is one of theirs.
    pub fn include(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address.to_canonical() else { return false };
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().any(|subnet| subnet.contains(&address))
    }

    pub(crate) fn set(&self, subnets: Vec<Ipv4Net>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = subnets;
    }
}

impl From<Vec<Ipv4Net>> for Neighbours {
    fn from(subnets: Vec<Ipv4Net>) -> Self {
        Self(Arc::new(RwLock::new(subnets)))
    }
}
