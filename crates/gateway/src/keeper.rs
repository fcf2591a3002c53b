//! Two sockets on one port: a keeper that never listens and holds it for life, and a listener that comes and goes.
//!
//! Linux lets a second socket of ours onto the port where both have `SO_REUSEPORT` and one owner, and a stranger where both
//! have `SO_REUSEADDR`. So the keeper has the latter while it binds, to pass over what an earlier run left in TIME_WAIT,
//! and the former alone from then on.

use crate::dial::ALIVE;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;

/// How many connections may wait for us to accept them.
const BACKLOG: i32 = 1024;

/// Holds the port. [`io::ErrorKind::AddrInUse`] where somebody else does.
pub(crate) fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(false)?;
    Ok(socket)
}

/// Listens beside the keeper. Its connections inherit what is set here: `SO_REUSEADDR`, so that those in TIME_WAIT hinder no
/// later keeper, keep-alives, and that small messages go at once.
pub(crate) fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&ALIVE)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
}
