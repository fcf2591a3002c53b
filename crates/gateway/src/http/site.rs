//! One container as HTTP sees it: what its port meets, and the connections to it that wait for their next request.

use super::body::Inward;
use crate::{Course, Gateway};
use control::Target;
use hyper::client::conn::http1::SendRequest;
use model::Reach;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::runtime::{self, Handle};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Connections of one container that wait for a request. More are closed after their answer.
const MOST_RESTING: usize = 128;
/// How long one waits.
const REST: Duration = Duration::from_secs(30);

/// All that were asked for by name since they were there, by the port of ours that leads to their HTTP port.
#[derive(Default)]
pub(crate) struct Sites(RwLock<HashMap<u16, Arc<Site>>>);

pub(crate) struct Site {
    pub(super) course: watch::Receiver<Course>,
    /// Cancelled when its port is given up, or the gateway ends.
    pub(super) released: CancellationToken,
    resting: Mutex<Vec<(Link, Instant)>>,
    /// Somebody waits for it on behalf of those who will ask again.
    is_awaited: AtomicBool,
    /// The forwarding in which its application has answered a request.
    answered: Mutex<Option<Instant>>,
}

/// A connection to a container.
pub(super) struct Link {
    pub(super) sender: SendRequest<Inward>,
    /// Where it runs: asked from there, it wakes nobody on another thread.
    runtime: runtime::Id,
    /// The port of ours that it comes from.
    pub(super) from: u16,
    /// It did nothing for a while, in which the container may have closed it.
    pub(super) has_rested: bool,
}

impl Sites {
    /// The container whose HTTP port is forwarded from this one; none where it is not ours.
    pub(super) fn of(&self, port: u16, gateway: &Gateway) -> Option<Arc<Site>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&port).cloned();
        known.filter(|site| site.is_ours()).or_else(|| self.enter(port, gateway))
    }

    fn enter(&self, port: u16, gateway: &Gateway) -> Option<Arc<Site>> {
        let course = gateway.course(port)?;
        let site = Arc::new(Site {
            course,
            released: gateway.0.ending.child_token(),
            resting: Mutex::default(),
            is_awaited: AtomicBool::new(false),
            answered: Mutex::default(),
        });
        let mut sites = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sites.retain(|_, site| site.is_ours());
        sites.insert(port, Arc::clone(&site));
        Some(site)
    }

    /// Closes what rests of the container behind this port: it could not see that its timers ran out while it is frozen.
    pub(crate) fn quiet(&self, port: u16) {
        if let Some(site) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&port) {
            site.quiet();
        }
    }

    /// Closes whatever rests, of every container.
    pub(crate) fn quiet_all(&self) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().for_each(|site| site.quiet());
    }

    /// Its port is given up: whatever is open to the container is closed.
    pub(crate) fn release(&self, port: u16) {
        if let Some(site) = self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&port) {
            site.released.cancel();
        }
    }

    /// Closes what has rested for too long.
    pub(super) fn sweep(&self) {
        for site in self.0.read().unwrap_or_else(PoisonError::into_inner).values() {
            site.resting().retain(|(link, since)| since.elapsed() < REST && !link.sender.is_closed());
        }
    }
}

impl Link {
    /// One that runs on the current runtime.
    pub(super) fn new(sender: SendRequest<Inward>, from: u16) -> Self {
        Self { sender, runtime: Handle::current().id(), from, has_rested: false }
    }
}

impl Site {
    fn resting(&self) -> MutexGuard<'_, Vec<(Link, Instant)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection of this thread that has rested for the shortest time: the likeliest to be open still.
    pub(super) fn take(&self) -> Option<Link> {
        let (mut resting, here) = (self.resting(), Handle::current().id());
        let ready = resting.iter().rposition(|(link, _)| link.runtime == here && link.sender.is_ready())?;
        Some(resting.swap_remove(ready).0)
    }

    /// Its port was not given up: whoever holds the port says what it meets. Cheap, since it is asked for each request.
    fn is_ours(&self) -> bool {
        self.course.has_changed().is_ok()
    }

    /// Its answer is over.
    pub(super) fn rest(&self, mut link: Link) {
        link.has_rested = true;
        let mut resting = self.resting();
        if resting.len() >= MOST_RESTING {
            resting.retain(|(link, _)| !link.sender.is_closed());
        }
        if resting.len() < MOST_RESTING && !link.sender.is_closed() {
            resting.push((link, Instant::now()));
        }
    }

    pub(super) fn quiet(&self) {
        self.resting().clear();
    }

    /// Where its bytes go.
    pub(super) fn target(&self) -> Option<Target> {
        self.course.borrow().target.clone()
    }

    /// Whether bytes may be sent to it once it is not frozen.
    pub(super) fn is_forwarded(&self) -> bool {
        self.course.borrow().reach == Reach::Forward
    }

    /// Whether its application may be coming up still: nobody has had an answer since it was started.
    pub(super) fn is_new(&self) -> bool {
        let since = self.course.borrow().since;
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) != Some(since)
    }

    pub(super) fn has_answered(&self) {
        let since = self.course.borrow().since;
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(since);
    }

    /// True for one alone, until it calls [`Site::awaited_no_more`].
    pub(super) fn await_once(&self) -> bool {
        !self.is_awaited.swap(true, Ordering::AcqRel)
    }

    pub(super) fn awaited_no_more(&self) {
        self.is_awaited.store(false, Ordering::Release);
    }
}
