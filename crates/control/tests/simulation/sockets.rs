//! The host's ports: ours, and those that other programs hold; and the connections through ours. A crash closes them.

use crate::world::{World, lock};
use control::Flow;
use control::{Endpoints, Target};
use model::{Key, Reach};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// What a control is given.
pub struct Sockets(pub Arc<World>);

/// Whose each port is.
#[derive(Default)]
pub struct Host(Mutex<Ports>);

#[derive(Default)]
struct Ports {
    ours: BTreeMap<u16, (Reach, Option<Target>)>,
    others: BTreeSet<u16>,
    visits: Vec<Arc<Visit>>,
    visitors: u64,
}

/// A connection.
pub struct Visit {
    pub number: u64,
    pub port: u16,
    pub of: Key,
    pub flow: Flow,
    pub closed: CancellationToken,
    forwarded: AtomicBool,
}

impl Visit {
    /// From now on it ends with what runs behind it.
    pub fn set_forwarded(&self) {
        self.forwarded.store(true, Ordering::Relaxed);
    }
}

impl Endpoints for Sockets {
    fn claim(&self, port: u16) -> io::Result<()> {
        let mut ports = lock(&self.0.host.0);
        if ports.others.contains(&port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        ports.ours.entry(port).or_insert((Reach::Refuse, None));
        Ok(())
    }

    fn set(&self, port: u16, reach: Reach, target: &Target) -> io::Result<()> {
        self.0.say(format_args!("port {port}: {reach:?}"));
        match lock(&self.0.host.0).ours.get_mut(&port) {
            Some(ours) => *ours = (reach, Some(target.clone())),
            None => self.0.oracle().violated(format!("port {port} is set to {reach:?} and is not ours")),
        }
        // Whatever ran behind it runs no more, and its connections end with it.
        let runs = matches!(reach, Reach::Forward | Reach::Hold);
        self.0.close_visits(|visit| {
            let ends = reach == Reach::Refuse || visit.forwarded.load(Ordering::Relaxed) && !runs;
            visit.port == port && ends
        });
        Ok(())
    }

    fn release(&self, port: u16) {
        self.0.say(format_args!("port {port}: released"));
        self.0.close_visits(|visit| visit.port == port);
        lock(&self.0.host.0).ours.remove(&port);
        let mut oracle = self.0.oracle();
        if let Some(complaint) = oracle.leases.released(port) {
            oracle.violated(complaint);
        }
    }
}

impl World {
    pub fn open_visit(&self, port: u16, of: &Key, target: &Target) -> Arc<Visit> {
        let now = self.now();
        self.oracle().connected(of, now, &self.policies.of(of));
        let mut ports = lock(&self.host.0);
        ports.visitors += 1;
        let visit = Arc::new(Visit {
            number: ports.visitors,
            port,
            of: of.clone(),
            flow: target.traffic.open(([127, 0, 0, 1], port).into(), target.port),
            closed: CancellationToken::new(),
            forwarded: AtomicBool::new(false),
        });
        ports.visits.push(Arc::clone(&visit));
        visit
    }

    /// A client closes the connection that was opened last.
    pub fn close_one_visit(&self) {
        if let Some(last) = lock(&self.host.0).visits.last() {
            last.closed.cancel();
        }
    }

    fn close_visits(&self, which: impl Fn(&Visit) -> bool) {
        lock(&self.host.0).visits.iter().filter(|visit| which(visit)).for_each(|visit| visit.closed.cancel());
    }

    pub fn end_visit(&self, number: u64) {
        let now = self.now();
        let ended: Vec<_> =
            lock(&self.host.0).visits.extract_if(.., |visit| visit.number == number).collect();
        ended.iter().for_each(|visit| self.oracle().disconnected(visit.number, &visit.of, now));
    }
}

impl Host {
    pub fn ours(&self) -> BTreeMap<u16, Reach> {
        lock(&self.0).ours.iter().map(|(port, (reach, _))| (*port, *reach)).collect()
    }

    /// Where connections may be made now, and what they meet.
    pub fn open(&self) -> Vec<(u16, Reach, Target)> {
        let ports = lock(&self.0);
        let open = ports.ours.iter().filter(|(_, (reach, _))| *reach != Reach::Refuse);
        open.filter_map(|(port, (reach, target))| Some((*port, *reach, target.clone()?))).collect()
    }

    /// What a connection to a port of ours meets.
    pub fn reach(&self, port: u16) -> Option<Reach> {
        lock(&self.0).ours.get(&port).map(|(reach, _)| *reach)
    }

    /// Where a port of ours leads.
    pub fn target(&self, port: u16) -> Option<Target> {
        lock(&self.0).ours.get(&port).and_then(|(_, target)| target.clone())
    }

    /// Another program takes this port, if it is free.
    pub fn take_by_another(&self, port: u16) -> bool {
        let mut ports = lock(&self.0);
        !ports.ours.contains_key(&port) && ports.others.insert(port)
    }

    /// Other programs let go of everything.
    pub fn free_others(&self) {
        lock(&self.0).others.clear();
    }

    /// The program ended: its sockets with it.
    pub fn close_ours(&self) {
        let mut ports = lock(&self.0);
        ports.ours.clear();
        ports.visits.clear();
    }
}
