//! Thawing without an engine and without a daemon, for whoever has neither left.

use super::cgroup::{self, WANTED};
use crate::docker::cgroups::{Place, View};
use model::EngineId;
use std::collections::BTreeMap;
use std::io;

/// A container that has processes on this host, whoever runs it.
#[derive(Debug)]
pub struct Resident {
    /// The engine's id of it.
    pub id: EngineId,
    places: Vec<Place>,
}

/// Every container of this host whose control group can be seen from here. It blocks for some milliseconds.
pub fn residents() -> Vec<Resident> {
    let mut residents: BTreeMap<EngineId, Vec<Place>> = BTreeMap::new();
    for (id, place) in View::here().walk(&WANTED) {
        residents.entry(id).or_default().push(place);
    }
    residents.into_iter().map(|(id, places)| Resident { id, places }).collect()
}

impl Resident {
    /// Thaws it by its control groups, whatever froze it: an engine that paused it and is there must be asked instead.
    /// Gives whether it was frozen.
    pub fn thaw(&self) -> io::Result<bool> {
        let mut was_frozen = false;
        for place in &self.places {
            // Gone meanwhile, it holds nobody.
            if cgroup::is_frozen(place).or_else(unless_gone)? {
                cgroup::thaw(place)?;
                was_frozen = true;
            }
        }
        Ok(was_frozen)
    }
}

fn unless_gone(error: io::Error) -> io::Result<bool> {
    if cgroup::is_gone(&error) { Ok(false) } else { Err(error) }
}
