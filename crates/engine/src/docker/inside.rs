//! A connection tried from inside a container's network: what the container would meet, whatever is in its image.

use super::Docker;
use crate::{EngineError, Inside, Result};
use model::EngineId;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

impl Docker {
    pub(super) async fn connect_inside(
        &self,
        id: &EngineId,
        to: SocketAddrV4,
        within: Duration,
    ) -> Result<Inside> {
        let Some(pid) = self.pid(id).await? else { return Err(ended(id)) };
        let (done, result) = tokio::sync::oneshot::channel();
        // A thread of its own, that ends: it never comes back from the other network.
        let thread = std::thread::Builder::new().name("inside".into()).spawn(move || {
            if done.send(try_from(pid, to, within)).is_err() {
                tracing::trace!(pid, "whoever asked has gone away");
            }
        });
        if thread.is_err() {
            return Ok(Inside::NotTried);
        }
        result.await.unwrap_or(Some(Inside::NotTried)).ok_or_else(|| ended(id))
    }
}

fn ended(id: &EngineId) -> EngineError {
    EngineError::NotFound { what: format!("running container: {id}") }
}

/// Nothing where the process is no more.
fn try_from(pid: i64, to: SocketAddrV4, within: Duration) -> Option<Inside> {
    match File::open(format!("/proc/{pid}/ns/net")) {
        Ok(network) => Some(enter_and_try(&network, to, within)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => Some(Inside::NotTried),
    }
}

fn enter_and_try(network: &File, to: SocketAddrV4, within: Duration) -> Inside {
    if move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).is_err() {
        return Inside::NotTried;
    }
    match TcpStream::connect_timeout(&SocketAddr::V4(to), within) {
        Ok(_) => Inside::Connected,
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => Inside::TimedOut,
        Err(_) => Inside::Refused,
    }
}
