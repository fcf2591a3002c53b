//! What a lane has, each by a key of its own: an event that comes late for what is gone finds nobody.

use super::pair::{End, Pair};
use crate::listener::Listening;
use rustix::event::epoll::EventData;
use slab::Slab;
use std::sync::Arc;

pub(super) enum Entry {
    Port(Port),
    Pair(Box<Pair>),
}

/// One that is listened on.
pub(super) struct Port {
    pub(super) listening: Arc<Listening>,
    /// It accepts nobody until it is told to.
    pub(super) is_put_off: bool,
}

/// An entry, among all that there ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    at: u32,
    serial: u32,
}

#[derive(Default)]
pub(super) struct Entries {
    all: Slab<(u32, Entry)>,
    serial: u32,
}

impl Entries {
    pub(super) fn enter(&mut self, entry: Entry) -> Key {
        self.serial = (self.serial + 1) % Key::SERIALS;
        Key::new(self.all.insert((self.serial, entry)), self.serial)
    }

    pub(super) fn get(&mut self, key: Key) -> Option<&mut Entry> {
        let (serial, entry) = self.all.get_mut(key.at as usize)?;
        (*serial == key.serial).then_some(entry)
    }

    pub(super) fn pair(&mut self, key: Key) -> Option<&mut Pair> {
        match self.get(key) {
            Some(Entry::Pair(pair)) => Some(pair),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Entry> {
        self.get(key)?;
        Some(self.all.remove(key.at as usize).1)
    }

    pub(super) fn pairs(&mut self) -> impl Iterator<Item = (Key, &mut Pair)> {
        self.all.iter_mut().filter_map(|(at, (serial, entry))| match entry {
            Entry::Pair(pair) => Some((Key::new(at, *serial), &mut **pair)),
            Entry::Port(_) => None,
        })
    }
}

impl Key {
    /// The lowest bit of an event's name says which end it is.
    const SERIALS: u32 = 1 << 31;

    fn new(at: usize, serial: u32) -> Self {
        Self { at: u32::try_from(at).expect("there are not so many descriptors"), serial }
    }

    /// What the kernel is to call this end of it.
    pub(super) fn name(self, end: End) -> EventData {
        let end = matches!(end, End::Container);
        EventData::new_u64(u64::from(self.at) << 32 | u64::from(self.serial) << 1 | u64::from(end))
    }

    /// What the kernel calls so.
    pub(super) fn named(name: EventData) -> (Self, End) {
        let name = name.u64();
        let key = Self { at: (name >> 32) as u32, serial: name as u32 >> 1 };
        (key, if name & 1 == 1 { End::Container } else { End::Client })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_entry_and_which_end() {
        for (at, serial) in [(0, 0), (7, 1), (u32::MAX as usize - 1, Key::SERIALS - 1)] {
            let key = Key::new(at, serial);
            assert!(matches!(Key::named(key.name(End::Client)), (found, End::Client) if found == key));
            assert!(matches!(Key::named(key.name(End::Container)), (found, End::Container) if found == key));
            assert!(key.name(End::Container).u64() != u64::MAX, "that is the bell's");
        }
    }
}
