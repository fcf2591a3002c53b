//! A container's host ports: claimed for its life, reachable as its phase says, and taken again when somebody else let go.

use crate::handle::MissingPort;
use crate::{Endpoints, Target, Traffic, Wake};
use model::{Container, Protocol, Reach};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Ports {
    endpoints: Arc<dyn Endpoints>,
    ports: Vec<(u16, Target)>,
    missing: Vec<MissingPort>,
    /// When the missing ones are tried again.
    again: Option<Instant>,
    reach: Reach,
}

impl Ports {
    /// Claims them; those that a new container was just allotted are claimed already, which is no error.
    pub(crate) fn new(
        container: &Container,
        endpoints: &Arc<dyn Endpoints>,
        traffic: &Arc<Traffic>,
        wake: &Arc<dyn Wake>,
    ) -> Self {
        let tcp = container.endpoints.iter().filter(|endpoint| endpoint.protocol == Protocol::Tcp);
        let ports = tcp.filter_map(|endpoint| {
            let port = endpoint.container_port;
            let (traffic, wake) = (Arc::clone(traffic), Arc::clone(wake));
            Some((endpoint.host_port?, Target { address: container.way_to(port), port, traffic, wake }))
        });
        let mut claimed = Self {
            endpoints: Arc::clone(endpoints),
            ports: ports.collect(),
            missing: Vec::new(),
            again: None,
            reach: Reach::Refuse,
        };
        claimed.apply();
        claimed
    }

    /// What connections meet from now on.
    pub(crate) fn reach(&mut self, reach: Reach) {
        if self.reach != reach {
            self.reach = reach;
            self.apply();
        }
    }

    /// It is about to be frozen.
    pub(crate) fn quiet(&self) {
        self.ports.iter().for_each(|(port, _)| self.endpoints.quiet(*port));
    }

    fn apply(&mut self) {
        let before = std::mem::take(&mut self.missing);
        for (port, target) in &self.ports {
            let set =
                self.endpoints.claim(*port).and_then(|()| self.endpoints.set(*port, self.reach, target));
            if let Err(error) = set {
                let known = before.iter().find(|known| known.port == *port);
                if known.is_none() {
                    tracing::warn!(port, %error, "cannot have this port; trying again until it works");
                }
                let held = error.kind() == ErrorKind::AddrInUse;
                let since = known.map_or_else(Instant::now, |known| known.since);
                let why = (!held).then(|| error.to_string());
                self.missing.push(MissingPort { port: *port, why, since });
            }
        }
        self.again = (!self.missing.is_empty()).then(|| Instant::now() + RETRY);
    }

    /// Those that cannot be had at the moment.
    pub(crate) fn missing(&self) -> Vec<MissingPort> {
        self.missing.clone()
    }

    /// Comes back when the missing ones were tried again; never while none is missing. Cancel safe: when they are is settled,
    /// however often this is begun anew.
    pub(crate) async fn retry(&mut self) {
        let Some(again) = self.again else { return std::future::pending().await };
        Box::pin(tokio::time::sleep_until(again)).await;
        self.apply();
    }
}
