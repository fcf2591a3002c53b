//! Those who connect: as a gateway would, they have the container woken where its port or its gate says so, forward only then, and
//! wait for answers, which programs give only while they run and are not frozen.

use crate::sockets::Visit;
use crate::world::World;
use control::Target;
use model::{EngineId, Key, Observation, Reach};
use std::sync::Arc;
use std::time::Duration;

/// How long whoever waits stays at least, where they do not lose patience: a wake timeout.
const PATIENCE: Duration = Duration::from_secs(60);
/// Beside what a container is allowed to be quiet about.
const A_PAGE: usize = 10_000;
const A_PING: usize = 8;

impl World {
    /// Somebody connects, and stays for a while.
    pub fn visit(self: &Arc<Self>, port: u16, of: &Key, target: &Target, reach: Reach) {
        let visit = self.open_visit(port, of, target);
        let world = Arc::clone(self);
        let (port_scan, target) = (self.chance(100), target.clone());
        tokio::spawn(async move {
            let visitor = Visitor { world: Arc::clone(&world), visit, target };
            let said = tokio::select! {
                biased;
                () = visitor.visit.closed.cancelled() => "was closed",
                why = visitor.come(reach, port_scan) => why.err().unwrap_or("has left"),
            };
            world.say(format_args!("visit {}: {said}", visitor.visit.number));
            world.end_visit(visitor.visit.number);
        });
    }
}

struct Visitor {
    world: Arc<World>,
    visit: Arc<Visit>,
    target: Target,
}

/// Why a visit ends.
type Ends = &'static str;

impl Visitor {
    async fn come(&self, reach: Reach, port_scan: bool) -> Result<(), Ends> {
        if port_scan {
            return Ok(());
        }
        match reach {
            Reach::Wake => self.wake().await?,
            Reach::WakeOnByte => {
                tokio::time::sleep(self.world.millis(2_000)).await;
                self.wake().await?;
            }
            Reach::Forward if self.visit.flow.is_asleep() => self.wake().await?,
            Reach::Forward | Reach::Hold | Reach::Refuse => {}
        }
        self.forwarded().await?;
        self.visit.set_forwarded();
        let body = self.world.oracle().sleeps.body(&self.visit.of).ok_or("its container is gone")?;
        let life = self.world.fake.life(&body).ok_or("its container ended")?;
        for _ in 0..self.world.below(6) {
            self.ask(&body, life).await?;
            tokio::time::sleep(self.pause()).await;
        }
        Ok(())
    }

    fn pause(&self) -> Duration {
        match self.world.below(3) {
            0 => self.world.millis(200),
            1 => self.world.millis(5_000),
            _ => self.world.millis(40_000),
        }
    }

    /// Until the port forwards.
    async fn forwarded(&self) -> Result<(), Ends> {
        let begun = self.world.now();
        loop {
            match self.world.host.reach(self.visit.port) {
                Some(Reach::Forward) => return Ok(()),
                None | Some(Reach::Refuse) => return Err("it was stopped"),
                _ if self.world.now() - begun > PATIENCE => return Err("it took too long"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// As [`Target::wake`] of a gateway that has a deadline, for a client who may lose patience.
    async fn wake(&self) -> Result<(), Ends> {
        let patience = match self.world.below(8) {
            0 => self.world.millis(20),
            1 => self.world.millis(3_000),
            // Every wake ends, so whoever waits for ever does not.
            2..5 => Duration::MAX,
            _ => PATIENCE,
        };
        let number = self.visit.number;
        self.world.say(format_args!("visit {number}: wakes {}", &self.visit.of.as_str()[..4]));
        self.world.oracle().sleeps.waits(number, &self.visit.of, self.world.now());
        let woken = tokio::time::timeout(patience, self.target.wake(&self.visit.flow)).await;
        self.world.say(format_args!("visit {number}: woken: {woken:?}"));
        self.world.oracle().woken(number, &self.visit.of, matches!(woken, Ok(Ok(()))), &self.world);
        woken.map_err(|_| "lost patience")?.map_err(|_| "was turned away")
    }

    /// One exchange, a ping or a page.
    async fn ask(&self, body: &EngineId, life: u64) -> Result<(), Ends> {
        let bytes = if self.world.chance(400) { A_PING } else { A_PAGE };
        let now = self.world.now();
        self.world.moved(&self.visit.of, bytes);
        if !self.visit.flow.inward(bytes) && !self.world.is_gate_broken() {
            self.wake().await?;
        }
        if self.world.fake.life(body) != Some(life) {
            return Err("its container ended meanwhile");
        }
        self.world.say(format_args!("visit {}: {bytes} bytes forwarded", self.visit.number));
        self.world.oracle().sleeps.forwarded(self.visit.number, &self.visit.of, now, self.world.now());
        if self.world.is_frozen(body) {
            // It waits in its sockets, where whoever looks sees it.
            self.world.mail(body);
        }
        self.answered(body, life).await?;
        self.world.moved(&self.visit.of, bytes);
        self.visit.flow.outward(bytes);
        self.world.oracle().sleeps.answered(self.visit.number, &self.visit.of, self.world.now());
        Ok(())
    }

    /// The program answers in its time; frozen, it has none.
    async fn answered(&self, body: &EngineId, life: u64) -> Result<(), Ends> {
        let longest = 2 * self.world.policies.of(&self.visit.of).owed_for.as_millis() as u64;
        let works = if self.world.chance(100) { self.world.millis(longest) } else { self.world.millis(40) };
        tokio::time::sleep(works).await;
        self.world.oracle().sleeps.due(self.visit.number, &self.visit.of, self.world.now());
        loop {
            match self.world.fake.look(body) {
                Observation::Running { frozen: None, .. } if self.world.fake.life(body) == Some(life) => {
                    return Ok(());
                }
                Observation::Running { .. } if self.world.fake.life(body) == Some(life) => {}
                _ => return Err("its container ended before it answered"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
