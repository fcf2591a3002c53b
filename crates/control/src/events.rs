//! What happened to containers, as their supervisors tell it: written and shown by the journal. What may come very often, such as
//! a connection that wakes nothing, is told once, and then once a minute with how often: no port scan floods the record.

use crate::control::Control;
use crate::handle::Handle;
use crate::store::{Journal, StoreError, Wanted};
use crate::{EVENTS_OF_ONE, measures};
use model::{Cause, Event, EventKind, Key};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::Instant;

/// What comes often is told together for so long.
const TOGETHER: Duration = Duration::from_secs(60);
/// Of how many containers and reasons at once; of others it goes untold for as long.
const OFTEN: usize = 1024;
/// How many may follow at once.
const FOLLOWERS: usize = 64;
/// How many are read at once by whoever is behind.
const PAGE: usize = 256;

#[derive(Debug)]
pub(crate) struct Events {
    journal: Journal,
    often: Mutex<BTreeMap<Place, Often>>,
    places: Arc<Semaphore>,
}

/// What is told together: of one container, of one kind, for one reason.
type Place = (Key, EventKind, Option<&'static str>);

fn place(event: &Event) -> Place {
    (event.key.clone(), event.kind, event.cause.as_ref().and_then(Cause::because))
}

#[derive(Debug)]
struct Often {
    told_at: Instant,
    untold: Option<Event>,
}

/// Reads every event, in order, from one on: what is kept first, then what comes.
#[derive(Debug)]
pub struct Follower {
    journal: Journal,
    live: broadcast::Receiver<Arc<Event>>,
    last: u64,
    page: VecDeque<Event>,
    is_behind: bool,
    _place: OwnedSemaphorePermit,
}

impl Events {
    pub(crate) fn new(journal: &Journal) -> Self {
        let places = Arc::new(Semaphore::new(FOLLOWERS));
        Self { journal: journal.clone(), often: Mutex::default(), places }
    }

    /// Returns at once, whatever the disk does.
    pub(crate) fn record(&self, event: Event) {
        measures::event(event.kind);
        tracing::debug!(container = event.name, "{event}");
        self.journal.tell(event);
    }

    /// The same, of what may come at any rate.
    pub(crate) fn record_sparingly(&self, event: Event) {
        let mut often = self.lock();
        let place = place(&event);
        if let Some(Often { untold, .. }) = often.get_mut(&place) {
            let times = untold.as_ref().map_or(0, |event| event.times).saturating_add(1);
            *untold = Some(Event { times, ..event });
        } else if often.len() < OFTEN {
            often.insert(place, Often { told_at: Instant::now(), untold: None });
            drop(often);
            self.record(event);
        }
    }

    /// Whether its like was told so lately that it would be kept, to be told with others.
    pub(crate) fn was_just_told(&self, event: &Event) -> bool {
        self.lock().contains_key(&place(event))
    }

    /// Tells what came often, where that was not told for a while: for the pulse.
    pub(crate) fn tell_together(&self) {
        self.tell_what(|often| often.told_at.elapsed() >= TOGETHER);
    }

    /// Tells all of it.
    pub(crate) fn close(&self) {
        self.tell_what(|_| true);
    }

    fn tell_what(&self, is_due: impl Fn(&Often) -> bool) {
        let mut due = Vec::new();
        self.lock().retain(|_, often| {
            if !is_due(often) {
                return true;
            }
            often.told_at = Instant::now();
            let untold = often.untold.take();
            let goes_on = untold.is_some();
            due.extend(untold);
            goes_on
        });
        due.into_iter().for_each(|event| self.record(event));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Often>> {
        self.often.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// The events of a container: the oldest after that one, or else the newest; in ascending order, [`EVENTS_OF_ONE`] at most.
    pub async fn events(
        &self,
        of: &Handle,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Event>, Arc<StoreError>> {
        let limit = limit.min(EVENTS_OF_ONE);
        self.shared.journal.events(Wanted { of: Some(of.key().clone()), after, limit }).await
    }

    /// Follows all events: those after that one, or else those from now on. Nothing where too many follow already.
    pub fn follow(&self, after: Option<u64>) -> Option<Follower> {
        let journal = self.shared.journal.clone();
        let place = Arc::clone(&self.shared.events.places).try_acquire_owned().ok()?;
        let live = journal.follow();
        // One that is not there yet was another store's.
        let last = after.unwrap_or(u64::MAX).min(journal.last_event());
        let is_behind = after.is_some();
        Some(Follower { journal, live, last, page: VecDeque::new(), is_behind, _place: place })
    }
}

impl Follower {
    /// The next one; nothing once the program ends, or where they cannot be read. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            let next = match self.page.pop_front() {
                Some(event) => Arc::new(event),
                None if self.is_behind => {
                    self.read().await?;
                    continue;
                }
                None => match self.live.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Lagged(_)) => {
                        self.is_behind = true;
                        continue;
                    }
                    Err(RecvError::Closed) => return None,
                },
            };
            if next.id > self.last {
                self.last = next.id;
                return Some(next);
            }
        }
    }

    async fn read(&mut self) -> Option<()> {
        let wanted = Wanted { of: None, after: Some(self.last), limit: PAGE };
        match self.journal.events(wanted).await {
            Ok(page) => {
                self.is_behind = page.len() == PAGE;
                self.page = page.into();
                Some(())
            }
            Err(error) => {
                tracing::warn!(error = %crate::chain(error.as_ref()), "events cannot be read");
                None
            }
        }
    }
}
