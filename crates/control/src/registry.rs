//! Every container that there is, by all the names it goes by. Each look-up is one search in one order, and nothing is
//! searched through: a host may know very many. Ordered, so that a simulation replays to the letter.

use crate::handle::{Handle, View};
use model::{Container, ContainerId, EngineId, Key, Timestamp, host_label};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError, RwLock};

/// How many hex digits of an id are enough to ask for it.
const SHORTEST_PREFIX: usize = 12;

/// The registry. Lookups never wait for a supervisor.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<Index>);

#[derive(Debug, Default)]
struct Index {
    keys: BTreeMap<Key, Handle>,
    ages: BTreeMap<(Timestamp, Key), Handle>,
    ids: BTreeMap<ContainerId, Handle>,
    bodies: BTreeMap<EngineId, Handle>,
    /// For a moment two may go by one name.
    names: BTreeMap<(Box<str>, Key), Handle>,
    /// By what each is called as a host, the oldest first: it alone goes by it.
    labels: BTreeMap<Box<str>, BTreeMap<(Timestamp, Key), Handle>>,
    addresses: BTreeMap<Ipv4Addr, Handle>,
}

/// Why a reference names no container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// There is none.
    #[error("Container {0:.200} doesn't exist")]
    NotFound(String),
    /// It is the beginning of several ids.
    #[error("{reference:.200} is the beginning of {count} container ids; give more digits")]
    Ambiguous {
        /// What was asked for.
        reference: String,
        /// How many there are.
        count: usize,
    },
}

impl Registry {
    /// Enters a container.
    pub(crate) fn enter(&self, handle: &Handle) {
        self.write().enter(handle, &handle.view().container);
    }

    /// Enters it anew where what it goes by has changed: it got its id, another body, another name.
    pub(crate) fn reenter(&self, handle: &Handle, before: &Container, now: &Container) {
        if names(before) != names(now) {
            let mut index = self.write();
            index.forget(handle, before);
            index.enter(handle, now);
        }
    }

    /// Forgets a container.
    pub(crate) fn forget(&self, handle: &Handle) {
        self.write().forget(handle, &handle.view().container);
    }

    /// Every container, those of half-made creates too.
    pub(crate) fn all(&self) -> Vec<Handle> {
        self.read().keys.values().cloned().collect()
    }

    /// Whose key this is.
    pub(crate) fn by_key(&self, key: &Key) -> Option<Handle> {
        self.read().keys.get(key).cloned()
    }

    /// Those that users see, oldest first.
    pub(crate) fn listed(&self) -> Vec<Arc<View>> {
        let views = |index: &Index| index.ages.values().map(Handle::view).collect::<Vec<_>>();
        let mut views = views(&self.read());
        views.retain(|view| view.container.is_listed());
        views
    }

    /// By the whole id, by an unambiguous beginning of at least 12 digits, or by name with or without its slash.
    pub(crate) fn find(&self, reference: &str) -> Result<Handle, FindError> {
        let not_found = || FindError::NotFound(reference.to_owned());
        let found = self.read().find(reference)?;
        found.view().container.is_listed().then_some(found).ok_or_else(not_found)
    }

    /// By one label of a host name, in lower case: what its name comes to there ([`model::host_label`]), or the first 12 digits of its id. An id
    /// is nobody's to choose, so it comes first. Where several names come to one label, the oldest container has it.
    pub(crate) fn by_label(&self, label: &str) -> Option<Handle> {
        self.read().by_label(label)
    }

    /// Whether this is the body of this key's container, or that one has none yet that we know of.
    pub(crate) fn may_be_body_of(&self, body: &EngineId, key: &str) -> bool {
        self.by_key(&Key::new(key)).is_some_and(|handle| {
            handle.view().container.engine_id.as_ref().is_none_or(|known| known == body)
        })
    }

    /// Whose body this is.
    pub(crate) fn by_body(&self, body: &EngineId) -> Option<Handle> {
        self.read().bodies.get(body).cloned()
    }

    /// Whose address this is.
    pub(crate) fn by_address(&self, address: Ipv4Addr) -> Option<Handle> {
        self.read().addresses.get(&address).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Index> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn enter(&mut self, handle: &Handle, container: &Container) {
        self.keys.insert(container.key.clone(), handle.clone());
        self.ages.insert(age(container), handle.clone());
        self.addresses.insert(container.address, handle.clone());
        if let Some(id) = &container.container_id {
            self.ids.insert(id.clone(), handle.clone());
        }
        if let Some(body) = &container.engine_id {
            self.bodies.insert(body.clone(), handle.clone());
        }
        if !container.name.is_empty() {
            self.names.insert(name(container), handle.clone());
        }
        if let Some(label) = label(container) {
            self.labels.entry(label).or_default().insert(age(container), handle.clone());
        }
    }

    /// What has gone to another by now, as an address may have, stays the other's.
    fn forget(&mut self, handle: &Handle, container: &Container) {
        self.keys.remove(&container.key);
        self.ages.remove(&age(container));
        remove_own(&mut self.addresses, &container.address, handle);
        container.container_id.iter().for_each(|id| remove_own(&mut self.ids, id, handle));
        container.engine_id.iter().for_each(|body| remove_own(&mut self.bodies, body, handle));
        self.names.remove(&name(container));
        if let Some(label) = label(container)
            && let Some(called) = self.labels.get_mut(&label)
        {
            called.remove(&age(container));
            if called.is_empty() {
                self.labels.remove(&label);
            }
        }
    }

    fn by_label(&self, label: &str) -> Option<Handle> {
        let is_listed = |handle: &&Handle| handle.view().container.is_listed();
        let is_id = label.len() == SHORTEST_PREFIX && label.bytes().all(|digit| digit.is_ascii_hexdigit());
        let by_id = is_id.then(|| self.find_by_id(label)).flatten();
        let mut called = self.labels.get(label).into_iter().flat_map(BTreeMap::values);
        by_id.filter(is_listed).or_else(|| called.find(is_listed)).cloned()
    }

    /// The one whose id begins so, if there is one alone.
    fn find_by_id(&self, beginning: &str) -> Option<&Handle> {
        let from = self.ids.range(ContainerId::new(beginning)..);
        let mut matching = from.take_while(|(id, _)| id.as_str().starts_with(beginning));
        let (_, handle) = matching.next()?;
        matching.next().is_none().then_some(handle)
    }

    fn by_name(&self, name: &str) -> Option<&Handle> {
        let (found, handle) = self.names.range((name.into(), Key::new(""))..).next()?;
        (*found.0 == *name).then_some(handle)
    }

    fn find(&self, reference: &str) -> Result<Handle, FindError> {
        if let Some(handle) = self.by_name(bare(reference)) {
            return Ok(handle.clone());
        }
        let matching = || {
            let from = self.ids.range(ContainerId::new(reference)..);
            from.take_while(|(id, _)| id.as_str().starts_with(reference)).map(|(_, handle)| handle)
        };
        let long_enough = reference.len() >= SHORTEST_PREFIX;
        match (matching().next(), matching().nth(1)) {
            (Some(handle), None) if long_enough => Ok(handle.clone()),
            (_, Some(_)) if long_enough => {
                Err(FindError::Ambiguous { reference: reference.to_owned(), count: matching().count() })
            }
            _ => Err(FindError::NotFound(reference.to_owned())),
        }
    }
}

fn name(container: &Container) -> (Box<str>, Key) {
    (bare(&container.name).into(), container.key.clone())
}

/// Only what users see is reached by name.
fn label(container: &Container) -> Option<Box<str>> {
    host_label(bare(&container.name)).map(Into::into)
}

/// What changes of what it goes by.
fn names(container: &Container) -> (Option<&ContainerId>, Option<&EngineId>, &str) {
    (container.container_id.as_ref(), container.engine_id.as_ref(), &container.name)
}

fn age(container: &Container) -> (Timestamp, Key) {
    (container.created_at, container.key.clone())
}

fn bare(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

fn remove_own<K: Ord>(map: &mut BTreeMap<K, Handle>, of: &K, handle: &Handle) {
    if map.get(of).is_some_and(|found| found.key() == handle.key()) {
        map.remove(of);
    }
}
