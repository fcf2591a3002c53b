//! A lane's loop: it sees to each socket that the kernel names, and waits for nothing else.

use super::pair::{End, Pair, Progress};
use super::side::Side;
use super::{Lane, Order};
use crate::connection::Cut;
use crate::dial;
use crate::listener::{Arrival, Listening};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, retry_on_intr};
use slab::Slab;
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
const AT_ONCE: usize = 64;
const BUFFER: usize = 64 * 1024;
/// After an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that last so long are watched for a container that vanished. Most are over by then, and four calls cheaper.
const LASTS: Duration = Duration::from_secs(5);
const BELL: EventData = EventData::new_u64(u64::MAX);

/// An entry, among all that there ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    at: u32,
    serial: u32,
}

enum Entry {
    Port(Port),
    Pair(Box<Pair>),
}

struct Port {
    listening: Arc<Listening>,
    /// It accepts nobody until it is told to.
    is_put_off: bool,
}

pub(super) struct Thread {
    lane: Lane,
    orders: Receiver<Order>,
    runtime: Handle,
    tasks: TaskTracker,
    epoll: OwnedFd,
    entries: Slab<(u32, Entry)>,
    serial: u32,
    /// Those that let others go first.
    again: Vec<Key>,
    /// Some connections are not watched yet, and will be.
    has_new: bool,
    /// For whoever is accepted next: it has both its descriptors then. A crowd of halves would wait for each other.
    spare: Option<Socket>,
    /// What is copied goes through here.
    buffer: Box<[u8]>,
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
            entries: Slab::new(),
            serial: 0,
            again: Vec::new(),
            has_new: false,
            spare: None,
            buffer: vec![0; BUFFER].into_boxed_slice(),
        })
    }

    /// Until it is told to end.
    pub(super) fn run(mut self) {
        let _ends_with_it = EndsWithIt;
        let mut events = Vec::with_capacity(AT_ONCE);
        loop {
            self.wait(&mut events);
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

    fn wait(&self, events: &mut Vec<Event>) {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = (!self.again.is_empty()).then_some(&at_once);
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
                if let Some(Entry::Port(port)) = self.entry(key) {
                    port.is_put_off = false;
                }
                self.go_on(key);
            }
            Order::Attend(arrival) => self.attend(arrival),
            Order::Forward(pair) => self.forward(pair),
            Order::Woken(key, Ok(())) => {
                if let Some(Entry::Pair(pair)) = self.entry(key) {
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
        let (key, end) = named(data);
        if let Some(Entry::Pair(pair)) = self.entry(key) {
            pair.side(end).note(flags);
        }
        self.go_on(key);
    }

    /// As far as it goes: nothing where there is no such entry any more.
    fn go_on(&mut self, key: Key) {
        let progress = match self.entries.get_mut(key.at as usize) {
            Some((serial, Entry::Pair(pair))) if *serial == key.serial => pair.go_on(&mut self.buffer),
            Some((serial, Entry::Port(port))) if *serial == key.serial && !port.is_put_off => {
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

    fn wake(&mut self, key: Key) {
        let lane = self.lane.clone();
        if let Some((_, Entry::Pair(pair))) = self.entries.get_mut(key.at as usize) {
            let waking = pair.wake();
            let told = async move { lane.order(Order::Woken(key, waking.await)) };
            pair.waits(self.tasks.spawn_on(told, &self.runtime).abort_handle());
        }
    }

    /// What is there already is moved before the kernel is asked to say more: with the first bytes that saves a round.
    fn forward(&mut self, pair: Box<Pair>) {
        if pair.is_cut_off() {
            return;
        }
        let key = self.enter(Entry::Pair(pair));
        self.go_on(key);
        let epoll = &self.epoll;
        if let Some((serial, Entry::Pair(pair))) = self.entries.get_mut(key.at as usize)
            && *serial == key.serial
            && let Err(error) = [End::Client, End::Container]
                .into_iter()
                .try_for_each(|end| watch(epoll, pair.side(end).socket(), name(key, end), Side::EVENTS))
        {
            self.cut(key, &Cut::Broken(error));
        }
        if !std::mem::replace(&mut self.has_new, true) {
            self.later(LASTS, Order::KeepAlive);
        }
    }

    fn keep_alive(&mut self) {
        self.has_new = false;
        for (_, (_, entry)) in &mut self.entries {
            if let Entry::Pair(pair) = entry {
                pair.keep_alive();
            }
        }
    }

    fn sweep(&mut self) {
        let cut_off = self.entries.iter().filter_map(|(at, (serial, entry))| match entry {
            Entry::Pair(pair) if pair.is_cut_off() => Some(Key::new(at, *serial)),
            _ => None,
        });
        for key in cut_off.collect::<Vec<_>>() {
            self.remove(key);
        }
    }

    fn listen(&mut self, listening: Arc<Listening>) {
        let key = self.enter(Entry::Port(Port { listening: Arc::clone(&listening), is_put_off: false }));
        let watched =
            watch(&self.epoll, listening.socket(), name(key, End::Client), EventFlags::IN | EventFlags::ET);
        if let Err(error) = watched {
            self.remove(key);
            listening.cannot_accept(&error);
            self.later(PAUSE, Order::Listen(listening));
        }
    }

    fn accept(&mut self, key: Key, listening: &Arc<Listening>) {
        for _ in 0..AT_ONCE {
            match self.accept_one(listening) {
                Ok(Some(arrival)) => self.welcome(arrival),
                Ok(None) => return,
                // It listens no more.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                    return drop(self.remove(key));
                }
                Err(error) => {
                    listening.cannot_accept(&error);
                    return self.put_off(key);
                }
            }
        }
        self.again.push(key);
    }

    fn accept_one(&mut self, listening: &Arc<Listening>) -> io::Result<Option<Arrival>> {
        let spare = self.spare.take().map_or_else(dial::socket, Ok)?;
        match listening.accept() {
            Ok(Some((client, peer))) => Ok(Some(Arrival { client, spare, peer, at: Arc::clone(listening) })),
            other => {
                self.spare = Some(spare);
                other.map(|_| None)
            }
        }
    }

    fn put_off(&mut self, key: Key) {
        if let Some(Entry::Port(port)) = self.entry(key) {
            port.is_put_off = true;
            self.later(PAUSE, Order::Accept(key));
        }
    }

    fn later(&self, pause: Duration, order: Order) {
        let lane = self.lane.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            lane.order(order);
        });
    }

    fn welcome(&mut self, arrival: Arrival) {
        if arrival.is_refused() {
            tracing::debug!(peer = %arrival.peer, "turned away: containers may not reach endpoints");
            self.spare = Some(arrival.spare);
            return;
        }
        let at = Arc::clone(&arrival.at);
        let place = at.place(&self.lane);
        if place.is(&self.lane) { self.attend(arrival) } else { place.attend(arrival) }
    }

    fn attend(&mut self, arrival: Arrival) {
        if let Some(pair) = arrival.attend(&self.lane) {
            self.forward(Box::new(pair));
        }
    }

    fn enter(&mut self, entry: Entry) -> Key {
        if matches!(entry, Entry::Pair(_)) {
            self.lane.0.pairs.fetch_add(1, Ordering::Relaxed);
        }
        self.serial = (self.serial + 1) % Key::SERIALS;
        Key::new(self.entries.insert((self.serial, entry)), self.serial)
    }

    fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        let (serial, entry) = self.entries.get_mut(key.at as usize)?;
        (*serial == key.serial).then_some(entry)
    }

    /// The kernel forgets its sockets as they are closed.
    fn remove(&mut self, key: Key) -> Option<Entry> {
        self.entry(key)?;
        let (_, entry) = self.entries.remove(key.at as usize);
        if matches!(entry, Entry::Pair(_)) {
            self.lane.0.pairs.fetch_sub(1, Ordering::Relaxed);
        }
        Some(entry)
    }

    fn cut(&mut self, key: Key, why: &Cut) {
        if let Some(Entry::Pair(pair)) = self.remove(key) {
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

impl Key {
    /// The lowest bit of an event's name says which end it is.
    const SERIALS: u32 = 1 << 31;

    fn new(at: usize, serial: u32) -> Self {
        Self { at: u32::try_from(at).expect("there are not so many descriptors"), serial }
    }
}

fn watch(epoll: &OwnedFd, socket: impl AsFd, name: EventData, events: EventFlags) -> io::Result<()> {
    Ok(epoll::add(epoll, socket, name, events)?)
}

fn name(key: Key, end: End) -> EventData {
    let end = matches!(end, End::Container);
    EventData::new_u64(u64::from(key.at) << 32 | u64::from(key.serial) << 1 | u64::from(end))
}

fn named(data: EventData) -> (Key, End) {
    let data = data.u64();
    let key = Key { at: (data >> 32) as u32, serial: data as u32 >> 1 };
    (key, if data & 1 == 1 { End::Container } else { End::Client })
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

    #[test]
    fn an_event_names_its_entry_and_which_end() {
        for (at, serial) in [(0, 0), (7, 1), (u32::MAX as usize - 1, Key::SERIALS - 1)] {
            let key = Key::new(at, serial);
            assert!(matches!(named(name(key, End::Client)), (found, End::Client) if found == key));
            assert!(matches!(named(name(key, End::Container)), (found, End::Container) if found == key));
            assert!(name(key, End::Container) != BELL);
        }
    }
}
