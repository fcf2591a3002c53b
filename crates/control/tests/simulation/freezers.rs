//! How the engine's double freezes and thaws. Our own writes ask nobody, are over within a second, and end with the program; the
//! engine's pause fails as any call of its does, and may come late. What was asked of one body last holds.

use crate::sleeps::Whose;
use crate::unsteady::{Course, Failing, QUICK, Unsteady, at_once, short};
use crate::world::{Deed, World};
use engine::fake::Call;
use engine::{Engine, Result};
use model::{EngineId, Freezer};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A freeze that is not confirmed within that is undone.
const CONFIRMED_WITHIN: Duration = Duration::from_millis(900);

/// Counts a freeze as under way.
struct Freezing<'a>(&'a World);

impl<'a> Freezing<'a> {
    fn begin(world: &'a World) -> Self {
        world.freezes_under_way().fetch_add(1, Ordering::Relaxed);
        Self(world)
    }
}

impl Drop for Freezing<'_> {
    fn drop(&mut self) {
        self.0.freezes_under_way().fetch_sub(1, Ordering::Relaxed);
    }
}

impl Unsteady {
    pub async fn freeze_body(&self, id: &EngineId) -> Result<Freezer> {
        let world = &self.world;
        let _freezing = Freezing::begin(world);
        self.touches(Call::Freeze, id);
        let whose = world.oracle().asked_to_freeze(id, world);
        let mut course = Course::draw(world, QUICK);
        if world.weather.freezer == Freezer::Cgroup {
            if course.after > Duration::from_secs(10) {
                course.fails = Some(Failing::BeforeTheDeed);
            }
            course.fails = course.fails.map(|_| Failing::BeforeTheDeed);
            course.before = course.before.min(CONFIRMED_WITHIN);
            course.after = course.after.min(CONFIRMED_WITHIN);
        }
        let (turn, session) = (world.take_turn(id), world.session());
        let (body, late) = (id.clone(), Arc::clone(world));
        let late: Deed = Arc::new(move || {
            let ended = late.weather.freezer == Freezer::Cgroup && late.session() != session;
            let away = late.weather.freezer == Freezer::Engine && late.weather.is_away();
            if late.has_turn(&body, turn) && !ended && !away {
                let done = freeze(&late, &body, Whose::Others).is_ok();
                late.say(format_args!("engine: freeze {}, late: {done}", short(&body)));
            }
        });
        let deed = |world: &World| freeze(world, id, whose);
        let frozen = self.act(&format!("freeze {}", short(id)), QUICK, course, deed, late).await;
        if frozen.is_err() && world.weather.freezer == Freezer::Cgroup {
            // It was undone: nothing of it comes late.
            world.take_turn(id);
        }
        frozen
    }

    pub async fn thaw_body(&self, id: &EngineId, by: Freezer) -> Result<()> {
        let world = &self.world;
        self.touches(Call::Thaw, id);
        let mut course = Course::draw(world, QUICK);
        if by == Freezer::Cgroup {
            course.asks_nobody = true;
            course.before = course.before.min(Duration::from_millis(1));
            course.after = course.after.min(Duration::from_millis(1));
        }
        world.take_turn(id);
        let (body, late) = (id.clone(), Arc::clone(world));
        let late: Deed = Arc::new(move || {
            if by == Freezer::Engine && !late.weather.is_away() {
                let done = thaw(&late, &body, by).is_ok();
                late.say(format_args!("engine: thaw {}, late: {done}", short(&body)));
            }
        });
        let deed = |world: &World| thaw(world, id, by);
        self.act(&format!("thaw {}", short(id)), QUICK, course, deed, late).await
    }
}

fn freeze(world: &World, body: &EngineId, whose: Whose) -> Result<Freezer> {
    let was = world.is_frozen(body);
    world.program(body);
    let by = at_once(world.fake.freeze(body))?;
    if !was {
        let now = world.now();
        world.oracle().sleeps.froze(body, whose, now);
    }
    Ok(by)
}

fn thaw(world: &World, body: &EngineId, by: Freezer) -> Result<()> {
    at_once(world.fake.thaw(body, by))?;
    if !world.is_frozen(body) {
        let now = world.now();
        world.oracle().sleeps.thawed(body, now);
    }
    Ok(())
}
