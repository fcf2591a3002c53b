//! Moves the bytes of one connection both ways: half-closes and resets arrive as they were sent. While its container sleeps,
//! what the client sent is kept back until it is awake.

use super::direction::{Direction, Went};
use crate::connection::Cut;
use control::{Flow, GaveUp, Target};
use socket2::SockRef;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Forwards until both sides have ended; an error where one is broken or the container does not wake. Both are to be closed
/// then. The first read is made at once: the runtime takes an accepted stream for readable.
pub(crate) async fn forward(
    client: &TcpStream,
    container: &TcpStream,
    flow: &Flow,
    target: &Target,
) -> Result<(), Cut> {
    let mut mover = Mover {
        client,
        container,
        flow,
        target,
        inward: Direction::default(),
        outward: Direction::default(),
        passed_on: [false; 2],
        waking: None,
        broken: None,
    };
    poll_fn(|context| mover.poll(context)).await
}

/// Comes back when the client's side is broken. A client that only closed its sending side still waits for an answer.
pub(crate) async fn broken(client: &TcpStream) {
    if let Err(error) = client.ready(Interest::ERROR).await {
        tracing::debug!(%error, "a client's socket cannot be watched");
    }
}

/// What few connections have at any time is boxed: an idle one is small.
struct Mover<'a> {
    client: &'a TcpStream,
    container: &'a TcpStream,
    flow: &'a Flow,
    target: &'a Target,
    inward: Direction,
    outward: Direction,
    /// Whether the client's end was passed on, and the container's.
    passed_on: [bool; 2],
    waking: Option<Boxed<'a, Result<(), Cut>>>,
    broken: Option<Boxed<'a, ()>>,
}

impl Mover<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        let inward = self.poll_inward(context);
        let outward = self.poll_outward(context);
        match (inward?, outward?) {
            // Both are closed next: that the second has ended need not be said before.
            (Poll::Ready(()), Poll::Ready(())) => return Poll::Ready(Ok(())),
            (Poll::Ready(()), Poll::Pending) => pass_on_end(self.container, &mut self.passed_on[0])?,
            (Poll::Pending, Poll::Ready(())) => pass_on_end(self.client, &mut self.passed_on[1])?,
            (Poll::Pending, Poll::Pending) => {}
        }
        if self.is_broken(context) {
            return Poll::Ready(Err(Cut::Broken(ErrorKind::ConnectionReset.into())));
        }
        Poll::Pending
    }

    fn poll_inward(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        loop {
            if let Some(waking) = &mut self.waking {
                ready!(waking.as_mut().poll(context))?;
                self.waking = None;
            }
            let open = |bytes| self.flow.inward(bytes);
            let went = self.inward.poll(context, self.client, self.container, open)?;
            // What waits for room in one that freezes meanwhile would wait for good: nothing more is read that would wake it.
            let is_stuck = !self.flow.holds(self.inward.is_blocked());
            match went {
                // One that sleeps would never close its side.
                Poll::Ready(Went::ToTheEnd) if self.passed_on[0] || self.flow.hangs_up() => {
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending if !is_stuck => return Poll::Pending,
                _ => self.waking = Some(Box::pin(wake(self.target, self.flow))),
            }
        }
    }

    fn poll_outward(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        let open = |bytes| {
            self.flow.outward(bytes);
            true
        };
        ready!(self.outward.poll(context, self.container, self.client, open))?;
        Poll::Ready(Ok(()))
    }

    /// While nothing more is read from the client, and once it has ended its side, its reset shows nowhere else.
    fn is_broken(&mut self, context: &mut Context<'_>) -> bool {
        if !self.inward.is_blocked() && !self.passed_on[0] {
            self.broken = None;
            return false;
        }
        let client = self.client;
        self.broken.get_or_insert_with(|| Box::pin(broken(client))).as_mut().poll(context).is_ready()
    }
}

async fn wake(target: &Target, flow: &Flow) -> Result<(), Cut> {
    let patience = target.traffic.wake_timeout();
    let woken = tokio::time::timeout(patience, target.wake(flow)).await;
    let woken = woken.inspect_err(|_| target.gave_up(flow, GaveUp::NotAwake(patience)));
    woken.map_err(|_| Cut::TooLate)?.map_err(Cut::Asleep)
}

fn pass_on_end(to: &TcpStream, passed_on: &mut bool) -> io::Result<()> {
    if !std::mem::replace(passed_on, true) {
        SockRef::from(to).shutdown(Shutdown::Write)?;
    }
    Ok(())
}
