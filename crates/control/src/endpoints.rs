//! What the control asks of whoever owns the host ports. The gateway implements it; the control knows nothing of
//! sockets, and tests stand in with a recorder.

use crate::Traffic;
use model::Reach;
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// The host ports of the endpoints. All calls return at once.
pub trait Endpoints: Send + Sync + 'static {
    /// Makes the port ours: bound, not listening, so that it refuses and nobody else gets it. A port that is ours
    /// already is no error; one that somebody else holds is [`io::ErrorKind::AddrInUse`].
    fn claim(&self, port: u16) -> io::Result<()>;

    /// Says what a connection to a claimed port meets from now on:
    ///
    /// - [`Reach::Refuse`]: nobody listens. Connections that were being held are closed; those that are being forwarded
    ///   end as the container's side ends them.
    /// - [`Reach::Hold`]: accepted, and held; nothing is sent to the container's address (an early SYN costs a full
    ///   second of ARP).
    /// - [`Reach::Forward`]: forwarded. Until the application has accepted once since this began, and no longer than the
    ///   wake timeout, a connection that it refuses is tried again.
    ///
    /// Fails where the port cannot listen; it is still ours then.
    fn set(&self, port: u16, reach: Reach, target: &Target) -> io::Result<()>;

    /// Gives the port up: whatever is open on it is closed.
    fn release(&self, port: u16);
}

/// Where an endpoint's bytes go, and where they are counted.
#[derive(Clone, Debug)]
pub struct Target {
    /// The container's own address and port.
    pub address: SocketAddrV4,
    /// The container's counters, shared by its endpoints.
    pub traffic: Arc<Traffic>,
}
