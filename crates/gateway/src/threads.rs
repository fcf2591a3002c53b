//! Threads with a runtime of their own each. What stays on one of them wakes nobody on another.

use std::io;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A timer of tokio's that is earlier than all others costs a system call, and a round of the thread for nothing: each request's that sets one,
/// where no other is set. One that is always earlier than any request's spares them both.
const EARLIEST: Duration = Duration::from_secs(4);

/// The threads. Dropped, they end, and whatever runs on them.
pub struct Threads {
    runtimes: Vec<Handle>,
    _ends: DropGuard,
}

impl Threads {
    /// One for every two cores that we may use, called by this name; an error where they cannot be had. The other cores are for those who
    /// ask and for those who are asked: threads that share a core take turns, and each turn costs more than it serves.
    pub fn start(name: &str) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let ended = CancellationToken::new();
        let runtimes = (0..cores.div_ceil(2)).map(|number| start(format!("{name}-{number}"), ended.clone()));
        Ok(Self { runtimes: runtimes.collect::<io::Result<_>>()?, _ends: ended.drop_guard() })
    }

    /// Where to run something. At least one.
    pub fn handles(&self) -> &[Handle] {
        &self.runtimes
    }
}

fn start(name: String, ended: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let until_ended =
        async move { while tokio::time::timeout(EARLIEST, ended.cancelled()).await.is_err() {} };
    thread::Builder::new().name(name).spawn(move || runtime.block_on(until_ended))?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_has_a_thread_of_that_name_and_they_end_together() {
        let threads = Threads::start("test").unwrap();
        let name = || async { thread::current().name().map(str::to_owned) };
        let mut pending = Vec::new();
        for (number, handle) in threads.handles().iter().enumerate() {
            assert_eq!(handle.spawn(name()).await.unwrap(), Some(format!("test-{number}")));
            pending.push(handle.spawn(std::future::pending::<()>()));
        }
        drop(threads);
        for task in pending {
            assert!(task.await.unwrap_err().is_cancelled());
        }
    }
}
