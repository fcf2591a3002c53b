//! The one writer: a thread that commits in groups, so that a hundred transitions at once cost a few syncs.
//!
//! A commit is on disk when it returns. A note (a check-in, a look's time) waits up to a second for company: losing it
//! costs nothing. A note that could not be written is kept and tried again with whatever comes next.

use super::{Change, Store, StoreError};
use model::{Container, Key};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

const GROUP: usize = 256;
const QUEUE: usize = 1024;
const NOTE_DELAY: Duration = Duration::from_secs(1);

/// How the store is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// By a thread of its own, in groups.
    InGroups,
    /// At once, by whoever commits: a simulation replays to the letter.
    Inline,
}

/// The way to the store. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal(Way);

#[derive(Clone, Debug)]
enum Way {
    Groups { requests: mpsc::Sender<Request>, thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>> },
    Inline(Arc<Mutex<Option<Store>>>),
}

type Done = oneshot::Sender<Result<(), Arc<StoreError>>>;

#[derive(Debug)]
enum Request {
    Commit { changes: Vec<Change>, done: Done },
    Note(Box<Container>),
    Close,
}

impl Journal {
    /// Takes the store over.
    pub fn start(store: Store, writing: Writing) -> Self {
        if writing == Writing::Inline {
            return Self(Way::Inline(Arc::new(Mutex::new(Some(store)))));
        }
        let (requests, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || Writer { store, notes: BTreeMap::new() }.run(queue))
            .expect("a thread can be started before any container is");
        Self(Way::Groups { requests, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Writes all of it or nothing; on disk when this returns. Not undone by dropping the future.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), Arc<StoreError>> {
        match &self.0 {
            Way::Groups { requests, .. } => {
                let (done, result) = oneshot::channel();
                let request = Request::Commit { changes, done };
                requests.send(request).await.map_err(|_| Arc::new(StoreError::Closed))?;
                result.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Closed)))
            }
            Way::Inline(store) => write_inline(store, &changes),
        }
    }

    /// Writes the container within a second or so. A queue that is full drops it: the next note says more anyway.
    pub fn note(&self, container: Container) {
        let written = match &self.0 {
            Way::Groups { requests, .. } => requests.try_send(Request::Note(Box::new(container))).is_ok(),
            Way::Inline(store) => write_inline(store, &[Change::Put(Box::new(container))]).is_ok(),
        };
        if !written {
            tracing::debug!("a note was not written");
        }
    }

    /// Writes what is left and closes the store.
    pub async fn close(&self) {
        match &self.0 {
            Way::Inline(store) => drop(lock(store).take()),
            Way::Groups { requests, thread } => {
                let asked = requests.send(Request::Close).await.is_ok();
                let thread = lock(thread).take().filter(|_| asked);
                if let Some(thread) = thread {
                    let ended = tokio::task::spawn_blocking(move || thread.join()).await;
                    tracing::debug!(ok = ended.is_ok(), "journal closed");
                }
            }
        }
    }
}

fn write_inline(store: &Mutex<Option<Store>>, changes: &[Change]) -> Result<(), Arc<StoreError>> {
    lock(store).as_mut().ok_or(StoreError::Closed).and_then(|store| store.commit(changes)).map_err(Arc::new)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    store: Store,
    notes: BTreeMap<Key, Container>,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime with a clock alone needs nothing from the system");
        while runtime.block_on(self.turn(&mut queue)) {}
        self.write(Vec::new());
    }

    /// One group: what is in the queue now. False at the end.
    async fn turn(&mut self, queue: &mut mpsc::Receiver<Request>) -> bool {
        let mut group = Vec::with_capacity(GROUP);
        if self.notes.is_empty() {
            queue.recv_many(&mut group, GROUP).await;
        } else if tokio::time::timeout(NOTE_DELAY, queue.recv_many(&mut group, GROUP)).await.is_err() {
            self.write(Vec::new());
            return true;
        }
        let open = !group.is_empty() && !group.iter().any(|request| matches!(request, Request::Close));
        self.sort(group);
        open
    }

    fn sort(&mut self, group: Vec<Request>) {
        let mut commits = Vec::new();
        for request in group {
            match request {
                Request::Commit { changes, done } => {
                    self.supersede(&changes);
                    commits.push((changes, done));
                }
                Request::Note(container) => {
                    self.notes.insert(container.key.clone(), *container);
                }
                Request::Close => {}
            }
        }
        if !commits.is_empty() {
            self.write(commits);
        }
    }

    /// What is committed is newer than what was noted before it.
    fn supersede(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(container) => self.notes.remove(&container.key),
                Change::Forget(key) => self.notes.remove(key),
                Change::Trails { .. } | Change::Subnet(_) => None,
            };
        }
    }

    fn write(&mut self, commits: Vec<(Vec<Change>, Done)>) {
        let notes = std::mem::take(&mut self.notes);
        let mut batch: Vec<Change> = commits.iter().flat_map(|(changes, _)| changes.clone()).collect();
        batch.extend(notes.values().cloned().map(|container| Change::Put(Box::new(container))));
        if batch.is_empty() {
            return;
        }
        let result = self.store.commit(&batch).map_err(Arc::new);
        if let Err(error) = &result {
            tracing::error!(error = %crate::chain(error.as_ref()), "cannot write to the store");
            self.notes = notes;
        }
        for (_, done) in commits {
            // Whoever asked may have gone away meanwhile; what is written stays written.
            drop(done.send(result.clone()));
        }
    }
}
