//! Every container that there is, by all the names it goes by.

use crate::handle::{Handle, View};
use model::{ContainerId, EngineId, Key};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError, RwLock};

/// How many hex digits of an id are enough to ask for it.
const SHORTEST_PREFIX: usize = 12;

/// The registry. Lookups never wait for a supervisor.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<Index>);

/// Ordered, so that a simulation replays to the letter.
#[derive(Debug, Default)]
struct Index {
    handles: BTreeMap<Key, Handle>,
    ids: BTreeMap<ContainerId, Key>,
    bodies: BTreeMap<EngineId, Key>,
    addresses: BTreeMap<Ipv4Addr, Key>,
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
    /// Enters a container, and again once it has an id.
    pub(crate) fn enter(&self, handle: &Handle) {
        let view = handle.view();
        let container = &view.container;
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        index.addresses.insert(container.address, handle.key.clone());
        if let Some(id) = &container.container_id {
            index.ids.insert(id.clone(), handle.key.clone());
        }
        if let Some(body) = &container.engine_id {
            index.bodies.insert(body.clone(), handle.key.clone());
        }
        index.handles.insert(handle.key.clone(), handle.clone());
    }

    /// Forgets a container. Its address may have gone to another by now.
    pub(crate) fn forget(&self, key: &Key) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        index.handles.remove(key);
        index.ids.retain(|_, of| of != key);
        index.bodies.retain(|_, of| of != key);
        index.addresses.retain(|_, of| of != key);
    }

    /// Every container, those of half-made creates too.
    pub(crate) fn all(&self) -> Vec<Handle> {
        self.read().handles.values().cloned().collect()
    }

    /// Those that users see, oldest first.
    pub(crate) fn listed(&self) -> Vec<Arc<View>> {
        let mut views: Vec<_> = self.read().handles.values().map(Handle::view).collect();
        views.retain(|view| view.container.is_listed());
        views.sort_by(|a, b| {
            let age = |view: &View| (view.container.created_at, view.container.key.clone());
            age(a).cmp(&age(b))
        });
        views
    }

    /// By the whole id, by an unambiguous beginning of at least 12 digits, or by name with or without its slash.
    pub(crate) fn find(&self, reference: &str) -> Result<Handle, FindError> {
        let not_found = || FindError::NotFound(reference.to_owned());
        let found = self.by_name(reference).map_or_else(|| self.by_id(reference), Ok)?;
        found.view().container.is_listed().then_some(found).ok_or_else(not_found)
    }

    fn by_id(&self, reference: &str) -> Result<Handle, FindError> {
        let index = self.read();
        let from = ContainerId::new(reference);
        let matching: Vec<&Key> = index
            .ids
            .range(from..)
            .take_while(|(id, _)| id.as_str().starts_with(reference))
            .map(|(_, key)| key)
            .collect();
        match matching[..] {
            [key] if reference.len() >= SHORTEST_PREFIX => Ok(index.handles[key].clone()),
            [] | [_] => Err(FindError::NotFound(reference.to_owned())),
            _ if reference.len() < SHORTEST_PREFIX => Err(FindError::NotFound(reference.to_owned())),
            _ => Err(FindError::Ambiguous { reference: reference.to_owned(), count: matching.len() }),
        }
    }

    fn by_name(&self, reference: &str) -> Option<Handle> {
        let wanted = reference.strip_prefix('/').unwrap_or(reference);
        let index = self.read();
        index
            .handles
            .values()
            .find(|handle| handle.view().container.name.strip_prefix('/') == Some(wanted))
            .cloned()
    }

    /// Whether this is the body of this key's container, or that one has none yet that we know of.
    pub(crate) fn may_be_body_of(&self, body: &EngineId, key: &str) -> bool {
        let index = self.read();
        let handle = index.handles.get(&Key::new(key));
        handle.is_some_and(|handle| {
            handle.view().container.engine_id.as_ref().is_none_or(|known| known == body)
        })
    }

    /// Whose body this is.
    pub(crate) fn by_body(&self, body: &EngineId) -> Option<Handle> {
        let index = self.read();
        index.bodies.get(body).and_then(|key| index.handles.get(key)).cloned()
    }

    /// Whose address this is.
    pub(crate) fn by_address(&self, address: Ipv4Addr) -> Option<Handle> {
        let index = self.read();
        index.addresses.get(&address).and_then(|key| index.handles.get(key)).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
