//! How a running container sleeps and wakes: frozen and thawed, one call at a time, and nobody who comes meanwhile forgotten.

use super::Effect;
use crate::container::{After, Container, Phase, Sleep};
use crate::freezer::Freezer;
use crate::policy::{IdlePolicy, WakeOn};

/// Who has a container woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waker {
    /// A connection to an endpoint, or bytes on one. It starts what may be started by it.
    Connection,
    /// A request of the API, which thaws; a start is another.
    Request,
    /// The engine is about to do something to it, or mail waits in its sockets: it has to be thawed, and is not started.
    Need,
}

impl Container {
    /// Nothing keeps it awake, or somebody says so.
    pub(super) fn freeze(&mut self) -> Option<Effect> {
        let sleep = self.sleep_mut().filter(|sleep| **sleep == Sleep::Awake)?;
        *sleep = Sleep::Freezing;
        Some(Effect::Freeze)
    }

    /// Time for one. Whoever comes meanwhile ends it.
    pub(super) fn breathe(&mut self) -> Option<Effect> {
        let sleep = self.sleep_mut()?;
        let Sleep::Frozen { by } = *sleep else { return None };
        *sleep = Sleep::Breathing { by };
        Some(Effect::Breathe(by))
    }

    /// The freeze is done, after a breath too. Who came meanwhile has it thawed again.
    pub(super) fn froze(&mut self, by: Freezer) -> Option<Effect> {
        match self.sleep_mut()? {
            sleep @ Sleep::Freezing => *sleep = Sleep::Frozen { by },
            sleep @ Sleep::Breathing { .. } => {
                *sleep = Sleep::Frozen { by };
                // It could be thawed after all.
                self.failure = None;
            }
            Sleep::Thawing { by: of } => {
                *of = Some(by);
                return Some(Effect::Thaw(by));
            }
            Sleep::Awake | Sleep::Frozen { .. } => {}
        }
        None
    }

    /// The freeze was undone, the breath is no mere one, or the thaw is done.
    pub(super) fn is_awake_again(&mut self) -> Option<Effect> {
        if let Some(sleep) = self.sleep_mut().filter(|sleep| !matches!(sleep, Sleep::Frozen { .. })) {
            let breathed = matches!(sleep, Sleep::Breathing { .. });
            *sleep = Sleep::Awake;
            self.failure = self.failure.take().filter(|_| !breathed);
        }
        None
    }

    pub(super) fn thaw_failed(&mut self, why: String) -> Option<Effect> {
        let sleep = self.sleep_mut()?;
        match *sleep {
            Sleep::Thawing { by } => {
                *sleep = Sleep::Frozen { by: by.unwrap_or(Freezer::Cgroup) };
                self.failure = Some(why);
            }
            // Nobody waited for that, and it is tried again.
            Sleep::Breathing { by } => *sleep = Sleep::Frozen { by },
            Sleep::Awake | Sleep::Freezing | Sleep::Frozen { .. } => {}
        }
        None
    }

    pub(super) fn wake(&mut self, waker: Waker, policy: &IdlePolicy) -> Option<Effect> {
        let may_start = waker == Waker::Connection && policy.wake != WakeOn::Api;
        match &mut self.phase {
            Phase::Running { sleep, .. } => {
                let effect = thaw(sleep);
                // What was wrong with the last thaw is tried anew.
                self.failure = self.failure.take().filter(|_| effect.is_none());
                effect
            }
            Phase::Stopped { reason } if may_start && reason.wakes() => self.begin_start(false),
            Phase::Stopping { reason, after } if may_start && reason.wakes() && *after == After::Stay => {
                *after = After::Start;
                None
            }
            _ => None,
        }
    }

    /// What an inspect shows while no freeze and no thaw of ours is under way.
    pub(super) fn is_held(&mut self, frozen: Option<Freezer>) {
        if let Some(sleep @ (Sleep::Awake | Sleep::Frozen { .. })) = self.sleep_mut() {
            *sleep = frozen.map_or(Sleep::Awake, |by| Sleep::Frozen { by });
        }
    }

    fn sleep_mut(&mut self) -> Option<&mut Sleep> {
        match &mut self.phase {
            Phase::Running { sleep, .. } => Some(sleep),
            _ => None,
        }
    }
}

/// A freeze under way is told to end by itself, and so is a breath: it says what came of it.
fn thaw(sleep: &mut Sleep) -> Option<Effect> {
    match *sleep {
        Sleep::Freezing => {
            *sleep = Sleep::Thawing { by: None };
            Some(Effect::EndFreeze)
        }
        Sleep::Breathing { by } => {
            *sleep = Sleep::Thawing { by: Some(by) };
            Some(Effect::EndFreeze)
        }
        Sleep::Frozen { by } => {
            *sleep = Sleep::Thawing { by: Some(by) };
            Some(Effect::Thaw(by))
        }
        Sleep::Awake | Sleep::Thawing { .. } => None,
    }
}
