//! One connection: held until the container's port accepts, then forwarded. What the client sent first stays in its
//! socket meanwhile, so nothing of it is lost.

use crate::{Course, mover};
use backon::{ExponentialBuilder, Retryable};
use control::Target;
use model::Reach;
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Attempts while the application comes up: fresh ones at growing intervals, since a poll at fixed ones wastes seconds.
const FIRST_RETRY: Duration = Duration::from_millis(1);
const LONGEST_RETRY: Duration = Duration::from_millis(250);
/// An attempt without an answer is abandoned for a fresh one: the kernel would wait a second before its next SYN.
const ATTEMPT: Duration = Duration::from_millis(20);
/// Once the application has accepted before, an answer may take so long.
const ACCEPTED_BEFORE: Duration = Duration::from_secs(5);

/// Serves one client to its end.
pub(crate) async fn attend(
    client: TcpStream,
    peer: SocketAddr,
    mut course: watch::Receiver<Course>,
    wake_timeout: Duration,
) {
    let Some(target) = course.borrow().target.clone() else { return };
    let flow = target.traffic.open(peer, target.address.port());
    if matches!(course.borrow().reach, Reach::Wake | Reach::WakeOnByte) || flow.is_asleep() {
        let woken = tokio::time::timeout(wake_timeout, target.wake(&flow)).await;
        if let Ok(Err(why)) = woken {
            return reset(&client, peer, &target, &why.to_string());
        }
    }
    let dialled = tokio::select! {
        dialled = tokio::time::timeout(wake_timeout, dial(&mut course, wake_timeout)) => dialled,
        () = mover::broken(&client) => return,
    };
    match dialled {
        Ok(Some(Ok(container))) => mover::forward(client, container, &target, &flow).await,
        Ok(Some(Err(error))) => reset(&client, peer, &target, &error.to_string()),
        Ok(None) => reset(&client, peer, &target, "the container was stopped"),
        Err(_) => reset(&client, peer, &target, "its port did not accept within the wake timeout"),
    }
}

/// A connection to the container as soon as it may be had; nothing once the port refuses.
async fn dial(course: &mut watch::Receiver<Course>, early_for: Duration) -> Option<io::Result<TcpStream>> {
    loop {
        let now = course
            .wait_for(|course| matches!(course.reach, Reach::Forward | Reach::Refuse))
            .await
            .ok()?
            .clone();
        let target = now.target.as_ref().filter(|_| now.reach == Reach::Forward)?.address;
        let attempts = async {
            let attempt = || attempt(target, &now, early_for);
            attempt.retry(pauses()).when(|failed| failed.early).await.map_err(|failed| failed.why)
        };
        tokio::select! {
            dialled = attempts => return Some(dialled),
            changed = course.changed() => changed.ok()?,
        }
    }
}

/// An attempt that came to nothing.
struct Failed {
    /// It began while the application may still have been coming up: worth a fresh one, whoever was accepted meanwhile.
    early: bool,
    why: io::Error,
}

/// An abandoned attempt may reach the application all the same, as a connection that ends at once.
async fn attempt(target: SocketAddrV4, course: &Course, early_for: Duration) -> Result<TcpStream, Failed> {
    let early = !course.accepted.load(Ordering::Relaxed) && course.since.elapsed() < early_for;
    let patience = if early { ATTEMPT } else { ACCEPTED_BEFORE };
    let tried = tokio::time::timeout(patience, TcpStream::connect(target)).await;
    let container = tried.unwrap_or_else(|late| Err(late.into())).map_err(|why| Failed { early, why })?;
    course.accepted.store(true, Ordering::Relaxed);
    Ok(container)
}

fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_RETRY)
        .with_max_delay(LONGEST_RETRY)
        .without_max_times()
}

fn reset(client: &TcpStream, peer: SocketAddr, target: &Target, why: &str) {
    tracing::info!(%peer, target = %target.address, why, "a connection was closed");
    if let Err(error) = SockRef::from(client).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection is closed in order instead");
    }
}
