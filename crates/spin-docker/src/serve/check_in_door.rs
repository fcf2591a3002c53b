//! Where containers' check-ins arrive: port 80 of their gateway's address, without taking the host's port 80 from a web
//! server there. We listen on a high port, and our bridge alone redirects to it; without the right to do so we bind
//! directly, and where that fails too, check-ins are off, and we say so.
//!
//! Where the engine stands between us and its containers, they come to an address of this host, each with its token.

use crate::config::Settings;
use control::{Control, DOOR_PORT, Door, View, chain};
use engine::{Description, Limit};
use server::Limits;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use tokio::net::TcpListener;

/// How many may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Every door that there are containers for, open, and how much of it.
pub(super) async fn open(
    control: &Control,
    settings: &Settings,
    engine: &Description,
    degraded: &mut Vec<String>,
) -> Vec<(TcpListener, Limits)> {
    let mut doors = Vec::new();
    // Of a container, its way in is settled when it is created.
    let is_published = |view: &Arc<View>| view.container.is_published();
    if settings.publish.by(engine) || control.list().iter().any(is_published) {
        let aside = aside(settings.check_in_port, engine, degraded);
        doors.extend(aside.map(|listener| (listener, Limits::CHECK_IN_BY_TOKEN)));
    }
    if !engine.is_out_of_reach() {
        let at_gateway = at_gateway(control, settings.check_in_port, degraded).await;
        doors.extend(at_gateway.map(|listener| (listener, Limits::CHECK_IN)));
    }
    doors
}

/// The door on their own network, open; nothing where check-ins are off.
async fn at_gateway(control: &Control, inside: u16, degraded: &mut Vec<String>) -> Option<TcpListener> {
    let gateway = control.network().gateway;
    match redirected(control, gateway, inside).await {
        Ok(listener) => Some(listener),
        Err(why) => match bind(SocketAddrV4::new(gateway, inside)) {
            Ok(listener) => {
                control.open_door(Door { inside, listening: inside });
                degraded.push(format!(
                    "no redirect for check-ins ({why}): port {inside} of {gateway} is bound directly"
                ));
                Some(listener)
            }
            Err(error) => {
                degraded.push(format!(
                    "check-ins are off: no redirect ({why}), and {gateway}:{inside} cannot be bound ({error}); run as \
                     root, or set `check_in_port` to a free port"
                ));
                None
            }
        },
    }
}

/// The door beside the engine, open; nothing where check-ins are off.
fn aside(port: u16, engine: &Description, degraded: &mut Vec<String>) -> Option<TcpListener> {
    let (address, url) = whereabouts(port, engine)
        .inspect_err(|error| {
            degraded.push(format!(
                "check-ins are off: this host has no address that containers reach ({error}); containers that are made now never \
                 check in: give it one, and start again"
            ));
        })
        .ok()?;
    bind(address)
        .inspect(|_| tracing::info!(url, "containers check in there, each with its token"))
        .inspect_err(|error| {
            degraded.push(format!(
                "check-ins are off: {address} cannot be bound ({error}); end whatever has it and start again, or set \
                 `check_in_port`, which containers made so far do not follow"
            ));
        })
        .ok()
}

/// The address of this host that containers reach, and what they call it. The setting's usual port is no user's to bind.
pub(crate) fn whereabouts(port: u16, engine: &Description) -> io::Result<(SocketAddrV4, String)> {
    const USUAL: u16 = 80;
    let port = if port == USUAL { DOOR_PORT } else { port };
    let called =
        |address, name| (SocketAddrV4::new(address, port), format!("http://{name}:{port}/v1/check-in"));
    if engine.limits.contains(&Limit::Desktop) {
        return Ok(called(Ipv4Addr::LOCALHOST, "host.docker.internal".to_owned()));
    }
    // Nothing is sent: the kernel says from where it would be. The address is one of documentation's, RFC 5737.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(address) => Ok(called(address, address.to_string())),
        IpAddr::V6(_) => unreachable!("it was bound to IPv4"),
    }
}

async fn redirected(control: &Control, gateway: Ipv4Addr, inside: u16) -> Result<TcpListener, String> {
    let listener = listen(gateway).map_err(|error| format!("cannot listen on {gateway}: {error}"))?;
    let listening = listener.local_addr().map_err(|error| error.to_string())?.port();
    control.redirect_check_ins(inside, listening).await.map_err(|error| chain(&error))?;
    control.open_door(Door { inside, listening });
    Ok(listener)
}

/// The port that a firewall's rule may name, or any.
fn listen(gateway: Ipv4Addr) -> io::Result<TcpListener> {
    match bind(SocketAddrV4::new(gateway, DOOR_PORT)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => bind(SocketAddrV4::new(gateway, 0)),
        other => other,
    }
}

/// Podman makes a network's bridge with the first container that runs: before, nobody here has its address.
fn bind(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_freebind_v4(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
