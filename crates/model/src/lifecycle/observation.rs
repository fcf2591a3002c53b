//! What the engine shows of a container: while it runs, after an event, at an audit, and first of all after the daemon came
//! up. It counts while no call of ours is under way.

use super::Effect;
use crate::container::{After, Container, Phase, Sleep, StopReason};
use crate::freezer::Freezer;
use crate::policy::IdlePolicy;
use crate::time::Timestamp;

/// The exit code of what SIGKILL ended. Not every engine sees that the kernel sent it: over control groups of version 1, Docker 20.10 on
/// Linux 6.18 does not.
const KILLED: i64 = 137;

/// What an inspect shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The engine runs it.
    Running {
        /// With the leading slash.
        name: String,
        /// What holds its processes; none while it is awake.
        frozen: Option<Freezer>,
    },
    /// The engine has it, and it does not run.
    Exited {
        /// With the leading slash.
        name: String,
        /// Its exit code.
        code: i64,
        /// The kernel ended it for want of memory.
        out_of_memory: bool,
        /// How, as far as anybody saw. An inspect cannot tell; the events can.
        ending: Ending,
    },
    /// The engine knows it no more.
    Missing,
}

impl Observation {
    /// What holds its processes.
    pub fn freezer(&self) -> Option<Freezer> {
        match self {
            Self::Running { frozen, .. } => *frozen,
            _ => None,
        }
    }

    /// It ended, and nobody saw how.
    pub fn is_unseen_end(&self) -> bool {
        matches!(self, Self::Exited { ending: Ending::Unseen, .. })
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, while we followed it.
    ByItself,
    /// Somebody stopped it through the engine, as `docker stop` does.
    ByHand,
    /// While we, or the engine, were away: by itself, by hand, or with the engine.
    Unseen,
}

impl Container {
    /// What the engine shows while no call of ours is under way.
    pub(super) fn observed(
        &mut self,
        seen: Observation,
        now: Timestamp,
        policy: &IdlePolicy,
    ) -> Option<Effect> {
        self.learn_name(&seen);
        let calm = matches!(self.phase, Phase::Running { .. } | Phase::Stopped { .. });
        match (&self.phase, seen) {
            (_, Observation::Missing) if calm => self.lost(),
            (Phase::Stopped { .. }, Observation::Running { frozen, .. }) => {
                self.runs(now, policy);
                self.is_held(frozen);
            }
            (Phase::Running { .. }, Observation::Running { frozen, .. }) => self.is_held(frozen),
            // It is there again, as after a restored disk of the engine's.
            (Phase::Stopped { reason: StopReason::Lost }, _) => self.rests(StopReason::Exited, None),
            (Phase::Running { .. }, Observation::Exited { ending: Ending::ByHand, .. }) => {
                self.rests(StopReason::Asked, None)
            }
            (Phase::Running { .. }, Observation::Exited { code, out_of_memory, ending, .. }) => {
                self.rests(StopReason::Exited, Some(how_it_ended(code, out_of_memory, ending)));
            }
            _ => {}
        }
        None
    }

    /// Whether it is started again, once this is seen of it: it ran, and ended while nobody watched.
    pub fn restarts_after(&self, seen: &Observation, policy: &IdlePolicy) -> bool {
        policy.restart && seen.is_unseen_end() && matches!(self.phase, Phase::Running { .. })
    }

    /// Its owner is told, and decides: it stays listed, with its ports, until it is deleted.
    fn lost(&mut self) {
        self.rests(StopReason::Lost, Some(how_it_was_lost(&self.name)));
    }

    pub(super) fn stopped_by_hand(&mut self) -> Option<Effect> {
        if self.phase == (Phase::Stopped { reason: StopReason::Exited }) {
            self.rests(StopReason::Asked, None);
        }
        None
    }

    fn learn_name(&mut self, seen: &Observation) {
        if let Observation::Running { name, .. } | Observation::Exited { name, .. } = seen {
            self.name.clone_from(name);
        }
    }

    /// Takes up again what an earlier run of the daemon left under way.
    pub(super) fn resumed(
        &mut self,
        seen: Observation,
        now: Timestamp,
        policy: &IdlePolicy,
    ) -> Option<Effect> {
        self.learn_name(&seen);
        // Whether it was half made, only its labels tell: the removal looks for them.
        if self.engine_id.is_none() {
            return self.begin_remove();
        }
        if seen == Observation::Missing {
            return self.resumed_without_body();
        }
        let runs = matches!(seen, Observation::Running { .. });
        match &mut self.phase {
            // Nobody was told of it: a half-made one goes.
            Phase::Starting { first: true, .. } if !runs => self.begin_remove(),
            // It may have frozen since, where that could not be written down.
            Phase::Starting { .. } if runs => {
                let effect = self.started(now, policy);
                self.is_held(seen.freezer());
                effect
            }
            Phase::Starting { after: After::Stop, .. } => {
                self.rests(StopReason::Asked, None);
                None
            }
            Phase::Starting { after: After::Remove, .. } | Phase::Removing => self.begin_remove(),
            Phase::Starting { .. } => Some(Effect::Start),
            Phase::Stopping { .. } => Some(Effect::Stop),
            Phase::Running { looks, sleep } if runs => {
                *sleep = seen.freezer().map_or(Sleep::Awake, |by| Sleep::Frozen { by });
                self.last_activity = self.last_activity.min(now);
                let resumed = looks.map(|looks| looks.resumed(self.last_activity, now, policy));
                *looks = policy.moved(resumed, now);
                None
            }
            _ => self.observed(seen, now, policy),
        }
    }

    /// Nobody was told of one that never ran, and nobody misses one that was deleted. Any other is its owner's.
    fn resumed_without_body(&mut self) -> Option<Effect> {
        if matches!(self.phase, Phase::Starting { first: true, .. }) || self.phase.is_doomed() {
            return self.end();
        }
        self.lost();
        None
    }
}

fn how_it_was_lost(name: &str) -> String {
    format!(
        "the engine has no container {} any more: somebody removed it, as `docker rm` and `docker system prune` do, \
         and its data with it; DELETE it and create a new one",
        name.trim_start_matches('/')
    )
}

fn how_it_ended(code: i64, out_of_memory: bool, ending: Ending) -> String {
    if out_of_memory {
        "it ran out of memory and was ended by the kernel; give its image a higher limit or less to do"
            .to_owned()
    } else if ending == Ending::Unseen {
        format!(
            "it ended with exit code {code} while spin-docker or the engine was away: with the engine, by hand or by \
             itself; start it again, or see `docker logs` for its last words"
        )
    } else if code == KILLED {
        format!(
            "it was killed (exit code {code}), by the kernel for want of memory unless somebody on the host did so; \
             `docker logs` shows its last words"
        )
    } else {
        format!("it ended by itself with exit code {code}; `docker logs` shows its last words")
    }
}
