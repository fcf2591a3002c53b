//! A client's socket: hyper reads and writes it, and whoever answers may watch it meanwhile and take it over after an upgrade.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSlice, Read};
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

/// Who asks. Only for as long as the request is being answered.
#[derive(Clone, Debug)]
pub struct Client {
    /// From where.
    pub peer: SocketAddr,
    stream: Arc<TcpStream>,
}

impl Client {
    pub(crate) fn new(peer: SocketAddr, stream: &Arc<TcpStream>) -> Self {
        Self { peer, stream: Arc::clone(stream) }
    }

    /// Ready once it has closed its side. One that sends ahead hides its end behind what it sent. To be polled by the task that
    /// answers, as hyper is.
    pub fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0];
        match ready!(self.stream.poll_peek(context, &mut ReadBuf::new(&mut byte))) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(_) => Poll::Pending,
        }
    }

    /// The socket of a connection that was upgraded, and what was read from it already. None where it is still being watched.
    pub fn take_over(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
        let parts = upgraded.downcast::<TokioIo<Io>>().ok()?;
        Some((Arc::into_inner(parts.io.into_inner().0)?, parts.read_buf))
    }
}

/// The connection that a request came over, to whoever answers it with a stream.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    stream: Weak<TcpStream>,
    within: Duration,
}

impl Reader {
    pub(crate) fn new(stream: &Weak<TcpStream>, within: Duration) -> Self {
        Self { stream: Weak::clone(stream), within }
    }

    /// From now on the kernel holds little for it, and breaks the connection off once nothing of that was taken for so long.
    pub(crate) fn must_read(&self) {
        let Some(stream) = self.stream.upgrade() else { return };
        let socket = SockRef::from(&*stream);
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
pub(crate) struct Io(pub(crate) Arc<TcpStream>);

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            let mut read = None;
            // A short read has emptied the socket: said to be so, it is not read in vain before the next is waited for.
            let tried = self.0.try_io(Interest::READABLE, || {
                let room = buffer.initialize_unfilled();
                let count = (&*SockRef::from(&*self.0)).read(room)?;
                read = Some(count);
                if 0 < count && count < room.len() { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (read, tried) {
                (Some(count), _) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
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
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}

impl Io {
    fn write(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match write(&self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}
