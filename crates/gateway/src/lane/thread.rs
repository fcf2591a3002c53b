//! A lane's loop: it sees to each socket that the kernel names, and waits for nothing else.

use super::entries::{Entries, Entry, Key};
use super::lively::Uring;
use super::pair::{End, Pair, Progress};
use super::side::Side;
use super::{Lane, Order};
use crate::connection::Cut;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::retry_on_intr;
use socket2::Socket;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// What the kernel may say, and a port accept, before others have their turn.
pub(super) const AT_ONCE: usize = 64;
const BUFFER: usize = 64 * 1024;
/// Connections that last so long are watched for a container that vanished. Most are over by then, and four calls cheaper.
const LASTS: Duration = Duration::from_secs(5);
const BELL: EventData = EventData::new_u64(u64::MAX);

pub(super) struct Thread {
    pub(super) lane: Lane,
    orders: Receiver<Order>,
    runtime: Handle,
    tasks: TaskTracker,
    pub(super) epoll: OwnedFd,
    pub(super) entries: Entries,
    /// Those that let others go first.
    pub(super) again: Vec<Key>,
    /// Some connections are not watched yet, and will be.
    has_new: bool,
    /// For whoever is accepted next: it has both its descriptors then. A crowd of halves would wait for each other.
    pub(super) spare: Option<Socket>,
    /// What is copied goes through here.
    buffer: Box<[u8]>,
    pub(super) uring: Uring,
}

impl Thread {
    pub(super) fn new(
        lane: Lane,
        orders: Receiver<Order>,
        runtime: Handle,
        tasks: TaskTracker,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &lane.0.bell, BELL, EventFlags::IN)?;
        Ok(Self {
            lane,
            orders,
            runtime,
            tasks,
            epoll,
            entries: Entries::default(),
            again: Vec::new(),
            has_new: false,
            spare: None,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            uring: Uring::default(),
        })
    }

    /// Until it is told to end.
    pub(super) fn run(mut self) {
        let _ends_with_it = EndsWithIt;
        let mut events = Vec::with_capacity(AT_ONCE);
        loop {
            if !self.uring.is_in_use() {
                self.wait(&mut events, false);
            } else if self.hear() {
                self.wait(&mut events, true);
            }
            for event in events.drain(..) {
                // The fields are packed: to be copied.
                let (data, flags) = (event.data, event.flags);
                if data != BELL {
                    self.take_note(data, flags);
                } else if !self.carry_out_orders() {
                    return;
                }
            }
            for key in std::mem::take(&mut self.again) {
                self.go_on(key);
            }
        }
    }

    fn wait(&self, events: &mut Vec<Event>, at_once: bool) {
        const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = (at_once || !self.again.is_empty()).then_some(&NO_TIME);
        let waited =
            retry_on_intr(|| epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), timeout));
        waited.expect("an epoll of ours can be waited for");
    }

    /// False once it is to end.
    fn carry_out_orders(&mut self) -> bool {
        // Before they are looked at: whoever rings later is heard.
        if let Err(error) = rustix::io::read(&self.lane.0.bell, &mut [0; 8]) {
            tracing::debug!(%error, "a lane was called twice");
        }
        loop {
            match self.orders.try_recv() {
                Ok(Order::End) | Err(TryRecvError::Disconnected) => return false,
                Ok(order) => self.carry_out(order),
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Listen(port) => self.listen(port),
            Order::Accept(key) => {
                if let Some(Entry::Port(port)) = self.entries.get(key) {
                    port.is_put_off = false;
                }
                self.go_on(key);
            }
            Order::Attend(arrival) => self.attend(arrival),
            Order::Forward(pair) => self.forward(pair),
            Order::Woken(key, Ok(())) => {
                if let Some(pair) = self.entries.pair(key) {
                    pair.woke();
                }
                self.go_on(key);
            }
            Order::Woken(key, Err(cut)) => self.cut(key, &cut),
            Order::KeepAlive => self.keep_alive(),
            Order::Sweep => self.sweep(),
            Order::End => {}
        }
    }

    fn take_note(&mut self, data: EventData, flags: EventFlags) {
        let (key, end) = Key::named(data);
        if let Some(pair) = self.entries.pair(key) {
            if pair.lively.is_in_the_ring() {
                // Said before it came there, whose it is to read.
                return;
            }
            pair.side(end).note(flags);
            if pair.lively.counts() && pair.is_brisk() {
                return self.enliven(key);
            }
        }
        self.go_on(key);
    }

    /// As far as it goes: nothing where there is no such entry any more.
    pub(super) fn go_on(&mut self, key: Key) {
        let progress = match self.entries.get(key) {
            // It goes on once it is back.
            Some(Entry::Pair(pair)) if pair.lively.is_in_the_ring() => return,
            Some(Entry::Pair(pair)) => pair.go_on(&mut self.buffer),
            Some(Entry::Port(port)) if !port.is_put_off => {
                let listening = Arc::clone(&port.listening);
                return self.accept(key, &listening);
            }
            _ => return,
        };
        match progress {
            Ok(Progress::Rests) => {}
            Ok(Progress::Again) => self.again.push(key),
            Ok(Progress::Wakes) => self.wake(key),
            Ok(Progress::Over) => drop(self.remove(key)),
            Err(cut) => self.cut(key, &cut),
        }
    }

    pub(super) fn wake(&mut self, key: Key) {
        let lane = self.lane.clone();
        if let Some(pair) = self.entries.pair(key) {
            let waking = pair.wake();
            let told = async move { lane.order(Order::Woken(key, waking.await)) };
            pair.waits(self.tasks.spawn_on(told, &self.runtime).abort_handle());
        }
    }

    /// What is there already is moved before the kernel is asked to say more: with the first bytes that saves a round.
    pub(super) fn forward(&mut self, pair: Box<Pair>) {
        if pair.is_cut_off() {
            return;
        }
        let key = self.enter(pair);
        self.go_on(key);
        self.watch(key);
        if !std::mem::replace(&mut self.has_new, true) {
            self.later(LASTS, Order::KeepAlive);
        }
    }

    /// Both ends of a pair, if it is still there.
    pub(super) fn watch(&mut self, key: Key) {
        let Some(pair) = self.entries.pair(key) else { return };
        for end in End::BOTH {
            if let Err(error) = watch(&self.epoll, pair.side(end).socket(), key.name(end), Side::EVENTS) {
                return self.cut(key, &Cut::Broken(error));
            }
        }
    }

    fn keep_alive(&mut self) {
        self.has_new = false;
        self.entries.pairs().for_each(|(_, pair)| pair.keep_alive());
    }

    fn sweep(&mut self) {
        let cut_off = self.entries.pairs().filter(|(_, pair)| pair.is_cut_off()).map(|(key, _)| key);
        for key in cut_off.collect::<Vec<_>>() {
            self.remove(key);
        }
    }

    pub(super) fn later(&self, pause: Duration, order: Order) {
        let lane = self.lane.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            lane.order(order);
        });
    }

    pub(super) fn enter(&mut self, pair: Box<Pair>) -> Key {
        self.lane.0.pairs.fetch_add(1, Ordering::Relaxed);
        self.entries.enter(Entry::Pair(pair))
    }

    /// The kernel forgets its sockets as they are closed.
    pub(super) fn remove(&mut self, key: Key) -> Option<Box<Pair>> {
        let Some(Entry::Pair(pair)) = self.entries.remove(key) else { return None };
        self.uring.forget(key, &pair);
        self.lane.0.pairs.fetch_sub(1, Ordering::Relaxed);
        Some(pair)
    }

    pub(super) fn cut(&mut self, key: Key, why: &Cut) {
        if let Some(pair) = self.remove(key) {
            pair.cut(why);
        }
    }
}

/// A lane that fails leaves ports that nobody accepts on, which looks like everything else but what it is: the program ends with it, for
/// its unit to start anew.
struct EndsWithIt;

impl Drop for EndsWithIt {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a thread of the gateway failed, and the program ends");
            std::process::abort();
        }
    }
}

/// Has the kernel say, by this name, what becomes of a socket.
pub(super) fn watch(
    epoll: &OwnedFd,
    socket: impl AsFd,
    name: EventData,
    events: EventFlags,
) -> io::Result<()> {
    Ok(epoll::add(epoll, socket, name, events)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    #[ignore = "started by the test below"]
    fn fails() {
        let _ends_with_it = EndsWithIt;
        panic!("a bug");
    }

    #[test]
    fn the_program_ends_with_a_lane_that_fails() {
        const ABORTED: i32 = 6;
        let mut failing = Command::new(std::env::current_exe().unwrap());
        let ended = failing.args(["--exact", "lane::thread::tests::fails", "--ignored"]).output().unwrap();
        assert_eq!(ended.status.signal(), Some(ABORTED), "{ended:?}");
    }
}
