//! What the service manager that started us is told, and the socket that it may have passed. Without one, nothing happens.

use anyhow::{Context, bail};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::net::{SocketAddr, TcpListener};

/// The socket that systemd passed for the API, if it did.
pub(crate) struct Passed(Option<TcpListener>);

impl Passed {
    /// Takes it. To be called once, while there is one thread: it clears variables of the environment.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let mut sockets = ListenFd::from_env();
        if sockets.len() > 1 {
            bail!(
                "systemd passed {} sockets: spin-docker.socket may have one ListenStream=, that of `listen`",
                sockets.len()
            );
        }
        let listener = sockets.take_tcp_listener(0);
        Ok(Self(
            listener.context(
                "what systemd passed is no TCP socket: ListenStream= must be an address with a port",
            )?,
        ))
    }

    /// None where none was passed. One at another address is refused: what the settings say of `listen` was judged, such as whether
    /// the default password will do.
    pub(super) fn at(self, listen: SocketAddr) -> anyhow::Result<Option<tokio::net::TcpListener>> {
        let Some(listener) = self.0 else { return Ok(None) };
        let address = listener.local_addr()?;
        if address != listen {
            bail!(
                "systemd passed a socket at {address}, and `listen` is {listen}: make ListenStream= of spin-docker.socket and \
                 `listen` the same, or run `systemctl disable --now spin-docker.socket`"
            );
        }
        listener.set_nonblocking(true)?;
        Ok(Some(tokio::net::TcpListener::from_std(listener)?))
    }
}

/// It serves, at this address.
pub(super) fn ready(address: SocketAddr, degraded: &[String]) {
    let status = match degraded.len() {
        0 => format!("Serving at http://{address}"),
        1 => format!("Serving at http://{address}, degraded: {}", degraded[0]),
        more => format!("Serving at http://{address}, degraded in {more} ways that the log names"),
    };
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// It reads its settings again; [`reloaded`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager is not told of a reload"),
    }
}

/// It has.
pub(super) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// It ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Draining")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager; is NOTIFY_SOCKET its socket?");
    }
}
