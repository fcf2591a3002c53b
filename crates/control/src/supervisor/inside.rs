//! A look inside: the engine and the kernel are asked what a container does, since the gateway sees only what comes and goes.

use super::Supervisor;
use super::calls::{Calls, Outcome};
use super::sleep::{LATEST, SOONEST};
use super::turn::ANNOUNCED;
use engine::{EngineError, Socket, SocketKind};
use model::{Beside, Cause, Depth, EngineId, IdlePolicy, Inside};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long the engine and the kernel may take to say what a container does: a command may have begun, or work, since they were asked.
const NEWS: Duration = Duration::from_secs(2);

/// What the engine and the kernel say of a container's use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// When they were asked.
    pub(crate) at: Instant,
    pub(crate) execs: usize,
    pub(crate) cpu: Option<Duration>,
    pub(crate) mail: bool,
    /// Who waits for an answer and did not come through the gateway, and for how long.
    pub(crate) owed: Option<(SocketAddr, Duration)>,
}

impl Supervisor {
    pub(super) fn look_inside(&mut self) {
        self.sleeper.owes_look_inside = false;
        let Some(body) = self.container.engine_id.as_ref().filter(|_| !self.sleeper.looks_inside) else {
            return;
        };
        // One that is frozen could not take what came, however long ago.
        let lying = if self.is_awake() { self.policy().owed_for } else { Duration::MAX };
        // Behind the engine's proxy, the kernel does not tell our connections from others'.
        let upstream = (!self.container.is_published()).then(|| self.handle.traffic().upstream());
        self.calls.look_inside(body.clone(), upstream, lying);
        (self.sleeper.looks_inside, self.sleeper.needed) = (true, false);
    }

    /// The engine and the kernel have answered.
    pub(super) async fn looked_inside(&mut self, found: Result<Found, EngineError>) {
        self.sleeper.looks_inside = false;
        if self.container.phase.depth() == Depth::Frozen {
            return self.looked_inside_frozen(found).await;
        }
        if !self.may_sleep() {
            return self.consider_later();
        }
        match found {
            Ok(found) if found.at.elapsed() <= NEWS => self.found(found).await,
            Ok(_) => {
                tracing::debug!(container = %self.name(), "a look inside took so long that it tells nothing of now");
                self.check_in(SOONEST);
            }
            Err(error) => self.cannot_look_inside(&error),
        }
    }

    async fn found(&mut self, found: Found) {
        let (now, policy) = (self.catch_up(), self.policy());
        let since = |waited| now.minus(found.at.elapsed() + waited);
        let beside = found.owed.map(|(peer, waited)| Beside { peer, since: since(waited) });
        let inside = self.inside(found, beside, &policy);
        self.gives_up_beside(beside, now);
        if let Some(kept) = self.container.kept_awake(&self.seen_of_it(now), now, &policy) {
            return self.keep_awake(kept);
        }
        // A command that somebody began meanwhile may not have been counted.
        if self.sleeper.needed {
            return self.check_in(ANNOUNCED);
        }
        match inside.map(|inside| inside.keeps_awake(now, &policy)) {
            Some(Some(kept)) => self.keep_awake(kept),
            Some(None) => self.freeze().await,
            None => self.check_in(self.soon(&policy)),
        }
    }

    /// It was found frozen: what came meanwhile has to be taken, and what somebody runs in it has to go on.
    async fn looked_inside_frozen(&mut self, found: Result<Found, EngineError>) {
        match found {
            Ok(found) if found.mail => self.thaw_because(Cause::Mail).await,
            Ok(found) if found.execs > 0 => self.thaw_because(Cause::Exec).await,
            Ok(_) => self.sleeper.check_at = self.next_breath(),
            Err(error) => {
                self.sleeper.owes_look_inside = true;
                self.cannot_look_inside(&error);
            }
        }
    }

    fn cannot_look_inside(&mut self, error: &EngineError) {
        tracing::debug!(container = %self.name(), error = %crate::chain(error), "cannot look inside");
        self.check_in(LATEST);
    }

    /// Nothing while its CPU was read only once: whether it works nobody knows yet.
    fn inside(&mut self, found: Found, owed: Option<Beside>, policy: &IdlePolicy) -> Option<Inside> {
        let Found { execs, mail, .. } = found;
        let now = found.at;
        let (Some(used), Some(_)) = (found.cpu, policy.busy_cpu) else {
            return Some(Inside { execs, cpu: None, mail, owed });
        };
        let (since, before) = *self.sleeper.cpu.get_or_insert((now, used));
        let elapsed = now.duration_since(since);
        if elapsed < SOONEST {
            return None;
        }
        self.sleeper.cpu = Some((now, used));
        let share = used.saturating_sub(before).as_micros() * 1000 / elapsed.as_micros();
        Some(Inside { execs, cpu: u32::try_from(share).ok(), mail, owed })
    }

    /// What it uses is told by two readings, not much further apart than it must rest: work that has just begun would be lost in a
    /// long time of little.
    pub(super) fn wants_reading(&self, policy: &IdlePolicy) -> bool {
        let is_old = |after| self.sleeper.cpu.is_none_or(|(at, _)| at.elapsed() >= after / 2);
        self.container.freezes_after(policy).is_some_and(is_old)
    }
}

impl Calls {
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
}

/// Whether something waits that it has not taken. What it left lying for longer than an answer may be owed is none of its business.
pub(super) fn has_mail(sockets: &[Socket], owed_for: Duration) -> bool {
    let recent = |socket: &Socket| socket.last_received.is_none_or(|ago| ago < owed_for);
    sockets.iter().any(|socket| socket.unread > 0 && recent(socket))
}

/// The latest to wait of those who did not come through the gateway: their last bytes went towards it.
/// `upstream` are the gateway's own ports.
fn owed(sockets: &[Socket], upstream: &BTreeSet<u16>) -> Option<(SocketAddr, Duration)> {
    let listening: BTreeSet<u16> = sockets
        .iter()
        .filter(|socket| socket.kind == SocketKind::Listening)
        .map(|socket| socket.local.port())
        .collect();
    let others = sockets.iter().filter(|socket| {
        matches!(socket.kind, SocketKind::Established | SocketKind::HalfClosed)
            && listening.contains(&socket.local.port())
    });
    let waiting = others.filter_map(|socket| {
        let (peer, waited) = (socket.peer?, socket.last_received?);
        let is_beside = !peer.ip().is_loopback() && !upstream.contains(&peer.port());
        let is_owed = socket.last_sent.is_none_or(|sent| waited < sent);
        (is_beside && is_owed).then_some((peer, waited))
    });
    waiting.min_by_key(|(_, waited)| *waited)
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
        let waits = |port, of| Some((([172, 18, 0, 1], port).into(), Duration::from_secs(of)));
        assert_eq!(owed(&[listener(), talks(4000, 5, 60)], &ours), waits(4000, 5));
        assert_eq!(owed(&[listener(), talks(4000, 7, 60), talks(4001, 5, 60)], &ours), waits(4001, 5));
        assert_eq!(owed(&[listener(), talks(4000, 60, 5)], &ours), None, "it was answered");
        assert_eq!(owed(&[listener(), talks(7000, 5, 60)], &ours), None, "the gateway's flows tell more");
        assert_eq!(owed(&[talks(4000, 5, 60)], &ours), None, "it made this connection itself");
        let half = |received, sent| Socket { kind: SocketKind::HalfClosed, ..talks(4000, received, sent) };
        assert_eq!(owed(&[listener(), half(5, 60)], &ours), waits(4000, 5), "it said all that it wants");
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
