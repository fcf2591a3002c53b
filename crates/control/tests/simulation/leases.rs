//! Who has which port and which address: never two at once, and nobody for a minute after.

use model::{Container, Key};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

const REST: Duration = Duration::from_secs(60);
/// By how much the wall clock may drift while something rests.
const SLACK: Duration = Duration::from_secs(4);
/// How long after a jump of the clock what is written may not know of it: it is compared once a second.
const NOTICED: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Leases {
    holders: BTreeMap<Thing, Key>,
    rests_since: BTreeMap<Thing, Duration>,
    /// When the clock jumped, until what rests is written down by the new one.
    jumped: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Port(u16),
    Address(Ipv4Addr),
}

fn things(container: &Container) -> Vec<Thing> {
    container.ports().map(Thing::Port).chain([Thing::Address(container.address)]).collect()
}

impl Leases {
    /// A new container has what is its.
    pub fn begun(&mut self, container: &Container, now: Duration) -> Vec<String> {
        let mut complaints = Vec::new();
        for thing in things(container) {
            let rested = self.rests_since.get(&thing).map(|since| now - *since);
            if let Some(rested) = rested.filter(|rested| *rested + SLACK < REST) {
                complaints.push(format!("{thing:?} is handed out after {rested:?} of rest"));
            }
            if let Some(other) = self.holders.insert(thing, container.key.clone()) {
                complaints.push(format!("{thing:?} is given to {} and is {other}'s", container.key));
            }
        }
        complaints
    }

    pub fn clock_moved(&mut self, now: Duration) {
        self.jumped = Some(now);
    }

    /// Until when everything rests is on disk.
    pub fn wrote_rests(&mut self, now: Duration) {
        self.jumped = self.jumped.filter(|at| *at + NOTICED >= now);
    }

    /// Whoever comes up reads of rests by the clock of then: what was not written since a jump may be over by now.
    pub fn restarted(&mut self) {
        if self.jumped.take().is_some() {
            self.rests_since.clear();
        }
    }

    /// A container is no more.
    pub fn ended(&mut self, container: &Container, now: Duration) {
        for thing in things(container) {
            self.holders.remove(&thing);
            self.rests_since.insert(thing, now);
        }
    }

    /// A socket was given up. Its container is no more by then.
    pub fn released(&mut self, port: u16) -> Option<String> {
        let holder = self.holders.get(&Thing::Port(port))?;
        Some(format!("port {port} is given up, and {holder} lives"))
    }
}
