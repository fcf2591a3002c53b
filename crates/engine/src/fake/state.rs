//! What the engine in memory keeps.

use super::{Call, SUBNET};
use crate::{
    ContainerSpec, Created, EngineError, Event, EventKind, Listed, Network, NetworkSpec, Result, Socket,
};
use ipnet::Ipv4Net;
use model::{Ending, EngineId, Freezer, Image, Observation};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) images: BTreeMap<String, Image>,
    pub(super) networks: BTreeMap<String, Network>,
    /// The ids of those whose check-ins are redirected.
    pub(super) redirects: BTreeSet<String>,
    pub(super) bodies: BTreeMap<EngineId, Body>,
    pub(super) latency: BTreeMap<Call, Duration>,
    pub(super) faults: BTreeMap<Call, Fault>,
    pub(super) calls: Vec<(Call, String)>,
    pub(super) forgets_calls: bool,
    pub(super) listeners: Vec<(String, UnboundedSender<Event>)>,
    pub(super) away: bool,
    pub(super) exit_code: i64,
    pub(super) is_deaf: bool,
    pub(super) exec_cpu: Duration,
    /// The engine's pause freezes, not the cgroup.
    pub(super) by_engine: bool,
    born: u64,
    networks_made: u64,
}

#[derive(Debug)]
pub(super) struct Fault {
    pub(super) times: usize,
    pub(super) done: bool,
}

#[derive(Debug)]
pub(super) struct Body {
    pub(super) spec: ContainerSpec,
    /// The id of the network that it stands on; empty for a stranger's.
    network: String,
    name: String,
    pub(super) running: bool,
    pub(super) lives: u64,
    code: i64,
    pub(super) frozen: Option<Freezer>,
    /// With this code, once it is thawed.
    pub(super) told_to_end: Option<i64>,
    pub(super) cpu: Duration,
    pub(super) execs: usize,
    pub(super) sockets: Option<Vec<Socket>>,
}

impl Body {
    fn new(spec: ContainerSpec, network: String, name: String) -> Self {
        Self {
            spec,
            network,
            name,
            running: false,
            lives: 0,
            code: 0,
            frozen: None,
            told_to_end: None,
            cpu: Duration::ZERO,
            execs: 0,
            sockets: Some(Vec::new()),
        }
    }

    /// Nothing of it is left but its disk.
    fn end(&mut self, code: i64) {
        let (spec, network, name) = (self.spec.clone(), self.network.clone(), self.name.clone());
        *self = Self { code, lives: self.lives, ..Self::new(spec, network, name) };
    }

    pub(super) fn observation(&self) -> Observation {
        let name = self.name.clone();
        if self.running {
            Observation::Running { name, frozen: self.frozen }
        } else {
            Observation::Exited { name, code: self.code, out_of_memory: false, ending: Ending::Unseen }
        }
    }
}

impl State {
    pub(super) fn reachable(&self) -> Result<()> {
        if self.away {
            return Err(EngineError::Unreachable { at: "fake".into(), source: "told to be away".into() });
        }
        Ok(())
    }

    /// Whether this call fails, and if so, whether after it did what it should.
    pub(super) fn fault(&mut self, call: Call) -> Option<bool> {
        let fault = self.faults.get_mut(&call).filter(|fault| fault.times > 0)?;
        fault.times -= 1;
        Some(fault.done)
    }

    pub(super) fn create(&mut self, spec: &ContainerSpec) -> Result<Created> {
        if !self.images.contains_key(&spec.image) {
            return Err(EngineError::NotFound { what: format!("image: {}", spec.image) });
        }
        if !self.networks.contains_key(&spec.network) {
            return Err(EngineError::NotFound { what: format!("network {}", spec.network) });
        }
        Ok(self.add(spec.clone()))
    }

    pub(super) fn add(&mut self, spec: ContainerSpec) -> Created {
        self.born += 1;
        let (engine_id, name) =
            (EngineId::new(format!("{:064x}", self.born)), format!("/name_{}", self.born));
        let network = self.networks.get(&spec.network).map(|network| network.id.clone()).unwrap_or_default();
        let body = Body::new(spec, network, name.clone());
        self.bodies.insert(engine_id.clone(), body);
        Created { engine_id, name }
    }

    pub(super) fn body(&self, id: &EngineId) -> Result<&Body> {
        self.bodies.get(id).ok_or_else(|| EngineError::NotFound { what: format!("container: {id}") })
    }

    /// As Docker: one whose network is gone does not start, also if there is another of its name.
    pub(super) fn start(&mut self, id: &EngineId) -> Result<()> {
        let network = &self.body(id)?.network;
        if !network.is_empty() && !self.networks.values().any(|there| there.id == *network) {
            return Err(EngineError::NotFound { what: format!("network {network}") });
        }
        self.run(id);
        Ok(())
    }

    pub(super) fn attach(&mut self, id: &EngineId, network: &str) -> Result<()> {
        let there = self.networks.get(network).map(|network| network.id.clone());
        let there = there.ok_or_else(|| EngineError::NotFound { what: format!("network {network}") })?;
        self.body(id)?;
        self.bodies.entry(id.clone()).and_modify(|body| body.network = there);
        Ok(())
    }

    pub(super) fn run(&mut self, id: &EngineId) {
        let Some(body) = self.bodies.get_mut(id).filter(|body| !body.running) else { return };
        body.running = true;
        body.lives += 1;
        self.tell(id, EventKind::Started);
    }

    pub(super) fn halt(&mut self, id: &EngineId, code: i64, by_hand: bool) {
        let Some(body) = self.bodies.get_mut(id).filter(|body| body.running) else { return };
        body.end(code);
        if by_hand {
            self.tell(id, EventKind::Killed);
        }
        self.tell(id, EventKind::Changed);
    }

    pub(super) fn rename(&mut self, id: &EngineId, name: &str) {
        if let Some(body) = self.bodies.get_mut(id) {
            body.name = name.to_owned();
            self.tell(id, EventKind::Changed);
        }
    }

    pub(super) fn drop_body(&mut self, id: &EngineId) {
        self.halt(id, 137, true);
        self.tell(id, EventKind::Changed);
        self.bodies.remove(id);
    }

    /// Those of an instance, or all.
    pub(super) fn list(&self, instance: Option<&str>) -> Vec<Listed> {
        let ours = self.bodies.iter().filter(|(_, body)| instance.is_none_or(|of| body.spec.instance == of));
        let entry = |(id, body): (&EngineId, &Body)| Listed {
            engine_id: id.clone(),
            name: body.name.clone(),
            key: body.spec.key.clone(),
            owner: body.spec.owner.clone(),
            address: body.spec.address,
            running: body.running,
            frozen: body.frozen,
        };
        ours.map(entry).collect()
    }

    pub(super) fn network(&mut self, wanted: &NetworkSpec) -> Result<Network> {
        let chosen = Ipv4Net::new(SUBNET.0, SUBNET.1).expect("the prefix is short enough");
        let id = format!("{:064x}", self.networks_made);
        let found = self.networks.entry(wanted.name.clone()).or_insert_with(|| {
            self.networks_made += 1;
            let subnet = wanted.subnet.unwrap_or(chosen);
            let gateway = Ipv4Addr::from(u32::from(subnet.network()) + 1);
            Network {
                name: wanted.name.clone(),
                id,
                subnet,
                gateway,
                bridge: "br-fake".into(),
                taken: Vec::new(),
            }
        });
        if wanted.subnet.is_some_and(|subnet| subnet != found.subnet) {
            let message = format!("the network has the subnet {}", found.subnet);
            return Err(EngineError::Refused { doing: "give us a network".into(), status: 0, message });
        }
        Ok(found.clone())
    }

    /// What is left of networks that are gone goes with it.
    pub(super) fn redirect(&mut self, network: &Network, wanted: bool) {
        let networks: Vec<&str> = self.networks.values().map(|there| there.id.as_str()).collect();
        self.redirects.retain(|id| *id != network.id && networks.contains(&id.as_str()));
        if wanted {
            self.redirects.insert(network.id.clone());
        }
    }

    pub(super) fn tell_all(&mut self, kind: EventKind) {
        let event = || Event { engine_id: EngineId::new("network"), kind };
        self.listeners.retain(|(_, listener)| listener.send(event()).is_ok());
    }

    pub(super) fn tell(&mut self, id: &EngineId, kind: EventKind) {
        let instance = self.bodies.get(id).map(|body| body.spec.instance.clone()).unwrap_or_default();
        self.listeners.retain(|(of, listener)| {
            *of != instance || listener.send(Event { engine_id: id.clone(), kind }).is_ok()
        });
    }
}
