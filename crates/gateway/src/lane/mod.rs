//! The userland lane: how a connection's bytes move, on one thread per core, each with a runtime of its own.
//!
//! What stands above knows five things of a lane, none of them a byte: it is opened for a connection ([`Lanes::place`] and
//! [`forward`]), closed (its task is dropped), armed for a wake and read for activity (both through [`control::Flow`]), and
//! reconciled: nothing of this one outlives the process, so that there is nothing to find again.

mod direction;
mod left;
mod mover;
mod pace;
mod pipes;

pub(crate) use left::send;
pub(crate) use mover::{broken, forward};

use crate::Threads;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Handle;

/// A connection stays where it was accepted, unless another thread has so many fewer: what changes threads costs a fifth more, and
/// one thread serves so many better than two that take turns at waking each other.
const UNEVEN: usize = 64;

/// The threads. Dropped, they end, and whatever runs on them.
pub(crate) struct Lanes {
    threads: Threads,
    turn: AtomicUsize,
}

impl Lanes {
    /// One thread for each core that we may use.
    pub(crate) fn start() -> io::Result<Self> {
        Ok(Self { threads: Threads::start("gateway")?, turn: AtomicUsize::new(0) })
    }

    /// Where this port is listened on.
    pub(crate) fn of_port(&self, port: u16) -> &Handle {
        let all = self.threads.handles();
        &all[usize::from(port) % all.len()]
    }

    /// Where a connection is to run that was accepted here.
    pub(crate) fn place<'a>(&'a self, here: &'a Handle) -> &'a Handle {
        let (turn, all) = (self.turn.fetch_add(1, Ordering::Relaxed), self.threads.handles());
        let other = &all[turn % all.len()];
        if tasks(here) > tasks(other) + UNEVEN { other } else { here }
    }
}

fn tasks(runtime: &Handle) -> usize {
    runtime.metrics().num_alive_tasks()
}
