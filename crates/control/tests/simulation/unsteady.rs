//! An engine like a real one on a bad day: slow, failing before or after the deed, silent until the deadline, and going on
//! with what it began after its caller went away. Its events are lost, doubled and late, and their stream breaks.

use crate::sabotage::Sabotage;
use crate::world::{Deed, World};
use async_trait::async_trait;
use engine::fake::{Call, Fake};
use engine::*;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use ipnet::Ipv4Net;
use model::{EngineId, Freezer, Image, Observation};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

/// The deadlines of the real one.
pub const QUICK: Duration = Duration::from_secs(20);
const SLOW: Duration = Duration::from_secs(120);

pub struct Unsteady {
    pub world: Arc<World>,
}

/// How a call goes: so long until the deed, so long until the answer.
pub struct Course {
    pub before: Duration,
    pub after: Duration,
    pub fails: Option<Failing>,
    /// It is done on the host, without the engine.
    pub asks_nobody: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Failing {
    BeforeTheDeed,
    AfterIt,
}

impl Course {
    pub fn draw(world: &World, within: Duration) -> Self {
        let weather = &world.weather;
        let (before, after) = (world.millis(4), world.millis(4));
        let mut course = Self { before, after, fails: None, asks_nobody: false };
        if weather.is_calm() {
            return course;
        }
        if world.chance(weather.hang) {
            (course.before, course.after) = (world.millis(within.as_millis() as u64 * 5 / 4), within);
        } else if world.chance(weather.slow) {
            (course.before, course.after) = (world.millis(8_000), world.millis(8_000));
        } else if world.chance(weather.fail) {
            let which = world.pick(&[Failing::BeforeTheDeed, Failing::AfterIt]);
            course.fails = which;
        }
        course
    }
}

/// A deed that the engine goes on with if its caller goes away.
struct Begun<'a> {
    world: &'a World,
    number: u64,
    deed: Option<Deed>,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(deed) = self.deed.take() {
            self.world.leave(self.number, deed);
        }
    }
}

impl Unsteady {
    /// Said of each call that does something to a body, or in it; those that only ask are left out.
    pub fn touches(&self, call: Call, id: &EngineId) {
        self.world.oracle().touches(call, id);
    }

    fn asked_to(&self, call: Call, id: &EngineId) {
        self.touches(call, id);
        let now = self.world.now();
        self.world.oracle().asked_to(call, id, now, &self.world.fake);
    }

    /// A call that only asks.
    async fn ask<T>(&self, doing: &str, within: Duration, ask: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let course = Course::draw(&self.world, within);
        self.call(doing, within, course, ask).await
    }

    /// A call that is about no container.
    async fn aside<T>(&self, doing: &str, ask: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        if self.world.weather.unrest { self.ask(doing, QUICK, ask).await } else { ask().await }
    }

    /// A call that changes something.
    async fn change<T: Send + 'static>(
        &self,
        doing: &str,
        within: Duration,
        body: Option<&EngineId>,
        deed: impl Fn(&Fake) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let course = Course::draw(&self.world, within);
        let (deed, world) = (Arc::new(deed), Arc::clone(&self.world));
        let (late, what, body) = (Arc::clone(&deed), doing.to_owned(), body.cloned());
        let late: Deed = Arc::new(move || {
            if !world.weather.is_away() {
                let done = late(&world.fake).is_ok();
                world.say(format_args!("engine: {what}, late: {done}"));
                body.iter().for_each(|body| world.oracle().clients.behind_our_back(body));
            }
        });
        self.act(doing, within, course, move |world| deed(&world.fake), late).await
    }

    /// A call that the engine goes on with, by `late`, if its caller goes away.
    pub async fn act<T>(
        &self,
        doing: &str,
        within: Duration,
        course: Course,
        deed: impl Fn(&World) -> Result<T>,
        late: Deed,
    ) -> Result<T> {
        let late = (course.fails != Some(Failing::BeforeTheDeed)).then_some(late);
        let mut begun = Begun { world: &self.world, number: self.world.number_call(), deed: late };
        let (world, begun) = (&self.world, &mut begun);
        let act = async || {
            begun.deed = None;
            deed(world)
        };
        self.call(doing, within, course, act).await
    }

    async fn call<T>(
        &self,
        doing: &str,
        within: Duration,
        course: Course,
        act: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<T> {
        let _on_its_way = self.world.on_its_way();
        self.world.say(format_args!("engine: to {doing}"));
        let work = async {
            tokio::task::yield_now().await;
            tokio::time::sleep(course.before).await;
            if self.world.weather.is_away() && !course.asks_nobody {
                return Err(EngineError::Unreachable { at: "sim".into(), source: "it is away".into() });
            }
            if course.fails == Some(Failing::BeforeTheDeed) {
                return Err(broken(doing));
            }
            let result = act().await;
            tokio::time::sleep(course.after).await;
            if course.fails.is_some() { result.and(Err(broken(doing))) } else { result }
        };
        let late = |_| EngineError::TimedOut { doing: doing.to_owned(), seconds: within.as_secs() };
        let result = tokio::time::timeout(within, work).await.map_err(late).flatten();
        let error = result.as_ref().err().map(|error| control::chain(error));
        self.world.say(format_args!("engine: {doing}: {}", error.as_deref().unwrap_or("done")));
        result
    }
}

fn broken(doing: &str) -> EngineError {
    EngineError::Refused { doing: doing.into(), status: 500, message: "a fault".into() }
}

/// The fake, unlike this one, answers at once.
pub fn at_once<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    call.now_or_never().expect("the engine in memory answers at once")
}

pub fn short(id: &EngineId) -> &str {
    id.as_str().trim_start_matches('0')
}

#[async_trait]
impl Engine for Unsteady {
    async fn describe(&self) -> Result<Description> {
        self.aside("describe", async || self.world.fake.describe().await).await
    }

    async fn ping(&self) -> Result<()> {
        self.aside("ping", async || self.world.fake.ping().await).await
    }

    async fn images(&self) -> Result<Vec<String>> {
        self.aside("list the images", async || self.world.fake.images().await).await
    }

    async fn image(&self, name: &str) -> Result<Image> {
        self.ask("inspect the image", QUICK, async || self.world.fake.image(name).await).await
    }

    async fn network(&self, wanted: &NetworkSpec) -> Result<Network> {
        self.ask("give the network", QUICK, async || self.world.fake.network(wanted).await).await
    }

    async fn attach(&self, id: &EngineId, network: &str, address: Ipv4Addr) -> Result<()> {
        let doing = format!("attach {}", short(id));
        self.touches(Call::Attach, id);
        self.ask(&doing, QUICK, async || self.world.fake.attach(id, network, address).await).await
    }

    async fn find_network(&self, wanted: &NetworkSpec) -> Result<Option<Network>> {
        self.aside("find the network", async || self.world.fake.find_network(wanted).await).await
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        self.aside("remove the network", async || self.world.fake.remove_network(name).await).await
    }

    async fn our_subnets(&self) -> Result<Vec<Ipv4Net>> {
        self.ask("list its networks", QUICK, async || self.world.fake.our_subnets().await).await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Created> {
        self.world.oracle().asked_to_create(spec);
        let spec = spec.clone();
        let doing = format!("create {}", &spec.key[..4]);
        self.change(&doing, SLOW, None, move |fake| at_once(fake.create(&spec))).await
    }

    async fn start(&self, id: &EngineId) -> Result<()> {
        self.asked_to(Call::Start, id);
        let body = id.clone();
        let deed = move |fake: &Fake| at_once(fake.start(&body));
        self.change(&format!("start {}", short(id)), SLOW, Some(id), deed).await
    }

    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()> {
        self.asked_to(Call::Stop, id);
        let body = id.clone();
        let deed = move |fake: &Fake| at_once(fake.stop(&body, grace));
        self.change(&format!("stop {}", short(id)), grace + QUICK, Some(id), deed).await
    }

    async fn remove(&self, id: &EngineId) -> Result<()> {
        self.asked_to(Call::Remove, id);
        let body = id.clone();
        let deed = move |fake: &Fake| at_once(fake.remove(&body));
        self.change(&format!("remove {}", short(id)), SLOW, Some(id), deed).await
    }

    async fn freeze(&self, id: &EngineId) -> Result<Freezer> {
        self.freeze_body(id).await
    }

    async fn thaw(&self, id: &EngineId, by: Freezer) -> Result<()> {
        self.thaw_body(id, by).await
    }

    async fn cpu(&self, id: &EngineId) -> Result<Option<Duration>> {
        let doing = format!("tell the CPU time of {}", short(id));
        self.world.program(id);
        self.ask(&doing, QUICK, async || self.world.fake.cpu(id).await).await
    }

    async fn sockets(&self, id: &EngineId) -> Result<Option<Vec<Socket>>> {
        let doing = format!("tell the sockets of {}", short(id));
        let sockets = async || {
            self.world.program(id);
            self.world.fake.sockets(id).await
        };
        self.ask(&doing, QUICK, sockets).await
    }

    async fn execs(&self, id: &EngineId) -> Result<usize> {
        let doing = format!("count the execs in {}", short(id));
        self.ask(&doing, QUICK, async || self.world.fake.execs(id).await).await
    }

    async fn reclaim(&self, id: &EngineId) -> Result<Option<u64>> {
        self.touches(Call::Reclaim, id);
        let body = id.clone();
        let deed = move |fake: &Fake| at_once(fake.reclaim(&body));
        self.change(&format!("reclaim from {}", short(id)), QUICK, Some(id), deed).await
    }

    async fn inspect(&self, id: &EngineId) -> Result<Observation> {
        let doing = format!("inspect {}", short(id));
        self.ask(&doing, QUICK, async || self.world.fake.inspect(id).await).await
    }

    async fn list(&self, instance: &str) -> Result<Vec<Listed>> {
        let listed = self.ask("list", QUICK, async || self.world.fake.list(instance).await).await?;
        if self.world.sabotage == Some(Sabotage::LabelsTrusted) {
            for entry in &listed {
                drop(self.reclaim(&entry.engine_id).await);
            }
        }
        Ok(listed)
    }

    async fn events(&self, instance: &str) -> Result<BoxStream<'static, Result<Event>>> {
        let events = self.ask("subscribe", QUICK, async || self.world.fake.events(instance).await).await?;
        let distorted = distort(Arc::clone(&self.world), events).enumerate();
        let sabotage = self.world.sabotage;
        let heard = distorted.filter_map(move |(n, event)| async move {
            let is_lost = match sabotage {
                Some(Sabotage::LostEvent) => n % 7 == 6,
                Some(Sabotage::LostExec) => event.as_ref().is_ok_and(|event| event.kind == EventKind::Exec),
                _ => false,
            };
            (!is_lost).then_some(event)
        });
        Ok(heard.boxed())
    }

    async fn exec(&self, id: &EngineId, command: &[String], within: Duration) -> Result<i64> {
        self.touches(Call::Exec, id);
        self.ask("exec", within, async || self.world.fake.exec(id, command, within).await).await
    }

    async fn listens(&self, id: &EngineId, port: u16) -> Result<bool> {
        self.touches(Call::Listens, id);
        self.ask("listens", QUICK, async || self.world.fake.listens(id, port).await).await
    }

    async fn connect_from_inside(&self, id: &EngineId, to: SocketAddrV4, within: Duration) -> Result<Inside> {
        let doing = format!("connect from inside {}", short(id));
        self.aside(&doing, async || self.world.fake.connect_from_inside(id, to, within).await).await
    }

    async fn redirect(&self, network: &Network, from: u16, to: u16) -> Result<()> {
        self.aside("redirect", async || self.world.fake.redirect(network, from, to).await).await
    }

    async fn undo_redirect(&self, network: &Network) -> Result<()> {
        self.aside("undo a redirect", async || self.world.fake.undo_redirect(network).await).await
    }
}

/// Loses, doubles and delays, and breaks off.
fn distort(
    world: Arc<World>,
    events: BoxStream<'static, Result<Event>>,
) -> BoxStream<'static, Result<Event>> {
    let followed = world.follow();
    let state = (world, events, None, followed);
    stream::unfold(state, |(world, mut events, again, followed): (_, _, Option<Event>, _)| async move {
        if let Some(event) = again {
            return Some((Ok(event), (world, events, None, followed)));
        }
        loop {
            let Some(Ok(event)) = events.next().await else { return None };
            let (weather, calm) = (&world.weather, world.weather.is_calm());
            if !calm && world.chance(weather.delay) {
                let _on_its_way = world.on_its_way();
                tokio::time::sleep(world.millis(4_000)).await;
            }
            if !calm && world.chance(weather.lose) {
                world.say(format_args!("event of {}: lost", short(&event.engine_id)));
                weather.set_blind(true);
                world.unheard(&event.engine_id);
                continue;
            }
            if !calm && world.chance(weather.broken) {
                world.say("events: broken off");
                return None;
            }
            world.say(format_args!("event of {}: {:?}", short(&event.engine_id), event.kind));
            let again = (!calm && world.chance(weather.double)).then(|| event.clone());
            return Some((Ok(event), (world, events, again, followed)));
        }
    })
    .boxed()
}
