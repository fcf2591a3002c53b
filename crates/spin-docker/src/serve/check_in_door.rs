//! Where containers' check-ins arrive: port 80 of their gateway's address, without taking the host's port 80 from a web
//! server there. We listen on a high port, and our bridge alone redirects to it; without the right to do so we bind
//! directly, and where that fails too, check-ins are off, and we say so.
//!
//! Where the engine stands between us and its containers, they come to an address of this host, each with its token.

use control::{Control, DOOR_PORT, Door, chain};
use engine::{Description, Limit};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use tokio::net::TcpListener;

/// How many may wait to be accepted.
const BACKLOG: i32 = 1024;

/// The door, open; nothing where check-ins are off.
pub(super) async fn open(control: &Control, inside: u16, degraded: &mut Vec<String>) -> Option<TcpListener> {
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

/// The door beside the engine, and what containers call it.
pub(super) struct Aside {
    pub(super) listener: TcpListener,
    pub(super) url: String,
}

/// The same, open; nothing where check-ins are off. Containers keep the URL for life, so its port is always the same.
pub(super) fn aside(port: u16, engine: &Description, degraded: &mut Vec<String>) -> Option<Aside> {
    let opened = whereabouts(port, engine).and_then(|(address, url)| {
        let listener = bind(address)
            .map_err(|error| io::Error::other(format!("{address} cannot be bound ({error})")))?;
        Ok(Aside { listener, url })
    });
    match opened {
        Ok(aside) => {
            tracing::info!(url = aside.url, "containers check in there, each with its token");
            Some(aside)
        }
        Err(why) => {
            degraded.push(format!("check-ins are off: {why}; set `check_in_port` to a free port"));
            None
        }
    }
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
