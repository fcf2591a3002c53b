//! The one writer: a thread (in a simulation, a task) that commits in groups, so that a hundred transitions at once cost a few syncs.
//!
//! A commit is on disk when it returns. A note (a check-in, a use) waits for company, a second at most: losing it costs
//! nothing. A note that could not be written is kept and tried again with whatever comes next; a commit makes it old news once
//! it is written, and not before.
//!
//! Events go the same way, a little faster, and are shown to whoever follows them once they are on disk: so their ids ascend for good.

use super::told::Told;
use super::{Change, Store, StoreError, Wanted};
use crate::measures;
use model::{Container, Event, Key};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;

const GROUP: usize = 256;
const QUEUE: usize = 1024;
const NOTE_DELAY: Duration = Duration::from_secs(1);
/// Somebody may be watching.
const EVENT_DELAY: Duration = Duration::from_millis(100);

/// Who writes to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// A thread of its own: nobody else waits for the disk.
    InGroups,
    /// A task of the same runtime: a simulation replays to the letter.
    Inline,
}

/// The way to the store. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    requests: mpsc::Sender<Request>,
    turn: Arc<Mutex<()>>,
    hand: Arc<Mutex<Option<Hand>>>,
    told: Told,
}

/// Who writes.
#[derive(Debug)]
enum Hand {
    Thread(std::thread::JoinHandle<()>),
    Task(tokio::task::JoinHandle<()>),
}

type Done = oneshot::Sender<Result<(), Arc<StoreError>>>;
type Reader = oneshot::Sender<Result<Vec<Event>, Arc<StoreError>>>;

#[derive(Debug)]
enum Request {
    Commit {
        changes: Vec<Change>,
        done: Done,
    },
    Note(Key, Change),
    /// There are events.
    Told,
    Read(Wanted, Reader),
    Close,
}

impl Journal {
    /// Takes the store over, whose newest event is this one.
    pub fn start(store: Box<dyn Store>, writing: Writing, last_event: u64) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE);
        let told = Told::new(last_event);
        let writer = Writer { store, notes: BTreeMap::new(), due: None, told: told.clone() };
        let hand = match writing {
            Writing::Inline => Hand::Task(tokio::spawn(writer.run(queue))),
            Writing::InGroups => Hand::Thread(
                std::thread::Builder::new()
                    .name("journal".into())
                    .spawn(move || writer.run_here(queue))
                    .expect("a thread can be started before any container is"),
            ),
        };
        Self { requests, turn: Arc::default(), hand: Arc::new(Mutex::new(Some(hand))), told }
    }

    /// Writes all of it or nothing; on disk when this returns. Not undone by dropping the future.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), Arc<StoreError>> {
        self.commit_as_of_now(|| changes).await
    }

    /// The same, of what is read in the moment in which its turn is settled: a later reading is never written before it.
    pub async fn commit_as_of_now(&self, read: impl FnOnce() -> Vec<Change>) -> Result<(), Arc<StoreError>> {
        let begun = Instant::now();
        let result = self.commit_in_turn(read).await;
        measures::commit(&result, begun.elapsed());
        result
    }

    async fn commit_in_turn(&self, read: impl FnOnce() -> Vec<Change>) -> Result<(), Arc<StoreError>> {
        let closed = |_| Arc::new(StoreError::Closed);
        let place = self.requests.reserve().await.map_err(closed)?;
        let (done, result) = oneshot::channel();
        {
            let _in_turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            place.send(Request::Commit { changes: read(), done });
        }
        result.await.unwrap_or_else(|_| Err(Arc::new(StoreError::Closed)))
    }

    /// Writes the container within a second or so. A queue that is full drops it: the next note says more anyway.
    pub fn note(&self, container: &Arc<Container>) {
        let request = Request::Note(container.key.clone(), Change::of(container));
        if self.requests.try_send(request).is_err() {
            tracing::debug!("a note was not written");
        }
    }

    /// Has it written in a moment, and shown to whoever follows. Never waits: what there is no room for is dropped, the oldest first.
    pub fn tell(&self, event: Event) {
        // A queue that is full has the writer look all the same.
        if self.told.add(event) && self.requests.try_send(Request::Told).is_err() {
            tracing::debug!("an event waits for others");
        }
    }

    /// Reads events, those that were just told too.
    pub async fn events(&self, wanted: Wanted) -> Result<Vec<Event>, Arc<StoreError>> {
        let (reader, result) = oneshot::channel();
        let closed = || Arc::new(StoreError::Closed);
        self.requests.send(Request::Read(wanted, reader)).await.map_err(|_| closed())?;
        result.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Every event from now on, once it is on disk. Whoever is too slow is told so, and reads.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Event>> {
        self.told.follow()
    }

    /// The newest event that is on disk.
    pub fn last_event(&self) -> u64 {
        self.told.last()
    }

    /// Writes what is left and closes the store.
    pub async fn close(&self) {
        let asked = self.requests.send(Request::Close).await.is_ok();
        let hand = self.hand.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|_| asked);
        let ok = match hand {
            Some(Hand::Thread(thread)) => tokio::task::spawn_blocking(move || thread.join()).await.is_ok(),
            Some(Hand::Task(task)) => task.await.is_ok(),
            None => false,
        };
        tracing::debug!(ok, "journal closed");
    }
}

/// What a group asks for.
struct Sorted {
    commits: Vec<Asked>,
    reads: Vec<(Wanted, Reader)>,
}

/// A commit that somebody waits for.
struct Asked {
    changes: Vec<Change>,
    /// The notes that it makes old news.
    outdated: Vec<(Key, Change)>,
    done: Done,
}

struct Writer {
    store: Box<dyn Store>,
    notes: BTreeMap<Key, Change>,
    /// When the oldest note has waited long enough; none without notes.
    due: Option<Instant>,
    told: Told,
}

impl Writer {
    fn run_here(self, queue: mpsc::Receiver<Request>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime with a clock alone needs nothing from the system");
        runtime.block_on(self.run(queue));
    }

    async fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while self.turn(&mut queue).await {}
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
        let Sorted { commits, reads } = self.sort(group);
        let is_read = !reads.is_empty() && self.told.waits();
        if !commits.is_empty() || is_read || self.due.is_some_and(|due| due <= Instant::now()) {
            self.write(commits);
        }
        for (wanted, reader) in reads {
            // Who asked may have gone away.
            drop(reader.send(self.store.events(&wanted).map_err(Arc::new)));
        }
        open
    }

    fn sort(&mut self, group: Vec<Request>) -> Sorted {
        let (mut commits, mut reads) = (Vec::new(), Vec::new());
        for request in group {
            match request {
                Request::Commit { changes, done } => {
                    let outdated = self.supersede(&changes);
                    commits.push(Asked { changes, outdated, done });
                }
                Request::Note(key, change) => {
                    self.notes.insert(key, change);
                    self.due_within(NOTE_DELAY);
                }
                Request::Read(wanted, reader) => reads.push((wanted, reader)),
                Request::Told | Request::Close => {}
            }
        }
        if self.told.waits() {
            self.due_within(EVENT_DELAY);
        }
        Sorted { commits, reads }
    }

    fn due_within(&mut self, delay: Duration) {
        let at = Instant::now() + delay;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// What is committed is newer than what was noted before it, and is not to be overwritten by it.
    fn supersede(&mut self, changes: &[Change]) -> Vec<(Key, Change)> {
        let keys = changes.iter().filter_map(|change| match change {
            Change::Put(container) => Some(&container.key),
            Change::Forget(key) => Some(key),
            Change::Trails { .. } | Change::Subnet(_) | Change::OnLoopback(_) | Change::Event(_) => None,
        });
        keys.filter_map(|key| self.notes.remove_entry(key)).collect()
    }

    /// What was to come after these is not written: unless more was noted meanwhile, they are the news.
    fn note_again(&mut self, outdated: Vec<(Key, Change)>) {
        for (key, change) in outdated {
            self.notes.entry(key).or_insert(change);
            self.due_within(NOTE_DELAY);
        }
    }

    fn write(&mut self, commits: Vec<Asked>) {
        self.due = None;
        let notes = std::mem::take(&mut self.notes);
        let mut batch: Vec<Change> = commits.iter().flat_map(|asked| asked.changes.clone()).collect();
        batch.extend(notes.values().cloned());
        let events = self.told.take();
        batch.extend(events.iter().cloned().map(Change::Event));
        if batch.is_empty() {
            return;
        }
        let result = self.store.commit(&batch).map_err(Arc::new);
        let mut full = false;
        if let Err(error) = &result {
            tracing::error!(error = %crate::chain(error.as_ref()), "cannot write to the store");
            self.due = (!notes.is_empty() || !events.is_empty()).then(|| Instant::now() + NOTE_DELAY);
            self.notes = notes;
            full = error.is_full();
            self.told.put_back(events);
        } else {
            self.told.show(events);
        }
        for Asked { changes, outdated, done } in commits {
            // What frees something is not to fail with a create that it shares a group with.
            let result = if full { self.store.commit(&changes).map_err(Arc::new) } else { result.clone() };
            if result.is_err() {
                self.note_again(outdated);
            }
            // Whoever asked may have gone away meanwhile; what is written stays written.
            drop(done.send(result));
        }
    }
}
