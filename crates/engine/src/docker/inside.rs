//! The inside of a container's network: what the container would meet there, whatever is in its image.

use super::Docker;
use super::bodies::blocking;
use crate::{EngineError, Inside, Result};
use model::EngineId;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

impl Docker {
    /// A connection tried from there.
    pub(super) async fn connect_inside(
        &self,
        id: &EngineId,
        to: SocketAddrV4,
        within: Duration,
    ) -> Result<Inside> {
        let ended = || EngineError::NotFound { what: format!("running container: {id}") };
        let pid = self.pid(id).await?.ok_or_else(ended)?;
        let network = move || match File::open(format!("/proc/{pid}/ns/net")) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        };
        let tried =
            blocking(move || network()?.map(|it| inside(&it, || connect(to, within))).transpose()).await;
        tried.map_or(Ok(Inside::NotTried), |tried| tried.ok_or_else(ended))
    }
}

/// Acts within that network, on a thread of its own, that ends: it never comes back from there.
pub(super) fn inside<T: Send>(network: &File, act: impl FnOnce() -> T + Send) -> io::Result<T> {
    let enter_and_act = || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(act())
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("inside".into());
        let thread = thread.spawn_scoped(scope, enter_and_act)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")))
    })
}

fn connect(to: SocketAddrV4, within: Duration) -> Inside {
    match TcpStream::connect_timeout(&SocketAddr::V4(to), within) {
        Ok(_) => Inside::Connected,
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => Inside::TimedOut,
        Err(_) => Inside::Refused,
    }
}
