//! The end of an installation, as `spin-docker purge` has it: whatever the engine does meanwhile, said again it comes to an end,
//! and takes what is ours and nothing else.

use crate::disk::Disk;
use crate::unsteady::Unsteady;
use crate::world::{INSTANCE, World};
use control::store::Contents;
use control::{Store, purge};
use engine::{Engine, EngineError};
use std::sync::Arc;
use std::time::Duration;

/// How often it may fail before the faults cease.
const IN_VAIN: u32 = 20;

/// Nobody else holds the store.
pub async fn purge(world: &Arc<World>) {
    world.say("-- purge");
    let contents = Disk::open(world).read(&|| world.mint()).expect("its disk is well");
    let engine = Unsteady { world: Arc::clone(world) };
    world.oracle().purges();
    world.weather.set_calm(false);
    let mut in_vain = 0;
    while let Err(error) = purge_once(&engine, &contents).await {
        world.say(format_args!("purge: {}", control::chain(&error)));
        in_vain += 1;
        if in_vain > IN_VAIN && world.weather.is_calm() {
            return world.oracle().violated(format!("it cannot be purged: {error}"));
        } else if in_vain > IN_VAIN {
            world.weather.cease();
        }
    }
    // What the engine did late, or was to do, for a call that was given up.
    world.pass(Duration::from_secs(60)).await;
    let (bodies, networks) = (world.bodies(), world.fake.networks());
    let others = usize::from(world.has_neighbour());
    if !bodies.is_empty() || networks.len() != others || !world.fake.redirects().is_empty() {
        world.oracle().violated(format!("purged, and {bodies:?}, {networks:?} are left, or a redirect"));
    }
    world.oracle().check(world, None);
}

async fn purge_once(engine: &Unsteady, contents: &Contents) -> Result<(), EngineError> {
    for container in purge::belongings(engine, contents, INSTANCE).await? {
        engine.remove(&container.engine_id).await?;
    }
    purge::remove_network(engine, contents, INSTANCE).await.map(drop)
}
