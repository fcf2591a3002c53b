//! What the control needs to be told. The binary fills it from its own settings.

use crate::Reserves;
use engine::Limits;
use ipnet::Ipv4Net;
use model::IdlePolicy;
use std::ops::RangeInclusive;

/// The control's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names what is ours on an engine.
    pub instance: String,
    /// Of our network; none lets the engine find a free one.
    pub subnet: Option<Ipv4Net>,
    /// The default for every container, until [`Control::set_policy`](crate::Control::set_policy) says otherwise.
    pub policy: IdlePolicy,
    /// Where the host ports come from.
    pub endpoint_ports: RangeInclusive<u16>,
    /// What containers may not.
    pub limits: Limits,
    /// What a create must leave free.
    pub reserves: Reserves,
    /// The share of time, in percent, that something waits for memory before the longest frozen are stopped; none for never.
    pub pressure_limit: Option<f64>,
    /// `NAME=VALUE`, for every container.
    pub env: Vec<String>,
    /// What is written into the file that an image's label names; one key a line.
    pub authorized_keys: String,
    /// Whether endpoints are reached from this host alone.
    pub on_loopback: bool,
    /// Whether the engine publishes containers' ports for us, since their own addresses are out of our reach.
    pub publish: bool,
    /// Where containers check in that are told by a token, since their addresses are out of our reach too.
    pub check_in_url: Option<String>,
    /// How many starts the engine is asked for at once.
    pub start_limit: usize,
}

impl Settings {
    /// The name of our network.
    pub fn network(&self) -> String {
        Self::network_of(&self.instance)
    }

    /// The name of an instance's network.
    pub(crate) fn network_of(instance: &str) -> String {
        format!("spin-docker-{instance}")
    }
}
