//! The sockets of a container, as the kernel shows them.

use std::net::SocketAddr;
use std::time::Duration;

/// One socket inside a container's network, whoever connected it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where it is bound.
    pub local: SocketAddr,
    /// The other end, of one that has one.
    pub peer: Option<SocketAddr>,
    /// What it is for.
    pub kind: SocketKind,
    /// Bytes that arrived and were not read yet, an end being none; of a listener, connections that were not accepted yet.
    pub unread: u32,
    /// How long ago the last bytes came in, of a connection that is open.
    pub last_received: Option<Duration>,
    /// How long ago the last bytes went out, of a connection that is open.
    pub last_sent: Option<Duration>,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// TCP, waits for connections.
    Listening,
    /// TCP, open both ways.
    Established,
    /// TCP, open towards the peer alone: it sends nothing more, and may wait for an answer.
    HalfClosed,
    /// TCP, opening or closing.
    Other,
    /// UDP.
    Datagrams,
}
