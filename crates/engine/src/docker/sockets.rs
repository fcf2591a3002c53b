//! The sockets of a container, asked of the kernel within the container's network, through one netlink socket a run. The
//! container itself is not needed for it: it may be frozen.

use super::Docker;
use super::bodies::{blocking, lock};
use super::inside::inside;
use super::process::Process;
use crate::{EngineError, Result, Socket, SocketKind};
use model::EngineId;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{
    AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_LAST_ACK,
    TCP_LISTEN,
};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::time::Duration;

/// As much as the kernel puts into one answer.
const ANSWER: usize = 32 * 1024;
/// The kernel answers at once.
const WITHIN: Duration = Duration::from_secs(1);
/// Where these stand in the kernel's `struct tcp_info`, in milliseconds. Older kernels give a shorter one.
const LAST_DATA_SENT: usize = 44;
const LAST_DATA_RECEIVED: usize = 52;

/// The netlink socket, once it is needed; it keeps the container's network alive. One asks at a time.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<Option<OwnedFd>>);

impl Docker {
    pub(super) async fn sockets_of(&self, id: &EngineId) -> Result<Option<Vec<Socket>>> {
        let Some(run) = self.run(id).await? else { return Ok(None) };
        match blocking(move || run.sockets.ask(&run.process)).await {
            Ok(sockets) => Ok(Some(sockets)),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(EngineError::NotFound { what: format!("running container: {id}") })
            }
            Err(source) => Err(EngineError::Host {
                doing: "ask the kernel about the container's sockets".into(),
                source: source.into(),
            }),
        }
    }
}

impl Asked {
    fn ask(&self, process: &Process) -> io::Result<Vec<Socket>> {
        let mut asked = lock(&self.0);
        let netlink = match asked.take() {
            Some(netlink) => netlink,
            None => inside(&process.network()?, open)??,
        };
        let mut sockets = Vec::new();
        for protocol in [IPPROTO_TCP, IPPROTO_UDP] {
            for family in [AF_INET, AF_INET6] {
                dump(&netlink, family, protocol, &mut sockets)?;
            }
        }
        // After an error there may be more to come: the next one asks on a new one.
        *asked = Some(netlink);
        Ok(sockets)
    }
}

fn open() -> io::Result<OwnedFd> {
    let netlink = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    set_socket_timeout(&netlink, Timeout::Recv, Some(WITHIN))?;
    Ok(netlink)
}

fn dump(netlink: &OwnedFd, family: u8, protocol: u8, sockets: &mut Vec<Socket>) -> io::Result<()> {
    rustix::net::send(netlink, &request(family, protocol), SendFlags::empty())?;
    let mut answer = vec![0; ANSWER];
    loop {
        let (_, length) = rustix::net::recv(netlink, &mut answer, RecvFlags::TRUNC)?;
        let mut rest = answer.get(..length).ok_or(ErrorKind::InvalidData)?;
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            rest = rest.get(padded(message.header.length)..).unwrap_or_default();
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(told)) => {
                    sockets.push(socket(&told, protocol));
                }
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return unless_unknown(error.to_io()),
                _ => {}
            }
        }
    }
}

/// A kernel without IPv6, say, has no such sockets.
fn unless_unknown(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Messages begin at multiples of four.
fn padded(length: u32) -> usize {
    (length as usize).next_multiple_of(4)
}

fn request(family: u8, protocol: u8) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let socket_id = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    let extensions = if protocol == IPPROTO_TCP { ExtensionFlags::INFO } else { ExtensionFlags::empty() };
    // Those in TIME_WAIT are nobody's any more, and may be many.
    let states = StateFlags::all() - StateFlags::TIME_WAIT;
    let asked = InetRequest { family, protocol, extensions, states, socket_id };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(asked).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn socket(told: &InetResponse, protocol: u8) -> Socket {
    let id = &told.header.socket_id;
    let peer = address(id.destination_address, id.destination_port);
    let kind = kind(protocol, told.header.state);
    let info = told.nlas.iter().find_map(|nla| match nla {
        Nla::TcpInfo(info) if kind != SocketKind::Listening => Some(info.as_slice()),
        _ => None,
    });
    Socket {
        local: address(id.source_address, id.source_port),
        peer: (peer.port() != 0).then_some(peer),
        kind,
        unread: unread(told),
        last_received: info.and_then(|info| millis(info, LAST_DATA_RECEIVED)),
        last_sent: info.and_then(|info| millis(info, LAST_DATA_SENT)),
    }
}

/// To the kernel, an end that was not read yet is a byte; to whoever asks whether something waits, it is nothing. It has come
/// in these states, whether or not the application has ended its own side too.
fn unread(told: &InetResponse) -> u32 {
    let has_ended = matches!(told.header.state, TCP_CLOSE_WAIT | TCP_LAST_ACK | TCP_CLOSING);
    told.header.recv_queue.saturating_sub(has_ended.into())
}

/// IPv4 through an IPv6 socket is IPv4.
fn address(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.to_canonical(), port)
}

fn kind(protocol: u8, state: u8) -> SocketKind {
    match (protocol, state) {
        (IPPROTO_UDP, _) => SocketKind::Datagrams,
        (_, TCP_LISTEN) => SocketKind::Listening,
        (_, TCP_ESTABLISHED) => SocketKind::Established,
        (_, TCP_CLOSE_WAIT) => SocketKind::HalfClosed,
        _ => SocketKind::Other,
    }
}

fn millis(info: &[u8], at: usize) -> Option<Duration> {
    let bytes = info.get(at..)?.first_chunk()?;
    Some(Duration::from_millis(u32::from_ne_bytes(*bytes).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    /// Of this process's own network.
    fn sockets() -> Vec<Socket> {
        let netlink = open().unwrap();
        let mut sockets = Vec::new();
        for (family, protocol) in [(AF_INET, IPPROTO_TCP), (AF_INET6, IPPROTO_TCP), (AF_INET, IPPROTO_UDP)] {
            dump(&netlink, family, protocol, &mut sockets).unwrap();
        }
        sockets
    }

    fn at(local: SocketAddr, peer: Option<SocketAddr>) -> Option<Socket> {
        sockets().into_iter().find(|socket| socket.local == local && socket.peer == peer)
    }

    #[test]
    fn what_waits_to_be_read_and_accepted_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = listener.local_addr().unwrap();
        assert_eq!(at(door, None).unwrap().unread, 0);
        let mut client = TcpStream::connect(door).unwrap();
        let listening = at(door, None).unwrap();
        assert_eq!((listening.kind, listening.unread, listening.last_sent), (SocketKind::Listening, 1, None));
        let (mut server, peer) = listener.accept().unwrap();
        client.write_all(b"five!").unwrap();
        let served = at(door, Some(peer)).unwrap();
        assert_eq!((served.kind, served.unread), (SocketKind::Established, 5));
        server.read_exact(&mut [0; 5]).unwrap();
        let received_long_ago = |socket: &Socket| socket.last_received >= Some(Duration::from_millis(40));
        while !at(door, Some(peer)).is_some_and(|socket| received_long_ago(&socket)) {
            std::thread::yield_now();
        }
        server.write_all(b"answer").unwrap();
        let answered = at(door, Some(peer)).unwrap();
        assert_eq!(answered.unread, 0);
        assert!(answered.last_sent.unwrap() < answered.last_received.unwrap(), "{answered:?}");
        client.write_all(b"bye").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        while at(door, Some(peer)).unwrap().kind != SocketKind::HalfClosed {
            std::thread::yield_now();
        }
        assert_eq!(at(door, Some(peer)).unwrap().unread, 3);
        server.read_exact(&mut [0; 3]).unwrap();
        assert_eq!(at(door, Some(peer)).unwrap().unread, 0, "an end is no byte");
        server.read_to_end(&mut Vec::new()).unwrap();
        let half_closed = at(door, Some(peer)).unwrap();
        assert!(
            half_closed.last_sent.unwrap() >= half_closed.last_received.unwrap(),
            "its last words wait for an answer: {half_closed:?}"
        );
    }

    #[test]
    fn ipv4_through_an_ipv6_socket_is_ipv4_and_datagrams_are_counted() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let served = at(SocketAddr::from(([127, 0, 0, 1], port)), Some(client.local_addr().unwrap()));
        assert_eq!(served.unwrap().kind, SocketKind::Established);
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr().unwrap();
        assert_eq!(at(to, None).unwrap().unread, 0);
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"mail", to).unwrap();
        let received = at(to, None).unwrap();
        assert!(received.kind == SocketKind::Datagrams && received.unread > 0, "{received:?}");
    }

    #[test]
    fn an_older_kernels_shorter_answer_is_none() {
        assert_eq!(millis(&[0; 55], LAST_DATA_RECEIVED), None);
        assert_eq!(millis(&[0; 56], LAST_DATA_RECEIVED), Some(Duration::ZERO));
    }
}
