//! A network in which few local ports are left.

use rustix::thread::UnshareFlags;
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A network of this thread's own (and of those that it starts), from which there are so few ports.
pub fn with_local_ports(range: &str) {
    #[expect(deprecated, reason = "what makes it unsafe, FILES, is not asked for")]
    let apart = rustix::thread::unshare(UnshareFlags::NEWNET);
    apart.expect("tests with a network of their own need root");
    let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(up.expect("iproute2 is installed").success());
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", range).unwrap();
}

/// From a port of one's own, which is none of those few.
pub fn connect_by(port: u16, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], port)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}
