//! Who has which host port and which address. Both are handed out next-fit, held for a container's life, and rest after.

use crate::Endpoints;
use ipnet::Ipv4Net;
use model::next_fit::{NextFit, Trail, UsedUp};
use model::{Container, Timestamp};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Both ranges, and the sockets that stand for the ports.
pub(crate) struct Ledger {
    ranges: Mutex<Ranges>,
    /// Where engines publish ports for us.
    published_at: Ipv4Addr,
    endpoints: Arc<dyn Endpoints>,
}

struct Ranges {
    ports: NextFit,
    addresses: NextFit,
    /// Of strangers on our network.
    avoided: BTreeSet<Ipv4Addr>,
}

/// What a new container gets.
#[derive(Debug)]
pub(crate) struct Allotment {
    pub(crate) ports: Vec<u16>,
    /// As many places for the engine to publish them, or none.
    pub(crate) published: Vec<SocketAddrV4>,
    pub(crate) address: Ipv4Addr,
}

/// Why there was nothing to hand out.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The setting's range is used up.
    #[error("endpoint_ports is used up: {0}; delete containers or widen the range")]
    Ports(UsedUp),
    /// The subnet is used up.
    #[error("the subnet is used up: {0}; delete containers or give `subnet` a larger one")]
    Addresses(UsedUp),
    /// The system refuses us a socket, for another reason than that the port is taken.
    #[error("cannot bind port {port}")]
    Bind {
        /// The port.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
}

impl LedgerError {
    /// How long until asking again may help; none where the reason is not that everything is out.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Ports(used_up) | Self::Addresses(used_up) => Some(used_up.retry_after),
            Self::Bind { .. } => None,
        }
    }
}

impl Ledger {
    /// The host addresses of `subnet` but the gateway's, and the ports of the setting.
    pub(crate) fn new(
        ports: &RangeInclusive<u16>,
        subnet: Ipv4Net,
        gateway: Ipv4Addr,
        trails: (Trail, Trail),
        owner: &str,
        endpoints: Arc<dyn Endpoints>,
    ) -> Self {
        let (first, last) = (u32::from(subnet.network()) + 1, u32::from(subnet.broadcast()) - 1);
        let ports = NextFit::new((*ports.start()).into(), (*ports.end()).into(), trails.0);
        let mut addresses = NextFit::new(first, last, trails.1);
        addresses.occupy(gateway.into());
        let ranges = Mutex::new(Ranges { ports, addresses, avoided: BTreeSet::new() });
        Self { ranges, published_at: own_loopback(owner), endpoints }
    }

    /// Enters what a container of the store has.
    pub(crate) fn enter(&self, container: &Container) {
        let mut ranges = self.lock();
        ranges.addresses.occupy(container.address.into());
        container.ports().for_each(|port| ranges.ports.occupy(port.into()));
    }

    /// Hands out and claims `count` ports, and an address; where the engine is to publish them, as many ports for that. All or nothing.
    pub(crate) fn allot(
        &self,
        count: usize,
        publish: bool,
        now: Timestamp,
    ) -> Result<Allotment, LedgerError> {
        let address = self.lock().take_address(now).map_err(LedgerError::Addresses)?;
        let mut allotment = Allotment { ports: Vec::with_capacity(count), published: Vec::new(), address };
        let published = if publish { count } else { 0 };
        match self.fill(&mut allotment, (count, published), now) {
            Ok(()) => Ok(allotment),
            Err(error) => {
                self.undo_allotment(&allotment);
                let had = allotment.ports.len() + allotment.published.len();
                Err(error.for_all(count + published, had))
            }
        }
    }

    fn fill(
        &self,
        allotment: &mut Allotment,
        (claimed, published): (usize, usize),
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        for _ in 0..claimed {
            allotment.ports.push(self.take_port(now, |port| self.endpoints.claim(port))?);
        }
        for _ in 0..published {
            let at = |port| SocketAddrV4::new(self.published_at, port);
            let port = self.take_port(now, |port| self.endpoints.is_publishable(at(port)))?;
            allotment.published.push(at(port));
        }
        Ok(())
    }

    /// Strangers have these on our network at present: they are given to nobody. Replaces what was said before.
    pub(crate) fn avoid(&self, addresses: BTreeSet<Ipv4Addr>) {
        self.lock().avoided = addresses;
    }

    /// Takes back what a container was to have that nobody was told of: nothing of it rests.
    pub(crate) fn undo(&self, container: &Container) {
        self.let_go(container);
        self.lock().undo(container.ports(), container.address);
    }

    /// Nobody was told of it: nothing of it rests.
    fn undo_allotment(&self, allotment: &Allotment) {
        allotment.ports.iter().for_each(|port| self.endpoints.release(*port));
        let published = allotment.published.iter().map(SocketAddrV4::port);
        self.lock().undo(allotment.ports.iter().copied().chain(published), allotment.address);
    }

    /// A port that somebody else holds at the moment is passed over, and rests.
    fn take_port(
        &self,
        now: Timestamp,
        claim: impl Fn(u16) -> std::io::Result<()>,
    ) -> Result<u16, LedgerError> {
        loop {
            let number = self.lock().ports.take(now).map_err(LedgerError::Ports)?;
            let port = u16::try_from(number).expect("the range is of u16");
            match claim(port) {
                Ok(()) => return Ok(port),
                Err(source) if source.kind() == std::io::ErrorKind::AddrInUse => {
                    tracing::debug!(port, "somebody else holds this port; taking the next");
                    self.lock().ports.give_back(number, now);
                }
                Err(source) => {
                    self.lock().ports.give_back(number, now);
                    return Err(LedgerError::Bind { port, source });
                }
            }
        }
    }

    /// Takes back what a container had; it rests from now on. Its sockets stay, until they are let go.
    pub(crate) fn give_back(&self, container: &Container, now: Timestamp) {
        let mut ranges = self.lock();
        container.ports().for_each(|port| ranges.ports.give_back(port.into(), now));
        ranges.addresses.give_back(container.address.into(), now);
    }

    /// Closes the sockets that stand for a container's ports.
    pub(crate) fn let_go(&self, container: &Container) {
        container.host_ports().for_each(|port| self.endpoints.release(port));
    }

    /// Every port and every address that is out, the gateway's among them.
    pub(crate) fn out(&self) -> (BTreeSet<u16>, BTreeSet<Ipv4Addr>) {
        let ranges = self.lock();
        let ports = ranges.ports.out().filter_map(|number| number.try_into().ok());
        (ports.collect(), ranges.addresses.out().map(Ipv4Addr::from).collect())
    }

    /// The wall clock was set, or the host slept: what rests, rests for as long as before.
    pub(crate) fn clock_shifted(&self, by_millis: i64) {
        let mut ranges = self.lock();
        ranges.ports.clock_shifted(by_millis);
        ranges.addresses.clock_shifted(by_millis);
    }

    /// Where the two ranges go on, for the store.
    pub(crate) fn trails(&self) -> crate::store::Change {
        let ranges = self.lock();
        crate::store::Change::Trails { ports: ranges.ports.trail(), addresses: ranges.addresses.trail() }
    }

    fn lock(&self) -> MutexGuard<'_, Ranges> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address of loopback's that is this store's: the kernel takes ports of 127.0.0.1 for connections that go out, and another
/// spin-docker, perhaps another user's, gives out the same ports.
fn own_loopback(owner: &str) -> Ipv4Addr {
    let number = owner.bytes().fold(0_u32, |number, byte| number.wrapping_mul(31).wrapping_add(byte.into()));
    let [second, third, fourth, _] = number.to_le_bytes();
    Ipv4Addr::new(127, 64 + second % 64, third, 1 + fourth % 254)
}

impl Ranges {
    fn undo(&mut self, ports: impl Iterator<Item = u16>, address: Ipv4Addr) {
        ports.for_each(|port| self.ports.undo(port.into()));
        self.addresses.undo(address.into());
    }

    /// One that a stranger has is passed over, and rests.
    fn take_address(&mut self, now: Timestamp) -> Result<Ipv4Addr, UsedUp> {
        loop {
            let number = self.addresses.take(now)?;
            if !self.avoided.contains(&number.into()) {
                return Ok(number.into());
            }
            self.addresses.give_back(number, now);
        }
    }
}

impl LedgerError {
    /// Of `wanted` ports, `had` were out already, and are not any more.
    fn for_all(self, wanted: usize, had: usize) -> Self {
        match self {
            Self::Ports(used_up) => Self::Ports(UsedUp { wanted, used: used_up.used - had, ..used_up }),
            other => other,
        }
    }
}
