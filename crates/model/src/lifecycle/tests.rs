//! The lifecycle as tables, and as properties over random lives.

mod commands;
mod expiry;
mod lives;
mod looks;
mod observation;
mod words;

use super::*;
use crate::idle::Looks;
use crate::specimen::specimen;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const POLICY: IdlePolicy = IdlePolicy::DEFAULT;

fn container(phase: Phase) -> Container {
    specimen(phase, NOW)
}

fn running() -> Phase {
    running_until(POLICY.first_look(NOW))
}

fn starting(first: bool, after: After) -> Phase {
    Phase::Starting { first, after }
}

fn stopping(after: After) -> Phase {
    stopping_for(StopReason::Asked, after)
}

fn stopping_idle(after: After) -> Phase {
    stopping_for(StopReason::Idle, after)
}

fn stopping_for(reason: StopReason, after: After) -> Phase {
    Phase::Stopping { reason, after }
}

const STOPPED: Phase = Phase::Stopped { reason: StopReason::Asked };
const RESTS: Phase = Phase::Stopped { reason: StopReason::Idle };
const BY: Freezer = Freezer::Cgroup;
const FROZEN: Sleep = Sleep::Frozen { by: BY };
const THAWING: Sleep = Sleep::Thawing { by: Some(BY) };
const BREATHING: Sleep = Sleep::Breathing { by: BY };
const WANTED: Sleep = Sleep::Thawing { by: None };
const LOST: Phase = Phase::Stopped { reason: StopReason::Lost };

fn running_until(looks: Option<Looks>) -> Phase {
    Phase::Running { looks, sleep: Sleep::Awake }
}

fn asleep(sleep: Sleep) -> Phase {
    Phase::Running { looks: POLICY.first_look(NOW), sleep }
}

fn seen_running() -> Observation {
    Observation::Running { name: "/b".into(), frozen: None }
}

fn seen_frozen() -> Observation {
    Observation::Running { name: "/b".into(), frozen: Some(BY) }
}

fn seen_exited(ending: Ending) -> Observation {
    Observation::Exited { name: "/b".into(), code: 3, out_of_memory: false, ending }
}
