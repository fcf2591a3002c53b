//! Connecting to a container: fresh attempts at growing intervals while its application comes up, one attempt afterwards.

use crate::Course;
use backon::{ExponentialBuilder, Retryable};
use control::{Flow, Target, WakeError};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_quickack;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpStream as Waiting;

/// Attempts while the application comes up: fresh ones at growing intervals, since a poll at fixed ones wastes seconds.
const FIRST_RETRY: Duration = Duration::from_millis(1);
const LONGEST_RETRY: Duration = Duration::from_millis(250);
/// So much later than the application at most, as a share of how long it took: an attempt costs some 50 µs.
const GROWTH: f32 = 1.2;
/// An attempt without an answer is abandoned for a fresh one: the kernel would wait a second before its next SYN.
const ATTEMPT: Duration = Duration::from_millis(20);
/// Once the application has accepted before, an answer may take so long.
const ACCEPTED_BEFORE: Duration = Duration::from_secs(5);

/// Whoever vanished without a word is noticed within two minutes: a connection that looks open keeps its container awake.
pub(crate) const ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(6);

/// A socket for a connection to a container.
pub(crate) fn socket() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

/// Why there is no connection to a container.
#[derive(Debug)]
pub(crate) enum Unreached {
    /// It does not wake.
    Asleep(WakeError),
    /// It does not accept.
    Unreachable(io::Error),
}

/// A connection to the container, or why there is none. Goes on trying while its application may be coming up (`early_for` at
/// most) and while we have no descriptors or memory; whoever calls bounds it. The first attempt takes the `spare` socket.
pub(crate) async fn dial(
    target: &Target,
    flow: &Flow,
    course: &Course,
    early_for: Duration,
    spare: &mut Option<Socket>,
) -> Result<Waiting, Unreached> {
    let attempt = || wake_and_attempt(target, flow, course, early_for, spare.take());
    attempt.retry(pauses()).when(|failed| failed.may_work_later).await.map_err(|failed| failed.why)
}

/// An attempt that came to nothing.
struct Failed {
    may_work_later: bool,
    why: Unreached,
}

/// A frozen container's kernel completes the handshake while it is thawed. One that comes up for long may have frozen since the
/// attempt before, and would never accept: each looks anew.
async fn wake_and_attempt(
    target: &Target,
    flow: &Flow,
    course: &Course,
    early_for: Duration,
    spare: Option<Socket>,
) -> Result<Waiting, Failed> {
    let waking = async {
        if !flow.is_asleep() {
            return Ok(());
        }
        let woken = target.wake(flow).await;
        woken.map_err(|error| Failed { may_work_later: false, why: Unreached::Asleep(error) })
    };
    let attempted = async { Ok(attempt(target, course, early_for, spare).await) };
    let ((), container) = tokio::try_join!(biased; waking, attempted)?;
    container
}

/// Where the engine's own proxy would accept, nothing is sent before the application listens. An abandoned attempt may reach the application all the same, as a connection that ends at once.
async fn attempt(
    target: &Target,
    course: &Course,
    early_for: Duration,
    spare: Option<Socket>,
) -> Result<Waiting, Failed> {
    // It began while the application may still have been coming up: worth a fresh one, whoever was accepted meanwhile.
    let has_accepted = course.accepted.load(Ordering::Relaxed);
    let early = !has_accepted && course.since.elapsed() < early_for;
    let patience = if early { ATTEMPT } else { ACCEPTED_BEFORE };
    // Where nobody can say: it is asked again while it may be coming up, and taken for so later.
    if !has_accepted && !target.wake.listens(target.port).await.unwrap_or(!early) {
        let why = Unreached::Unreachable(io::ErrorKind::ConnectionRefused.into());
        return Err(Failed { may_work_later: early, why });
    }
    let tried = tokio::time::timeout(patience, connect(target.address, spare)).await;
    let container = tried.unwrap_or_else(|late| Err(late.into())).map_err(|why| Failed {
        may_work_later: !is_out_of_ports(&why) && (early || is_starved(&why)),
        why: Unreached::Unreachable(why),
    })?;
    course.accepted.store(true, Ordering::Relaxed);
    Ok(container)
}

/// Without waiting: on one host the handshake is mostly over when `connect` returns. Otherwise the socket, if it is on its way. Where
/// the client `has_spoken`, the last of the handshake goes with what it said, which wakes the application once instead of twice.
/// Keep-alives are the caller's to ask for.
pub(crate) fn at_once(
    target: SocketAddrV4,
    socket: Socket,
    has_spoken: bool,
) -> Result<TcpStream, Option<Socket>> {
    prepare(&socket);
    if has_spoken {
        note(set_tcp_quickack(&socket, false).map_err(io::Error::from));
    }
    match begin(target, &socket) {
        Ok(true) => Ok(socket.into()),
        Ok(false) => Err(Some(socket)),
        Err(error) => {
            tracing::debug!(%error, %target, "a connection did not come about at once");
            Err(None)
        }
    }
}

/// The spare socket may be on its way already.
async fn connect(target: SocketAddrV4, spare: Option<Socket>) -> io::Result<Waiting> {
    let socket = match spare {
        Some(socket) => socket,
        None => socket()?,
    };
    prepare(&socket);
    keep_alive(&socket);
    let is_there = begin(target, &socket)?;
    let stream = Waiting::from_std(socket.into())?;
    if !is_there {
        stream.writable().await?;
        stream.take_error()?.map_or(Ok(()), Err)?;
    }
    Ok(stream)
}

/// Whether it is there.
fn begin(target: SocketAddrV4, socket: &Socket) -> io::Result<bool> {
    match rustix::net::connect(socket, &target) {
        Ok(()) | Err(Errno::ISCONN) => Ok(true),
        Err(Errno::INPROGRESS | Errno::ALREADY) => Ok(socket.peer_addr().is_ok()),
        Err(error) => Err(error.into()),
    }
}

/// Small messages go at once.
fn prepare(socket: &Socket) {
    let paced = if is_paced(socket) { socket.set_tcp_congestion(b"cubic") } else { Ok(()) };
    note(socket.set_tcp_nodelay(true));
    note(paced);
}

/// A container that vanishes without a word is noticed.
pub(crate) fn keep_alive(socket: &impl AsFd) {
    note(SockRef::from(socket).set_tcp_keepalive(&ALIVE));
}

fn note(taken: io::Result<()>) {
    if let Err(error) = taken {
        tracing::debug!(%error, "a socket option was not taken");
    }
}

/// BBR, where it is the host's default, would pace even the way to a bridge.
fn is_paced(socket: &Socket) -> bool {
    static IS_PACED: OnceLock<bool> = OnceLock::new();
    *IS_PACED.get_or_init(|| socket.tcp_congestion().is_ok_and(|name| name.starts_with(b"bbr")))
}

/// No descriptors or no memory, which others give back as they end.
fn is_starved(error: &io::Error) -> bool {
    const FOR_WANT_OF: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| FOR_WANT_OF.contains(&errno))
}

/// Every local port towards this address is in use or in TIME_WAIT: some 28,000 within a minute.
pub(crate) fn is_out_of_ports(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
}

fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_RETRY)
        .with_max_delay(LONGEST_RETRY)
        .with_factor(GROWTH)
        .without_max_times()
}

/// Says once, at the start, what keeps many short connections to one container from using up the ports.
pub(crate) fn advise() {
    match std::fs::read_to_string("/proc/sys/net/ipv4/tcp_tw_reuse") {
        Ok(reuse) if reuse.trim() == "1" => {}
        Ok(_) => tracing::info!(
            "after some 28,000 short connections to one container within a minute no local port is left; net.ipv4.tcp_tw_reuse=1 lifts that"
        ),
        Err(error) => tracing::debug!(%error, "net.ipv4.tcp_tw_reuse cannot be read"),
    }
}
