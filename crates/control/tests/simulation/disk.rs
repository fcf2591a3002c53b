//! The store: the real one, on a disk that may be full. What is asked of it, and what it took, the oracle is told.

use crate::world::World;
use control::store::{Change, Contents, Wanted};
use control::{Sqlite, Store, StoreError};
use model::Event;
use std::sync::Arc;

pub struct Disk {
    world: Arc<World>,
    store: Sqlite,
}

impl Disk {
    pub fn open(world: &Arc<World>) -> Self {
        let store = Sqlite::open(world.folder()).expect("nobody else holds it");
        Self { world: Arc::clone(world), store }
    }
}

impl Store for Disk {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        let contents = self.store.read(mint)?;
        self.world.oracle().check_contents(&contents);
        Ok(contents)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let (now, full) = (self.world.now(), self.world.weather.is_full());
        let result = match full {
            true => Err(StoreError::Full { path: "the disk".into() }),
            false => self.store.commit(changes),
        };
        for change in changes {
            self.world.say(format_args!("disk: {}{}", describe(change), if full { ": full" } else { "" }));
            self.world.oracle().wrote(change, result.is_ok(), now, &self.world);
        }
        result
    }

    fn events(&mut self, wanted: &Wanted) -> Result<Vec<Event>, StoreError> {
        self.store.events(wanted)
    }
}

fn describe(change: &Change) -> String {
    match change {
        Change::Put(container) => format!("{} {:?}", &container.key.as_str()[..4], container.phase),
        Change::Forget(key) => format!("{} forgotten", &key.as_str()[..4]),
        Change::Trails { .. } => "trails".to_owned(),
        Change::OnLoopback(on_loopback) => format!("on loopback: {on_loopback}"),
        Change::Event(event) => format!("{} {event}", &event.key.as_str()[..4]),
        Change::Subnet(subnet) => format!("subnet {subnet}"),
    }
}
