//! What the containers' programs do, beside answering: they work, read their mail, and others run commands in them. Frozen, they
//! do nothing of it.

use crate::world::{World, lock};
use engine::{Socket, SocketKind};
use model::{EngineId, Freezer, Observation};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

#[derive(Default)]
pub struct Programs(Mutex<BTreeMap<EngineId, Program>>);

/// One life of one body.
#[derive(Clone, Default)]
pub struct Program {
    life: u64,
    /// Until when its CPU time is counted.
    at: Duration,
    pub work: Option<Work>,
    pub mail: Option<Mail>,
    /// Since when somebody runs a command in it.
    pub exec: Option<Duration>,
    /// Since when somebody waits for its end.
    pub told_to_end: Option<Duration>,
    /// No event of it was lost.
    pub is_heard: bool,
}

#[derive(Clone, Copy)]
pub struct Work {
    pub since: Duration,
    pub until: Duration,
    /// In thousandths of a core.
    pub share: u32,
}

/// From somebody who does not come through the gateway.
#[derive(Clone, Copy)]
pub struct Mail {
    pub since: Duration,
    read_at: Duration,
}

impl World {
    /// What its program does, up to now.
    pub fn program(&self, body: &EngineId) -> Option<Program> {
        self.program_of(body, |_| {})
    }

    fn program_of(&self, body: &EngineId, alter: impl FnOnce(&mut Program)) -> Option<Program> {
        let (now, life) = (self.now(), self.fake.life(body)?);
        let mut programs = lock(&self.programs.0);
        let program = programs.entry(body.clone()).or_default();
        if program.life != life {
            *program = Program { life, at: now, is_heard: true, ..Program::default() };
        }
        alter(program);
        let ends = self.fake.is_told_to_end(body);
        program.told_to_end = ends.then(|| program.told_to_end.unwrap_or(now));
        let awake = matches!(self.fake.look(body), Observation::Running { frozen: None, .. });
        if let Some(work) = program.work.filter(|_| awake) {
            let worked = now.min(work.until).saturating_sub(program.at.max(work.since));
            self.fake.use_cpu(body, worked * work.share / 1000);
        }
        if program.mail.is_some_and(|mail| awake && mail.read_at <= now) {
            program.mail = None;
            self.fake.set_sockets(body, Some(Vec::new()));
        }
        program.at = now;
        Some(program.clone())
    }

    /// An event of it was lost.
    pub fn unheard(&self, body: &EngineId) {
        self.program_of(body, |program| program.is_heard = false);
    }

    /// It works for a while.
    pub fn work(&self, body: &EngineId) {
        let share = self.pick(&[5, 300, 1000]).unwrap_or(1000);
        let since = self.now();
        let until = since + self.millis(90_000);
        // Work is counted up to now before it changes.
        self.program(body);
        self.program_of(body, |program| program.work = Some(Work { since, until, share }));
    }

    /// Something arrives in its sockets, and is read soon.
    pub fn mail(&self, body: &EngineId) {
        let since = self.now();
        let mail = Mail { since, read_at: since + self.millis(3_000) };
        let (local, peer) = (([10, 77, 0, 2], 53).into(), None);
        let datagram = Socket {
            local,
            peer,
            kind: SocketKind::Datagrams,
            unread: 1,
            last_received: None,
            last_sent: None,
        };
        self.fake.set_sockets(body, Some(vec![datagram]));
        self.program_of(body, |program| program.mail = Some(mail));
    }

    /// As `docker exec` by hand.
    pub fn exec(&self, body: &EngineId) {
        let since = self.now();
        self.fake.exec_by_hand(body);
        self.program_of(body, |program| {
            program.exec.get_or_insert(since);
        });
    }

    /// A command that somebody runs in it ends, which one in a frozen container does not.
    pub fn end_exec(&self, body: &EngineId) {
        if self.is_frozen(body) {
            return;
        }
        self.fake.end_exec(body);
        let left = self.fake.execs_in(body) > 0;
        let now = self.now();
        self.program_of(body, |program| program.exec = program.exec.filter(|_| left));
        self.oracle().sleeps.ends(body, now);
    }

    /// As `spin-docker thaw --all`: nothing tells of it.
    pub fn thaw_all(&self) {
        let now = self.now();
        for (body, _) in self.bodies() {
            if self.fake.look(&body).freezer() == Some(Freezer::Cgroup) {
                self.fake.thaw_by_hand(&body);
                self.oracle().sleeps.thawed(&body, now);
                self.weather.set_blind(true);
            }
        }
    }

    pub fn is_frozen(&self, body: &EngineId) -> bool {
        self.fake.look(body).freezer().is_some()
    }
}
