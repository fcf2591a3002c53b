//! The engine calls of sleep and wake. A freeze gives way: told to end, it undoes itself, and says so like any other result.

use super::calls::{Calls, Outcome};
use crate::control::Shared;
use backon::{ExponentialBuilder, Retryable};
use engine::{Engine, EngineError, Socket, SocketKind};
use model::{EngineId, Freezer, Input};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const RETRIES: usize = 8;
/// Why it is not frozen, for whoever asked.
const UNREAD: &str = "it has not yet read what it was sent; try again in a moment";
pub(super) const NEEDED: &str =
    "a connection, or something that the engine does to it, needed it meanwhile; try again in a moment";

/// A freeze that is undone where something waits in the container's sockets by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Careful {
    /// What it left lying for longer is no mail.
    pub(super) owed_for: Duration,
}

/// What the engine and the kernel say of a container's use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// When they were asked.
    pub(crate) at: Instant,
    pub(crate) execs: usize,
    pub(crate) cpu: Option<Duration>,
    pub(crate) mail: bool,
    pub(crate) owed: Option<Duration>,
}

impl Calls {
    pub(super) fn freeze(&mut self, body: EngineId, careful: Option<Careful>) {
        let wanted = self.give_way();
        let shared = Arc::clone(&self.shared);
        self.spawn_of_sleep(async move { freeze(&shared, &body, &wanted, careful).await });
    }

    /// What is about to begin is wanted until somebody comes.
    pub(super) fn give_way(&mut self) -> CancellationToken {
        self.freezing.insert(CancellationToken::new()).clone()
    }

    /// Has the freeze or the breath that is under way undone; what came of it is its result.
    pub(super) fn end_freeze(&mut self) {
        if let Some(wanted) = self.freezing.take() {
            wanted.cancel();
        }
    }

    pub(super) fn thaw(&mut self, body: EngineId, by: Freezer) {
        let engine = Arc::clone(&self.shared.engine);
        self.spawn_of_sleep(async move { thaw(&*engine, &body, by).await });
    }

    fn spawn_of_sleep(&mut self, call: impl Future<Output = Input> + Send + 'static) {
        let epoch = self.epoch();
        self.spawn(async move { Outcome::Slept { epoch, input: call.await } });
    }

    /// Asks the engine and the kernel what it does. What it left lying in its sockets for longer than `lying` is no mail.
    pub(super) fn look_inside(&mut self, body: EngineId, upstream: Option<BTreeSet<u16>>, lying: Duration) {
        let epoch = self.epoch();
        let engine = Arc::clone(&self.shared.engine);
        self.spawn(async move {
            let found = async {
                let at = Instant::now();
                let (cpu, execs) = (engine.cpu(&body).await?, engine.execs(&body).await?);
                let sockets = engine.sockets(&body).await?.unwrap_or_default();
                let owed = upstream.and_then(|upstream| owed(&sockets, &upstream));
                let mail = has_mail(&sockets, lying);
                Ok(Found { at, execs, cpu, mail, owed })
            };
            Outcome::LookedInside { epoch, found: found.await }
        });
    }

    /// Offers the kernel what it can take back of the memory of a container that has frozen.
    pub(super) fn reclaim(&mut self, body: EngineId) {
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(async move {
            match shared.engine.reclaim(&body).await {
                Ok(bytes) => tracing::debug!(%body, bytes, "memory was offered to the kernel"),
                Err(error) => tracing::debug!(%body, error = %crate::chain(&error), "memory cannot be offered to the kernel"),
            }
        });
    }
}

impl Careful {
    /// What could not be told may be mail.
    fn minds(self, sockets: Result<Option<Vec<Socket>>, EngineError>) -> bool {
        sockets.map_or(true, |sockets| has_mail(&sockets.unwrap_or_default(), self.owed_for))
    }
}

pub(super) async fn freeze(
    shared: &Shared,
    body: &EngineId,
    wanted: &CancellationToken,
    careful: Option<Careful>,
) -> Input {
    let engine = &*shared.engine;
    match wanted.run_until_cancelled(engine.freeze(body)).await {
        Some(Ok(by)) => {
            let sockets = engine.sockets(body).await;
            tracing::trace!(%body, ?sockets, "froze");
            if careful.is_some_and(|careful| careful.minds(sockets)) {
                undo(engine, body, by, UNREAD).await
            } else {
                Input::Froze(by)
            }
        }
        Some(Err(error)) => {
            tracing::debug!(%body, error = %crate::chain(&error), "it did not freeze");
            Input::NotFrozen(format!("the engine could not freeze it: {}", crate::chain(&error)))
        }
        // Either may have got hold of it.
        None => match undo(engine, body, Freezer::Cgroup, NEEDED).await {
            Input::NotFrozen(why) => undo(engine, body, Freezer::Engine, &why).await,
            failed => failed,
        },
    }
}

async fn undo(engine: &dyn Engine, body: &EngineId, by: Freezer, why: &str) -> Input {
    match thaw(engine, body, by).await {
        Input::Thawed => Input::NotFrozen(why.to_owned()),
        // It stays as it is, and is thawed as a frozen one.
        _ => Input::Froze(by),
    }
}

pub(super) async fn thaw(engine: &dyn Engine, body: &EngineId, by: Freezer) -> Input {
    let pause = ExponentialBuilder::default().with_min_delay(FIRST_RETRY).with_max_times(RETRIES);
    let thaw = || engine.thaw(body, by);
    match thaw.retry(pause).when(EngineError::is_retryable).await {
        Ok(()) => Input::Thawed,
        Err(error) => Input::ThawFailed(format!("it could not be thawed: {}", crate::chain(&error))),
    }
}

/// Whether something waits that it has not taken. What it left lying for longer than an answer may be owed is none of its business.
fn has_mail(sockets: &[Socket], owed_for: Duration) -> bool {
    let recent = |socket: &Socket| socket.last_received.is_none_or(|ago| ago < owed_for);
    sockets.iter().any(|socket| socket.unread > 0 && recent(socket))
}

/// For how long the latest of those who did not come through the gateway have waited: their last bytes went towards it.
/// `upstream` are the gateway's own ports.
fn owed(sockets: &[Socket], upstream: &BTreeSet<u16>) -> Option<Duration> {
    let listening: BTreeSet<u16> = sockets
        .iter()
        .filter(|socket| socket.kind == SocketKind::Listening)
        .map(|socket| socket.local.port())
        .collect();
    let others = sockets.iter().filter(|socket| {
        matches!(socket.kind, SocketKind::Established | SocketKind::HalfClosed)
            && listening.contains(&socket.local.port())
            && socket.peer.is_some_and(|peer| !peer.ip().is_loopback() && !upstream.contains(&peer.port()))
    });
    let waiting = others.filter_map(|socket| {
        let received = socket.last_received?;
        socket.last_sent.is_none_or(|sent| received < sent).then_some(received)
    });
    waiting.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(kind: SocketKind, peer: Option<u16>) -> Socket {
        let peer = peer.map(|port| ([172, 18, 0, 1], port).into());
        let local = ([172, 18, 0, 2], 5432).into();
        Socket { local, peer, kind, unread: 0, last_received: None, last_sent: None }
    }

    fn seconds(of: u64) -> Option<Duration> {
        Some(Duration::from_secs(of))
    }

    #[test]
    fn who_waits_beside_the_gateway_is_seen() {
        let listener = || socket(SocketKind::Listening, None);
        let talks = |port, received, sent| Socket {
            last_received: seconds(received),
            last_sent: seconds(sent),
            ..socket(SocketKind::Established, Some(port))
        };
        let ours = BTreeSet::from([7000]);
        assert_eq!(owed(&[listener(), talks(4000, 5, 60)], &ours), seconds(5));
        assert_eq!(owed(&[listener(), talks(4000, 60, 5)], &ours), None, "it was answered");
        assert_eq!(owed(&[listener(), talks(7000, 5, 60)], &ours), None, "the gateway's flows tell more");
        assert_eq!(owed(&[talks(4000, 5, 60)], &ours), None, "it made this connection itself");
        let half = |received, sent| Socket { kind: SocketKind::HalfClosed, ..talks(4000, received, sent) };
        assert_eq!(owed(&[listener(), half(5, 60)], &ours), seconds(5), "it said all that it wants");
        assert_eq!(owed(&[listener(), half(60, 5)], &ours), None, "it has only gone");
    }

    #[test]
    fn what_was_not_taken_is_mail() {
        let hour = Duration::from_secs(3600);
        use SocketKind::{Datagrams, Established, HalfClosed, Listening};
        for kind in [Listening, Established, HalfClosed, Datagrams] {
            assert!(!has_mail(&[socket(kind, None)], hour));
            assert!(has_mail(&[Socket { unread: 1, ..socket(kind, None) }], hour), "{kind:?}");
        }
        let old = Socket { unread: 1, last_received: seconds(7200), ..socket(SocketKind::Established, None) };
        assert!(!has_mail(&[old], hour));
    }
}
