//! Moves the bytes of one connection both ways: half-closes and resets arrive as they were sent, and an idle connection
//! owns no buffer.
//!
//! One task serves both directions. Each reads into a buffer that its thread shares, and writes at once; what the other
//! side did not take is kept, and nothing more is read until it has gone.

use control::{Flow, Target};
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;

const BUFFER: usize = 64 * 1024;
/// A direction that moved so much lets others go first.
const TURN: usize = 1024 * 1024;

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into_boxed_slice());
}

/// Forwards until both sides have ended, or one is broken: then both are reset.
pub(crate) async fn forward(client: TcpStream, container: TcpStream, _: &Target, flow: &Flow) {
    prepare(&client, &container);
    let (mut inward, mut outward) = (Direction::default(), Direction::default());
    let mut broken = pin!(broken(&client));
    let moved = poll_fn(|context| {
        let inward_now = inward.poll(context, &client, &container, flow);
        let outward_now = outward.poll(context, &container, &client, flow);
        // While nothing more is read from the client, its reset shows nowhere else.
        if inward.is_blocked() && broken.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        match (inward_now, outward_now) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    });
    if let Err(error) = moved.await {
        tracing::debug!(%error, "a connection was reset");
        reset(&client);
        reset(&container);
    }
}

/// Comes back when the client's side is broken. A client that only closed its sending side still waits for an answer.
pub(crate) async fn broken(client: &TcpStream) {
    if let Err(error) = client.ready(Interest::ERROR).await {
        tracing::debug!(%error, "a client's socket cannot be watched");
    }
}

/// Small messages go at once. Whoever vanished without a word is noticed within two minutes: a connection that looks open
/// keeps its container awake. BBR, where it is the host's default, would pace even the way to a bridge.
fn prepare(client: &TcpStream, container: &TcpStream) {
    const ALIVE: TcpKeepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10))
        .with_retries(6);
    let options = [client, container].map(|stream| {
        stream.set_nodelay(true).and_then(|()| SockRef::from(stream).set_tcp_keepalive(&ALIVE))
    });
    let cubic = SockRef::from(container).set_tcp_congestion(b"cubic");
    for result in options.into_iter().chain([cubic]) {
        if let Err(error) = result {
            tracing::debug!(%error, "a socket option was not taken");
        }
    }
}

/// The other side's next read says that the connection was reset, instead of a clean end that never was.
fn reset(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection is closed in order instead");
    }
}

#[derive(Default)]
struct Direction {
    /// What the other side did not take yet, and how much of it has gone since.
    left: Vec<u8>,
    gone: usize,
    ended: bool,
    closed: bool,
}

impl Direction {
    /// Nothing more is read until the other side takes what is left.
    fn is_blocked(&self) -> bool {
        !self.left.is_empty()
    }

    /// Ready once the end of `from` has been passed on. A finished direction may be polled again.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
        flow: &Flow,
    ) -> Poll<io::Result<()>> {
        let mut moved = 0;
        loop {
            ready!(self.flush(context, to))?;
            if self.ended {
                return Poll::Ready(self.close(to));
            }
            if moved >= TURN {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(from.poll_read_ready(context))?;
            moved += self.move_some(from, to, flow)?;
        }
    }

    fn flush(&mut self, context: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<()>> {
        while self.gone < self.left.len() {
            ready!(to.poll_write_ready(context))?;
            match to.try_write(&self.left[self.gone..]) {
                Ok(count) => self.gone += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // An idle connection owns no buffer.
        self.left = Vec::new();
        self.gone = 0;
        Poll::Ready(Ok(()))
    }

    fn move_some(&mut self, from: &TcpStream, to: &TcpStream, flow: &Flow) -> io::Result<usize> {
        SHARED.with_borrow_mut(|buffer| {
            let count = match from.try_read(buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) => return Err(error),
            };
            self.ended = count == 0;
            // Counted before they are forwarded: whoever looks in between must see that it is in use.
            flow.inward(count);
            self.pass_on(&buffer[..count], to)?;
            Ok(count)
        })
    }

    fn pass_on(&mut self, bytes: &[u8], to: &TcpStream) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let taken = match to.try_write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.left.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    fn close(&mut self, to: &TcpStream) -> io::Result<()> {
        if !std::mem::replace(&mut self.closed, true) {
            SockRef::from(to).shutdown(Shutdown::Write)?;
        }
        Ok(())
    }
}
