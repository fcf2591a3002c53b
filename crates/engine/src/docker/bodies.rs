//! What we hold of each body, so that a thaw is one write: where its control groups are, and the turn of whoever freezes
//! or thaws it.

use super::cgroups::{Place, View};
use super::process::Process;
use super::{Docker, cpu, freezer, reclaim, sockets};
use crate::{EngineError, Result};
use model::{EngineId, Freezer};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::runtime::RuntimeFlavor;
use tokio::sync::Notify;

/// Every body that something is held of.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    all: Mutex<HashMap<EngineId, Arc<Body>>>,
    view: OnceLock<View>,
    /// Why the last freeze was the engine's, if it was.
    pub(super) slow: Mutex<Option<String>>,
}

/// One body, through all of its runs.
#[derive(Debug, Default)]
pub(super) struct Body {
    turn: AtomicU64,
    writing: Mutex<()>,
    /// Held while the engine pauses or unpauses it.
    pub(super) pausing: Arc<tokio::sync::Mutex<()>>,
    /// Told of every thaw.
    pub(super) thaws: Notify,
    /// What a freeze began that nobody saw the end of.
    begun: Mutex<Option<Freezer>>,
    run: Mutex<Option<Arc<Run>>>,
}

/// What is the same from a start to the next stop.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) process: Process,
    pub(super) freezer: Option<Place>,
    pub(super) cpu: Option<Place>,
    pub(super) memory: Option<Place>,
    pub(super) sockets: sockets::Asked,
}

/// Whose it is to write a body's freezer: whoever came last.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    body: Arc<Body>,
    number: u64,
}

impl Bodies {
    pub(super) fn of(&self, id: &EngineId) -> Arc<Body> {
        Arc::clone(lock(&self.all).entry(id.clone()).or_default())
    }

    /// The same, if something is held of it.
    pub(super) fn known(&self, id: &EngineId) -> Option<Arc<Body>> {
        lock(&self.all).get(id).cloned()
    }

    /// It is gone for good.
    pub(super) fn forget(&self, id: &EngineId) {
        lock(&self.all).remove(id);
    }

    pub(super) fn view(&self) -> &View {
        self.view.get_or_init(View::here)
    }
}

impl Body {
    pub(super) fn take_turn(self: &Arc<Self>) -> Turn {
        let number = self.turn.fetch_add(1, Ordering::SeqCst) + 1;
        Turn { body: Arc::clone(self), number }
    }

    /// A freeze begins, and with nothing it has ended. Gives what was begun before.
    pub(super) fn begin(&self, freezer: Option<Freezer>) -> Option<Freezer> {
        std::mem::replace(&mut *lock(&self.begun), freezer)
    }

    /// It does not run any more, or is about to end: what is held of it would keep its network alive.
    pub(super) fn end_run(&self) {
        *lock(&self.run) = None;
    }

    pub(super) fn run(&self) -> Option<Arc<Run>> {
        lock(&self.run).clone()
    }
}

impl Turn {
    /// Acts, unless somebody else has taken the turn: then nothing is done, and nothing is given.
    pub(super) fn act_now<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<Option<T>> {
        let _writing = lock(&self.body.writing);
        if self.body.turn.load(Ordering::SeqCst) != self.number {
            return Ok(None);
        }
        act().map(Some)
    }

    /// The same, on a thread that may wait for the kernel.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<Option<T>> {
        let turn = self.clone();
        blocking(move || turn.act_now(act)).await
    }
}

impl Run {
    /// None where the process is not that container's, or we cannot see that it is.
    fn find(pid: i64, id: &EngineId, view: &View) -> io::Result<Option<Self>> {
        let Some(process) = Process::hold(pid, id)? else { return Ok(None) };
        let groups = process.groups()?;
        let find = |wanted| view.find(id, &groups, wanted);
        let (freezer, cpu, memory) = (find(&freezer::WANTED), find(&cpu::WANTED), find(&reclaim::WANTED));
        Ok(Some(Self { process, freezer, cpu, memory, sockets: sockets::Asked::default() }))
    }
}

impl Docker {
    /// What is held of it in this run; [`EngineError::NotFound`] where it does not run, none where nothing can be had.
    pub(super) async fn run(&self, id: &EngineId) -> Result<Option<Arc<Run>>> {
        if let Some(run) = self.bodies.of(id).run().filter(|run| run.process.is_there()) {
            return Ok(Some(run));
        }
        match self.pid(id).await {
            Ok(Some(pid)) => Ok(self.run_of(id, pid).await),
            Ok(None) => Err(EngineError::NotFound { what: format!("running container: {id}") }),
            Err(error) => {
                if error.is_not_found() {
                    self.bodies.forget(id);
                }
                Err(error)
            }
        }
    }

    /// The same, of one whose first process is known.
    pub(super) async fn run_of(&self, id: &EngineId, pid: i64) -> Option<Arc<Run>> {
        let body = self.bodies.of(id);
        if let Some(run) = body.run().filter(|run| run.process.is_there()) {
            return Some(run);
        }
        let (bodies, of) = (Arc::clone(&self.bodies), id.clone());
        let found = blocking(move || Run::find(pid, &of, bodies.view())).await;
        let found =
            found.inspect_err(|error| tracing::debug!(body = %id, %error, "its process cannot be seen"));
        let run = found.ok().flatten().map(Arc::new);
        lock(&body.run).clone_from(&run);
        run
    }
}

/// On a thread that may wait for the kernel.
pub(super) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(io::Error::other)?
}

/// On this thread at once: under load, another would be a millisecond late. Tasks that wait for this one move on where they can.
pub(super) fn in_place<T>(act: impl FnOnce() -> T) -> T {
    let flavour = tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if matches!(flavour, Ok(RuntimeFlavor::MultiThread)) { tokio::task::block_in_place(act) } else { act() }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
