//! One connection that is being forwarded: its two sockets, and the bytes between them, both ways. Half-closes and resets arrive as
//! they were sent. While its container sleeps, what the client sent is kept back until it is awake.

use super::direction::{Direction, Take, Went};
use super::lively::Lively;
use super::side::Side;
use crate::connection::{Cut, report, reset};
use crate::connections::Connections;
use crate::dial;
use control::{Flow, GaveUp, Target};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use tokio::task::AbortHandle;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// What is forwarded, and for whom.
pub(crate) struct Pair {
    client: Side,
    container: Side,
    flow: Arc<Flow>,
    target: Target,
    inward: Direction,
    outward: Direction,
    /// Whether the client's end was passed on, and the container's.
    passed_on: [bool; 2],
    waking: Option<Waking>,
    is_kept_alive: bool,
    pub(super) lively: Lively,
    /// Those that are cut off with it.
    among: Arc<Connections>,
    /// The gateway ends after it.
    _counted: TaskTrackerToken,
}

/// Which of the two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Container,
}

/// How a pair went on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Until the kernel says more.
    Rests,
    /// It goes on once others had their turn.
    Again,
    /// Once its container is awake.
    Wakes,
    /// Both sides have ended.
    Over,
}

/// Somebody waits for the container on its behalf, and need not once this is dropped.
struct Waking(AbortHandle);

impl Drop for Waking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl End {
    pub(super) const BOTH: [Self; 2] = [Self::Client, Self::Container];

    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Container,
            Self::Container => Self::Client,
        }
    }
}

impl Pair {
    pub(crate) fn new(
        client: TcpStream,
        container: TcpStream,
        (flow, target): (Arc<Flow>, Target),
        (among, counted): (Arc<Connections>, TaskTrackerToken),
    ) -> Self {
        Self {
            client: Side::new(client, true),
            container: Side::new(container, false),
            flow,
            target,
            inward: Direction::default(),
            outward: Direction::default(),
            passed_on: [false; 2],
            waking: None,
            is_kept_alive: false,
            lively: Lively::default(),
            among,
            _counted: counted,
        }
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.among.is_cut_off()
    }

    pub(super) fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::Client => &mut self.client,
            End::Container => &mut self.container,
        }
    }

    /// Moves what there is to move; an error where one side is broken. It is to be dropped then, as it is when it is over.
    pub(super) fn go_on(&mut self, buffer: &mut [u8]) -> Result<Progress, Cut> {
        let inward = self.go_inward(buffer)?;
        let outward = self.go_outward(buffer)?;
        match (inward == Progress::Over, outward == Progress::Over) {
            // Both are closed next: that the second has ended need not be said before.
            (true, true) => return Ok(Progress::Over),
            (true, false) => pass_on_end(&self.container, &mut self.passed_on[0])?,
            (false, true) => pass_on_end(&self.client, &mut self.passed_on[1])?,
            (false, false) => {}
        }
        if self.is_broken() {
            return Err(Cut::Broken(ErrorKind::ConnectionReset.into()));
        }
        Ok(match (inward, outward) {
            (Progress::Wakes, _) => Progress::Wakes,
            (Progress::Again, _) | (_, Progress::Again) => Progress::Again,
            _ => Progress::Rests,
        })
    }

    /// Whether only small messages move both ways, and neither side has ended.
    pub(super) fn is_brisk(&self) -> bool {
        let are_open = !self.client.ends() && !self.container.ends() && self.passed_on == [false; 2];
        are_open && self.waking.is_none() && self.inward.is_brisk() && self.outward.is_brisk()
    }

    /// Takes what was received from one end. `is_sending` where what was received before it is not sent yet.
    pub(super) fn take(&mut self, from: End, bytes: &[u8], is_sending: bool) -> Take {
        match from {
            End::Client => self.inward.take(bytes, is_sending, |bytes| self.flow.inward(bytes)),
            End::Container => self.outward.take(bytes, is_sending, |bytes| {
                self.flow.outward(bytes);
                true
            }),
        }
    }

    /// This end did not take these bytes.
    pub(super) fn take_back(&mut self, to: End, unsent: &[u8]) {
        match to {
            End::Client => self.outward.take_back(unsent),
            End::Container => self.inward.take_back(unsent),
        }
    }

    /// Has this end take what is left for it, but for a container that sleeps; whether nothing is left.
    pub(super) fn flush(&mut self, to: End) -> io::Result<bool> {
        match to {
            End::Container if self.waking.is_some() => Ok(false),
            End::Client => self.outward.flush(&mut self.client),
            End::Container => self.inward.flush(&mut self.container),
        }
    }

    pub(super) fn is_waking(&self) -> bool {
        self.waking.is_some()
    }

    fn go_inward(&mut self, buffer: &mut [u8]) -> io::Result<Progress> {
        if self.waking.is_some() {
            return Ok(Progress::Rests);
        }
        let open = |bytes| self.flow.inward(bytes);
        let went = self.inward.go(&mut self.client, &mut self.container, buffer, open)?;
        // What waits for room in one that freezes meanwhile would wait for good: nothing more is read that would wake it.
        let is_stuck = !self.flow.holds(self.inward.is_blocked());
        Ok(match went {
            // One that sleeps would never close its side.
            Went::ToTheEnd if self.passed_on[0] || self.flow.hangs_up() => Progress::Over,
            Went::AsFarAsItGoes if !is_stuck => Progress::Rests,
            Went::ItsTurn if !is_stuck => Progress::Again,
            _ => Progress::Wakes,
        })
    }

    fn go_outward(&mut self, buffer: &mut [u8]) -> io::Result<Progress> {
        let open = |bytes| {
            self.flow.outward(bytes);
            true
        };
        Ok(match self.outward.go(&mut self.container, &mut self.client, buffer, open)? {
            Went::ToTheEnd => Progress::Over,
            Went::ItsTurn => Progress::Again,
            Went::AsFarAsItGoes | Went::ToTheGate => Progress::Rests,
        })
    }

    /// The client's side is from its accept. Cheap where it was done before.
    pub(super) fn keep_alive(&mut self) {
        if !std::mem::replace(&mut self.is_kept_alive, true) {
            dial::keep_alive(self.container.socket());
        }
    }

    /// While nothing more is read from the client, and once it has ended its side, its reset shows nowhere else.
    fn is_broken(&self) -> bool {
        (self.inward.is_blocked() || self.passed_on[0]) && self.client.is_broken()
    }

    /// Has the container awake for it, within the wake timeout.
    pub(super) fn wake(&self) -> impl Future<Output = Result<(), Cut>> + Send + 'static {
        let (flow, target) = (Arc::clone(&self.flow), self.target.clone());
        async move {
            let patience = target.traffic.wake_timeout();
            let woken = tokio::time::timeout(patience, target.wake(&flow)).await;
            let woken = woken.inspect_err(|_| target.gave_up(&flow, GaveUp::NotAwake(patience)));
            woken.map_err(|_| Cut::TooLate)?.map_err(Cut::Asleep)
        }
    }

    pub(super) fn waits(&mut self, waking: AbortHandle) {
        self.waking = Some(Waking(waking));
    }

    pub(super) fn woke(&mut self) {
        self.waking = None;
    }

    /// Either side learns that it did not come to its own end.
    pub(super) fn cut(self, why: &Cut) {
        report(why, self.flow.peer(), self.target.address);
        reset(self.container.socket());
        reset(self.client.socket());
    }
}

fn pass_on_end(to: &Side, passed_on: &mut bool) -> io::Result<()> {
    if !std::mem::replace(passed_on, true) {
        to.socket().shutdown(Shutdown::Write)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With its two sockets in the kernel, and what the control keeps of it.
    const FITS: usize = 144;

    #[test]
    fn a_connection_at_rest_is_small() {
        assert!(size_of::<Pair>() <= FITS, "{} bytes", size_of::<Pair>());
    }
}
