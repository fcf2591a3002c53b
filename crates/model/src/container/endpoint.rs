//! The addresses of a container, which it keeps for life.

use super::Container;
use crate::image::{Protocol, SSH_PORT};
use serde::{Deserialize, Serialize};
use std::net::SocketAddrV4;

/// The most endpoints that one container may have.
pub const MAX_ENDPOINTS: usize = 32;

/// One stable address of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The port inside the container.
    pub container_port: u16,
    /// Its transport.
    pub protocol: Protocol,
    /// Ours for the container's life; none for what is not forwarded.
    pub host_port: Option<u16>,
    /// Where the engine publishes this port for us alone, for the container's life, since the container's own address is out of our
    /// reach. None where we connect to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<SocketAddrV4>,
}

impl Container {
    /// Where connections to one of its ports go: to its own address, or to where the engine publishes the port.
    pub fn way_to(&self, container_port: u16) -> SocketAddrV4 {
        let published = self.tcp_endpoint(container_port).and_then(|endpoint| endpoint.published);
        published.unwrap_or(SocketAddrV4::new(self.address, container_port))
    }

    /// The ports that the engine publishes for it, which no other container gets as long as it lives.
    pub fn published_ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.endpoints.iter().filter_map(|endpoint| Some(endpoint.published?.port()))
    }

    /// All that it has of our range of ports.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.host_ports().chain(self.published_ports())
    }

    /// Whether the engine's own proxy stands between it and us, and accepts in its place.
    pub fn is_published(&self) -> bool {
        self.published_ports().next().is_some()
    }

    /// The host ports, which are ours as long as it lives.
    pub fn host_ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.endpoints.iter().filter_map(|endpoint| endpoint.host_port)
    }

    /// The host port of SSH, if the image exposes 22.
    pub fn ssh_host_port(&self) -> Option<u16> {
        self.host_port_of(SSH_PORT)
    }

    /// The host port of the application, if the image exposes one.
    pub fn app_host_port(&self) -> Option<u16> {
        self.app_port.and_then(|port| self.host_port_of(port))
    }

    fn host_port_of(&self, port: u16) -> Option<u16> {
        self.tcp_endpoint(port)?.host_port
    }

    fn tcp_endpoint(&self, port: u16) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.container_port == port && e.protocol == Protocol::Tcp)
    }
}
