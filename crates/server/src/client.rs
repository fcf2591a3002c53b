//! A client's socket: hyper reads and writes it, and whoever answers may watch it meanwhile and take it over after an upgrade.

use crate::lull::{Lull, UnderWay};
use axum::http::HeaderValue;
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A head and a body of together so many bytes are written in one piece.
const SHORT: usize = 4096;
/// Bytes of a stream that its reader has not taken yet.
const HELD: usize = 16 * 1024;

/// A connection's socket, and who is at its other end.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Its address, as text.
    pub(crate) address: HeaderValue,
}

/// Who asks. Only for as long as the request is being answered.
#[derive(Debug)]
pub struct Client {
    socket: Arc<Socket>,
    _under_way: UnderWay,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        let address = peer.ip().to_canonical().to_string();
        Self { stream, peer, address: HeaderValue::try_from(address).expect("an address is header text") }
    }
}

impl Client {
    pub(crate) fn new(socket: Arc<Socket>, under_way: UnderWay) -> Self {
        Self { socket, _under_way: under_way }
    }

    /// From where.
    pub fn peer(&self) -> SocketAddr {
        self.socket.peer
    }

    /// The address of that, as text.
    pub fn address(&self) -> HeaderValue {
        self.socket.address.clone()
    }

    /// Ready once it has closed its side. One that sends ahead hides its end behind what it sent. To be polled by the task that
    /// answers, as hyper is.
    pub fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0];
        match ready!(self.socket.stream.poll_peek(context, &mut ReadBuf::new(&mut byte))) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(_) => Poll::Pending,
        }
    }

    /// The socket of a connection that was upgraded, and what was read from it already. None where it is still being watched.
    pub fn take_over(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
        let parts = upgraded.downcast::<TokioIo<Io>>().ok()?;
        Some((Arc::into_inner(parts.io.into_inner().socket)?.stream, parts.read_buf))
    }
}

/// The connection that a request came over, to whoever answers it with a stream.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    socket: Weak<Socket>,
    within: Duration,
}

impl Reader {
    pub(crate) fn new(socket: &Weak<Socket>, within: Duration) -> Self {
        Self { socket: Weak::clone(socket), within }
    }

    /// From now on the kernel holds little for it, and breaks the connection off once nothing of that was taken for so long.
    pub(crate) fn must_read(&self) {
        let Some(socket) = self.socket.upgrade() else { return };
        let socket = SockRef::from(&socket.stream);
        for error in [socket.set_send_buffer_size(HELD), socket.set_tcp_user_timeout(Some(self.within))]
            .into_iter()
            .filter_map(Result::err)
        {
            tracing::debug!(%error, "a reader that does not read is not noticed");
        }
    }
}

/// What hyper is given.
#[derive(Debug)]
pub(crate) struct Io {
    socket: Arc<Socket>,
    lull: Arc<Lull>,
}

impl Io {
    pub(crate) fn new(socket: Arc<Socket>, lull: Arc<Lull>) -> Self {
        Self { socket, lull }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.stream.poll_read_ready(context))?;
            let (room, mut read) = (buffer.remaining(), None);
            // A short read has emptied the socket: said to be so, it is not read in vain before the next is waited for.
            let tried = self.socket.stream.try_io(Interest::READABLE, || {
                let count = self.socket.stream.try_read_buf(buffer)?;
                read = Some(count);
                if 0 < count && count < room { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (read, tried) {
                (Some(_), _) => return Poll::Ready(Ok(())),
                (None, Err(error)) if error.kind() == ErrorKind::WouldBlock => {}
                (None, tried) => return Poll::Ready(tried),
            }
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        match parts {
            [one] => self.write(context, |stream| stream.try_write(one)),
            several if length <= SHORT => {
                let mut piece = Vec::with_capacity(length);
                several.iter().for_each(|part| piece.extend_from_slice(part));
                self.write(context, |stream| stream.try_write(&piece))
            }
            several => self.write(context, |stream| stream.try_write_vectored(several)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.socket.stream).shutdown(Shutdown::Write))
    }
}

impl Io {
    fn write(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.socket.stream.poll_write_ready(context)?.is_pending() {
                self.lull.hold_up();
                return Poll::Pending;
            }
            match write(&self.socket.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => {
                    self.lull.go_on();
                    return Poll::Ready(done);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_told_as_what_it_is() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        for (peer, told) in
            [("[::ffff:10.0.0.1]:5", "10.0.0.1"), ("10.0.0.1:5", "10.0.0.1"), ("[fe80::1]:5", "fe80::1")]
        {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            assert_eq!(Socket::new(stream, peer.parse().unwrap()).address, told);
        }
    }
}
