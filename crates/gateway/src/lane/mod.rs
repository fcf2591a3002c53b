//! The userland lane: how a connection's bytes move, on one thread per core, each with an epoll loop of its own.
//!
//! What stands above knows five things of a lane, none of them a byte: it is opened for a connection ([`Lanes::place`] and
//! [`Lane::forward`]), closed ([`Lanes::sweep`]), armed for a wake and read for activity (both through [`control::Flow`]), and
//! reconciled: nothing of this one outlives the process, so that there is nothing to find again.
//!
//! The threads never wait but for the kernel. A connection that has to wait for its container does so in a task of the
//! runtime's (`connection`), and comes to a lane once it is there.

mod accept;
mod direction;
mod entries;
mod left;
mod lively;
mod pace;
mod pair;
mod pipes;
mod ring;
mod side;
mod thread;

pub(crate) use pair::Pair;
pub(crate) use side::send;

use crate::connection::Cut;
use crate::listener::{Arrival, Listening};
use entries::Key;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use thread::Thread;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// A connection stays where it was accepted, unless another thread has so many fewer: what changes threads costs more, and one thread
/// serves so many better than two that take turns at waking each other.
const UNEVEN: usize = 256;

/// The threads. Dropped, they end, and whatever they forward.
pub(crate) struct Lanes {
    all: Vec<Lane>,
    turn: AtomicUsize,
}

/// One of the threads. Clones share it.
#[derive(Clone)]
pub(crate) struct Lane(Arc<Shared>);

struct Shared {
    orders: Sender<Order>,
    /// Rung after each order.
    bell: OwnedFd,
    /// How many connections it has.
    pairs: AtomicUsize,
}

/// What a lane is told. It carries orders out one after the other.
enum Order {
    Listen(Arc<Listening>),
    /// Accept again, which was put off.
    Accept(Key),
    Attend(Arrival),
    Forward(Box<Pair>),
    Woken(Key, Result<(), Cut>),
    /// See that whoever vanishes without a word is noticed.
    KeepAlive,
    Sweep,
    End,
}

impl Lanes {
    /// One thread for each core that we may use. What waits does so on this runtime, among these tasks.
    pub(crate) fn start(runtime: &Handle, tasks: &TaskTracker) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let all = (0..cores).map(|number| Lane::start(number, runtime.clone(), tasks.clone()));
        Ok(Self { all: all.collect::<io::Result<_>>()?, turn: AtomicUsize::new(0) })
    }

    /// Where this port is listened on.
    pub(crate) fn of_port(&self, port: u16) -> &Lane {
        &self.all[usize::from(port) % self.all.len()]
    }

    /// Where a connection is to run that was accepted here.
    pub(crate) fn place<'a>(&'a self, here: &'a Lane) -> &'a Lane {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let other = &self.all[turn % self.all.len()];
        if here.pairs() > other.pairs() + UNEVEN { other } else { here }
    }

    /// Has whatever was cut off closed.
    pub(crate) fn sweep(&self) {
        self.all.iter().for_each(|lane| lane.order(Order::Sweep));
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.all.iter().for_each(|lane| lane.order(Order::End));
    }
}

impl Lane {
    fn start(number: usize, runtime: Handle, tasks: TaskTracker) -> io::Result<Self> {
        let (orders, taken): (_, Receiver<Order>) = channel();
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let lane = Self(Arc::new(Shared { orders, bell, pairs: AtomicUsize::new(0) }));
        let thread = Thread::new(lane.clone(), taken, runtime, tasks)?;
        std::thread::Builder::new().name(format!("gateway-{number}")).spawn(move || thread.run())?;
        Ok(lane)
    }

    /// Accepts whoever connects to this port, until it is shut down.
    pub(crate) fn listen(&self, port: Arc<Listening>) {
        self.order(Order::Listen(port));
    }

    /// Sees to one that was accepted elsewhere.
    pub(crate) fn attend(&self, arrival: Arrival) {
        self.order(Order::Attend(arrival));
    }

    /// Forwards until both sides have ended, or one is broken, or the container does not wake, or it is cut off.
    pub(crate) fn forward(&self, pair: Pair) {
        self.order(Order::Forward(Box::new(pair)));
    }

    fn order(&self, order: Order) {
        // Whoever is gone has closed whatever it had.
        if self.0.orders.send(order).is_ok()
            && let Err(error) = rustix::io::write(&self.0.bell, &1u64.to_ne_bytes())
        {
            tracing::error!(%error, "a lane cannot be called");
        }
    }

    fn pairs(&self) -> usize {
        self.0.pairs.load(Ordering::Relaxed)
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
