//! The one writer: a thread that commits in groups, so that a hundred transitions at once cost a few syncs.
//!
//! A commit is on disk when it returns. A note (a check-in, a use) waits for company, a second at most: losing it costs
//! nothing. A note that could not be written is kept and tried again with whatever comes next.

use super::{Change, Store, StoreError};
use model::{Container, Key};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

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
    Note(Key, Change),
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
            .spawn(move || Writer { store, notes: BTreeMap::new(), due: None }.run(queue))
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
    pub fn note(&self, container: &Container) {
        let change = Change::of(container);
        let written = match &self.0 {
            Way::Groups { requests, .. } => {
                requests.try_send(Request::Note(container.key.clone(), change)).is_ok()
            }
            Way::Inline(store) => write_inline(store, &[change]).is_ok(),
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
    notes: BTreeMap<Key, Change>,
    /// When the oldest note has waited long enough; none without notes.
    due: Option<Instant>,
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
        let received = queue.recv_many(&mut group, GROUP);
        let came = match self.due {
            None => Ok(received.await),
            Some(due) => tokio::time::timeout_at(due, received).await,
        };
        let open = came != Ok(0) && !group.iter().any(|request| matches!(request, Request::Close));
        let commits = self.sort(group);
        if !commits.is_empty() || self.due.is_some_and(|due| due <= Instant::now()) {
            self.write(commits);
        }
        open
    }

    fn sort(&mut self, group: Vec<Request>) -> Vec<(Vec<Change>, Done)> {
        let mut commits = Vec::new();
        for request in group {
            match request {
                Request::Commit { changes, done } => {
                    self.supersede(&changes);
                    commits.push((changes, done));
                }
                Request::Note(key, change) => {
                    self.notes.insert(key, change);
                    self.due.get_or_insert_with(|| Instant::now() + NOTE_DELAY);
                }
                Request::Close => {}
            }
        }
        commits
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
        self.due = None;
        let notes = std::mem::take(&mut self.notes);
        let mut batch: Vec<Change> = commits.iter().flat_map(|(changes, _)| changes.clone()).collect();
        batch.extend(notes.values().cloned());
        if batch.is_empty() {
            return;
        }
        let result = self.store.commit(&batch).map_err(Arc::new);
        if let Err(error) = &result {
            tracing::error!(error = %crate::chain(error.as_ref()), "cannot write to the store");
            self.due = (!notes.is_empty()).then(|| Instant::now() + NOTE_DELAY);
            self.notes = notes;
        }
        for (_, done) in commits {
            // Whoever asked may have gone away meanwhile; what is written stays written.
            drop(done.send(result.clone()));
        }
    }
}
