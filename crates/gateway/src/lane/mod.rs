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

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A connection stays where it was accepted, which costs least, unless another thread has so many fewer.
const UNEVEN: usize = 16;

/// The threads. Dropped, they end, and whatever runs on them.
pub(crate) struct Lanes {
    runtimes: Vec<Handle>,
    turn: AtomicUsize,
    _ends: DropGuard,
}

impl Lanes {
    /// One thread for each core that we may use.
    pub(crate) fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let ended = CancellationToken::new();
        let runtimes = (0..cores).map(|number| start(number, ended.clone())).collect::<io::Result<_>>()?;
        Ok(Self { runtimes, turn: AtomicUsize::new(0), _ends: ended.drop_guard() })
    }

    /// Where this port is listened on.
    pub(crate) fn of_port(&self, port: u16) -> &Handle {
        &self.runtimes[usize::from(port) % self.runtimes.len()]
    }

    /// Where a connection is to run that was accepted here.
    pub(crate) fn place<'a>(&'a self, here: &'a Handle) -> &'a Handle {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let other = &self.runtimes[turn % self.runtimes.len()];
        if tasks(here) > tasks(other) + UNEVEN { other } else { here }
    }
}

fn tasks(runtime: &Handle) -> usize {
    runtime.metrics().num_alive_tasks()
}

fn start(number: usize, ended: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name(format!("gateway-{number}"))
        .spawn(move || runtime.block_on(ended.cancelled()))?;
    Ok(handle)
}
