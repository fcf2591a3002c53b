//! The host's ports: ours, and those that other programs hold; and the connections through ours. A crash closes them.

use crate::world::{World, lock};
use control::Flow;
use control::{Endpoints, Target};
use model::{Key, Reach};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};

/// What a control is given.
pub struct Sockets(pub Arc<World>);

/// Whose each port is.
#[derive(Default)]
pub struct Host(Mutex<Ports>);

#[derive(Default)]
struct Ports {
    ours: BTreeMap<u16, (Reach, Option<Target>)>,
    others: BTreeSet<u16>,
    connections: Vec<Connection>,
}

struct Connection {
    port: u16,
    of: Key,
    _open: Flow,
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
        if reach == Reach::Refuse {
            self.0.disconnect(|connection| connection.port == port);
        }
        Ok(())
    }

    fn release(&self, port: u16) {
        self.0.say(format_args!("port {port}: released"));
        lock(&self.0.host.0).ours.remove(&port);
        let mut oracle = self.0.oracle();
        if let Some(complaint) = oracle.leases.released(port) {
            oracle.violated(complaint);
        }
    }
}

impl World {
    pub fn connect(&self, port: u16, of: &Key, target: &Target) {
        let now = self.now();
        self.oracle().looks.connected(of, now);
        let open = Connection {
            port,
            of: of.clone(),
            _open: target.traffic.open(([127, 0, 0, 1], port).into(), target.address.port()),
        };
        lock(&self.host.0).connections.push(open);
    }

    /// The connection that was opened last closes.
    pub fn disconnect_one(&self) {
        let last = lock(&self.host.0).connections.pop();
        self.closed(last);
    }

    fn disconnect(&self, which: impl Fn(&mut Connection) -> bool) {
        let closed: Vec<_> = lock(&self.host.0).connections.extract_if(.., |open| which(open)).collect();
        self.closed(closed);
    }

    fn closed(&self, connections: impl IntoIterator<Item = Connection>) {
        let now = self.now();
        connections.into_iter().for_each(|open| self.oracle().looks.disconnected(&open.of, now));
    }
}

impl Host {
    pub fn ours(&self) -> BTreeMap<u16, Reach> {
        lock(&self.0).ours.iter().map(|(port, (reach, _))| (*port, *reach)).collect()
    }

    /// Where connections may be made now.
    pub fn open(&self) -> Vec<(u16, Target)> {
        let ports = lock(&self.0);
        let forwarded = ports.ours.iter().filter(|(_, (reach, _))| *reach == Reach::Forward);
        forwarded.filter_map(|(port, (_, target))| Some((*port, target.clone()?))).collect()
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
        ports.connections.clear();
    }
}
