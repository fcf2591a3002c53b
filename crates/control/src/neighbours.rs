//! Where the containers of every spin-docker on this engine stand: nobody there is to reach an API or an endpoint, else one
//! container reaches another through the host.

use ipnet::Ipv4Net;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

/// Their subnets, as of the last comparison with the engine. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Neighbours(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    subnets: Vec<Ipv4Net>,
    /// How often the engine was asked, and which of those answers this is.
    asked: u64,
    answer: u64,
}

impl Neighbours {
    /// Whether this address is one of theirs.
    pub fn include(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address.to_canonical() else { return false };
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.subnets.iter().any(|subnet| subnet.contains(&address))
    }

    /// The engine is about to be asked.
    pub(crate) fn ask(&self) -> u64 {
        let mut known = self.write();
        known.asked += 1;
        known.asked
    }

    /// The answer to what was asked then. One that was overtaken tells old news.
    pub(crate) fn answered(&self, asked: u64, subnets: Vec<Ipv4Net>) {
        let mut known = self.write();
        if asked > known.answer {
            (known.answer, known.subnets) = (asked, subnets);
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Vec<Ipv4Net>> for Neighbours {
    fn from(subnets: Vec<Ipv4Net>) -> Self {
        Self(Arc::new(RwLock::new(Known { subnets, ..Known::default() })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_overtaken_is_old_news() {
        let neighbours = Neighbours::default();
        let (slow, quick) = (neighbours.ask(), neighbours.ask());
        neighbours.answered(quick, vec!["10.1.0.0/24".parse().unwrap()]);
        neighbours.answered(slow, vec![]);
        assert!(neighbours.include([10, 1, 0, 7].into()));
        neighbours.answered(neighbours.ask(), vec![]);
        assert!(!neighbours.include([10, 1, 0, 7].into()));
    }
}
