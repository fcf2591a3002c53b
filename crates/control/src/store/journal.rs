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

/// The way to the writer. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    requests: mpsc::Sender<Request>,
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

type Done = oneshot::Sender<Result<(), Arc<StoreError>>>;

#[derive(Debug)]
enum Request {
    Commit { changes: Vec<Change>, done: Done },
    Note(Box<Container>),
    Close,
}

impl Journal {
    /// Starts the writer.
    pub fn start(store: Store) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || Writer { store, notes: BTreeMap::new() }.run(queue))
            .expect("a thread can be started before any container is");
        Self { requests, thread: Arc::new(Mutex::new(Some(thread))) }
    }

    /// Writes all of it or nothing; on disk when this returns. Not undone by dropping the future.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), Arc<StoreError>> {
        let (done, result) = oneshot::channel();
        let request = Request::Commit { changes, done };
        self.requests.send(request).await.map_err(|_| Arc::new(StoreError::Closed))?;
        result.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Closed)))
    }

    /// Writes the container within a second or so. A queue that is full drops it: the next note says more anyway.
    pub fn note(&self, container: Container) {
        if self.requests.try_send(Request::Note(Box::new(container))).is_err() {
            tracing::debug!("the journal is busy; a note was dropped");
        }
    }

    /// Writes what is left and closes the store.
    pub async fn close(&self) {
        if self.requests.send(Request::Close).await.is_err() {
            return;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            tracing::debug!(ok = ended.is_ok(), "journal closed");
        }
    }
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
