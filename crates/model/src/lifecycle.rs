//! The lifecycle: `(container, input, now) -> (container, effect)`. The only rules by which a container's phase moves.
//!
//! At most one engine call is under way for a container; while it is, commands only change what comes after it. That is
//! why a stop never races a start: they are two inputs in one queue. What the engine shows (an [`Observation`]) counts
//! while no call of ours is under way; during one, the call's own result is what counts.

mod observation;
mod sleep;

pub use observation::{Ending, Observation};
pub use sleep::Waker;

use crate::container::{After, Container, NO_CHECK_IN, Phase, Sleep, Status, StopReason};
use crate::freezer::Freezer;
use crate::idle::{Evidence, Verdict};
use crate::ids::{ContainerId, EngineId};
use crate::policy::{Amendment, IdlePolicy};
use crate::time::Timestamp;

/// What happens to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The engine made the body.
    Created {
        /// The body's id; the container's identity from now on.
        engine_id: EngineId,
        /// With the leading slash.
        name: String,
    },
    /// The engine did not, as far as it says, and why.
    CreateFailed(String),
    /// Somebody wants it to run.
    Start,
    /// The engine's start returned.
    Started,
    /// The engine's start failed, and why.
    StartFailed(String),
    /// Somebody wants it to rest.
    Stop,
    /// The engine's stop returned.
    Stopped,
    /// The engine's stop failed for good, and why. It runs on.
    StopFailed(String),
    /// The host is short of memory: it stops, if it is frozen.
    Pressure,
    /// It is to freeze: nothing keeps it awake, or somebody says so.
    Freeze,
    /// The freeze is done, and by what.
    Froze(Freezer),
    /// The freeze failed, or was undone, and why: its processes run.
    NotFrozen(String),
    /// It is to run for a moment, if it is frozen: see [`Sleep::Breathing`].
    Breathe,
    /// Somebody has it woken.
    Wake(Waker),
    /// The thaw is done.
    Thawed,
    /// The thaw failed for good, and why.
    ThawFailed(String),
    /// Its owner deletes it.
    Delete,
    /// The engine let go of it.
    Removed,
    /// An inspect, after an event, at an audit.
    Observed(Observation),
    /// What an inspect showed as its own end was somebody's wish.
    StoppedByHand,
    /// The first inspect after the daemon came up: what was under way is taken up again.
    Resumed(Observation),
    /// Its own report, from inside.
    CheckIn(String),
    /// It was used, and when last.
    Used(Timestamp),
    /// The time of the next look has come.
    Look(Evidence),
    /// The time that [`Container::expires_at`] says has come.
    Expired,
    /// The wall clock was set, or the host slept, by so many milliseconds.
    ClockShifted(i64),
    /// The policy is another one from now on.
    PolicyChanged,
    /// Its owner says this of its policy from now on, which [`Input::PolicyChanged`] puts into force.
    PolicySaid(Amendment),
}

/// The engine call that a transition asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start its body.
    Start,
    /// Stop its body, with grace.
    Stop,
    /// Freeze its processes.
    Freeze,
    /// Let its processes go on for a moment, and freeze them again unless they have begun something.
    Breathe(Freezer),
    /// End the freeze or the breath that is under way, with whatever came of it.
    EndFreeze,
    /// Let its processes go on.
    Thaw(Freezer),
    /// Remove its body and its anonymous volumes.
    Remove,
}

/// Moves a container by one input. The policy says when to look next.
pub fn step(
    container: &Container,
    input: Input,
    now: Timestamp,
    policy: &IdlePolicy,
) -> (Container, Option<Effect>) {
    let mut next = container.clone();
    let effect = next.take(input, now, policy);
    (next, effect)
}

impl Container {
    /// While it reports that it is in use, it is: its last activity is when that ends.
    fn take(&mut self, input: Input, now: Timestamp, policy: &IdlePolicy) -> Option<Effect> {
        let reported = self.is_checked_in(now, policy) && self.phase.status() == Status::Running;
        let effect = self.moved_by(input, now, policy);
        if reported && (self.check_in == NO_CHECK_IN || self.phase.status() != Status::Running) {
            self.last_activity = self.last_activity.max(now);
        }
        effect
    }

    fn moved_by(&mut self, input: Input, now: Timestamp, policy: &IdlePolicy) -> Option<Effect> {
        match input {
            Input::Created { engine_id, name } => self.created(engine_id, name),
            Input::CreateFailed(why) => self.create_failed(why),
            Input::Start => self.start(),
            Input::Started => self.started(now, policy),
            Input::StartFailed(why) => self.start_failed(why),
            Input::Stop => self.stop(),
            Input::Stopped => self.stopped(),
            Input::StopFailed(why) => self.stop_failed(why, now, policy),
            Input::Pressure => self.press(),
            Input::Freeze => self.freeze(),
            Input::Froze(by) => self.froze(by),
            Input::Breathe => self.breathe(),
            Input::NotFrozen(_) | Input::Thawed => self.is_awake_again(),
            Input::Wake(waker) => self.wake(waker, policy),
            Input::ThawFailed(why) => self.thaw_failed(why),
            Input::Delete => self.delete(),
            Input::Removed => self.end(),
            Input::Observed(seen) => self.observed(seen, now, policy),
            Input::StoppedByHand => self.stopped_by_hand(),
            Input::Resumed(seen) => self.resumed(seen, now, policy),
            Input::CheckIn(value) => self.checked_in(value, now, policy),
            Input::Used(at) => self.used(at.min(now)),
            Input::Look(evidence) => self.looked(evidence, now, policy),
            Input::Expired => self.expired(now, policy),
            Input::ClockShifted(by) => self.clock_shifted(by, now),
            Input::PolicyChanged => self.policy_changed(now, policy),
            Input::PolicySaid(amendment) => self.policy_said(&amendment),
        }
    }

    fn created(&mut self, engine_id: EngineId, name: String) -> Option<Effect> {
        if self.phase != Phase::Creating {
            return None;
        }
        self.container_id = Some(ContainerId::new(engine_id.as_str()));
        self.engine_id = Some(engine_id);
        self.name = name;
        self.begin_start(true)
    }

    /// An engine that failed, or fell silent, may have made it all the same: its labels tell.
    fn create_failed(&mut self, why: String) -> Option<Effect> {
        if self.phase != Phase::Creating {
            return None;
        }
        self.failure = Some(why);
        self.begin_remove()
    }

    fn start(&mut self) -> Option<Effect> {
        match &mut self.phase {
            // There is nothing to start; the failure says so.
            Phase::Stopped { reason: StopReason::Lost } => None,
            Phase::Stopped { .. } => self.begin_start(false),
            Phase::Starting { after, .. } if *after == After::Stop => {
                *after = After::Stay;
                None
            }
            Phase::Stopping { after, .. } if *after == After::Stay => {
                *after = After::Start;
                None
            }
            _ => None,
        }
    }

    fn begin_start(&mut self, first: bool) -> Option<Effect> {
        self.failure = None;
        self.forget_check_in();
        self.phase = Phase::Starting { first, after: After::Stay };
        Some(Effect::Start)
    }

    fn started(&mut self, now: Timestamp, policy: &IdlePolicy) -> Option<Effect> {
        let Phase::Starting { after, .. } = self.phase else { return None };
        match after {
            After::Stay | After::Start => self.runs(now, policy),
            After::Stop => return self.begin_stop(StopReason::Asked, After::Stay),
            After::Remove => return self.begin_stop(StopReason::Asked, After::Remove),
        }
        None
    }

    fn runs(&mut self, now: Timestamp, policy: &IdlePolicy) {
        self.failure = None;
        self.last_activity = now;
        self.phase = Phase::Running { looks: policy.first_look(now), sleep: Sleep::Awake };
    }

    /// A container that never ran once was never anybody's: it goes. Any other stays, and says why it does not run.
    fn start_failed(&mut self, why: String) -> Option<Effect> {
        let Phase::Starting { first, after } = self.phase else { return None };
        if first || after == After::Remove {
            self.failure = Some(why);
            return self.begin_remove();
        }
        // An engine that fell silent may start it all the same.
        if after == After::Stop {
            return self.begin_stop(StopReason::Asked, After::Stay);
        }
        self.rests(StopReason::Failed, Some(why));
        None
    }

    fn stop(&mut self) -> Option<Effect> {
        match &mut self.phase {
            Phase::Running { .. } => self.begin_stop(StopReason::Asked, After::Stay),
            Phase::Starting { after, .. } if *after == After::Stay => {
                *after = After::Stop;
                None
            }
            Phase::Stopping { reason, after } if *after != After::Remove => {
                (*reason, *after) = (StopReason::Asked, After::Stay);
                None
            }
            Phase::Stopped { reason } if *reason != StopReason::Lost => {
                *reason = StopReason::Asked;
                None
            }
            _ => None,
        }
    }

    /// One that somebody woke meanwhile is missed, and one that takes a breath: it may be about to go on.
    fn press(&mut self) -> Option<Effect> {
        matches!(self.phase, Phase::Running { sleep: Sleep::Frozen { .. }, .. })
            .then(|| self.begin_stop(StopReason::Pressure, After::Stay))?
    }

    fn begin_stop(&mut self, reason: StopReason, after: After) -> Option<Effect> {
        self.phase = Phase::Stopping { reason, after };
        Some(Effect::Stop)
    }

    fn stopped(&mut self) -> Option<Effect> {
        let Phase::Stopping { reason, after } = self.phase else { return None };
        match after {
            After::Start => self.begin_start(false),
            After::Remove => self.begin_remove(),
            After::Stay | After::Stop => {
                self.rests(reason, None);
                None
            }
        }
    }

    fn rests(&mut self, reason: StopReason, failure: Option<String>) {
        self.phase = Phase::Stopped { reason };
        self.forget_check_in();
        self.failure = failure;
    }

    fn forget_check_in(&mut self) {
        self.check_in = NO_CHECK_IN.to_owned();
        self.checked_in_at = None;
    }

    fn stop_failed(&mut self, why: String, now: Timestamp, policy: &IdlePolicy) -> Option<Effect> {
        let Phase::Stopping { after, .. } = self.phase else { return None };
        if after == After::Remove {
            return self.begin_remove();
        }
        self.failure = Some(why);
        // It was thawed for its end, unless the engine failed before that.
        let by = Freezer::Cgroup;
        self.phase =
            Phase::Running { looks: policy.another_look(now), sleep: Sleep::Thawing { by: Some(by) } };
        Some(Effect::Thaw(by))
    }

    fn delete(&mut self) -> Option<Effect> {
        match &mut self.phase {
            Phase::Running { .. } => self.begin_stop(StopReason::Asked, After::Remove),
            Phase::Starting { after, .. } | Phase::Stopping { after, .. } => {
                *after = After::Remove;
                None
            }
            Phase::Stopped { .. } => self.begin_remove(),
            Phase::Creating | Phase::Removing | Phase::Gone => None,
        }
    }

    fn begin_remove(&mut self) -> Option<Effect> {
        self.phase = Phase::Removing;
        Some(Effect::Remove)
    }

    fn end(&mut self) -> Option<Effect> {
        self.phase = Phase::Gone;
        None
    }

    /// An application may report before the engine's start has returned.
    fn checked_in(&mut self, value: String, now: Timestamp, policy: &IdlePolicy) -> Option<Effect> {
        if matches!(self.phase, Phase::Running { .. } | Phase::Starting { .. }) {
            if value != NO_CHECK_IN && policy.activity.check_ins() {
                self.last_activity = now;
            }
            self.check_in = value;
            self.checked_in_at = Some(now);
        }
        None
    }

    fn used(&mut self, at: Timestamp) -> Option<Effect> {
        if matches!(self.phase, Phase::Running { .. }) {
            self.last_activity = self.last_activity.max(at);
        }
        None
    }

    fn looked(&mut self, evidence: Evidence, now: Timestamp, policy: &IdlePolicy) -> Option<Effect> {
        let Phase::Running { looks: Some(looks), sleep } = self.phase else { return None };
        if now < looks.next {
            return None;
        }
        match policy.look(looks.stage, evidence, now) {
            Verdict::LookAgain(looks) => {
                self.phase = Phase::Running { looks: Some(looks), sleep };
                None
            }
            Verdict::Stop => self.begin_stop(StopReason::Idle, After::Stay),
        }
    }

    /// A policy that changed meanwhile, or a use, may have given it more time.
    fn expired(&mut self, now: Timestamp, policy: &IdlePolicy) -> Option<Effect> {
        if self.expires_at(policy).is_none_or(|at| now < at) {
            return None;
        }
        self.delete()
    }

    /// Times keep their distance from now, and the next look counts as a first one: nothing stops early.
    fn clock_shifted(&mut self, by_millis: i64, now: Timestamp) -> Option<Effect> {
        self.last_activity = self.last_activity.followed(by_millis, now);
        self.checked_in_at = self.checked_in_at.map(|at| at.followed(by_millis, now));
        let lives_since = self.lives_since.unwrap_or(self.created_at).followed(by_millis, now);
        self.lives_since = Some(lives_since).filter(|since| *since != self.created_at);
        if let Phase::Running { looks: Some(looks), .. } = &mut self.phase {
            *looks = looks.shifted(by_millis);
        }
        None
    }

    fn policy_changed(&mut self, now: Timestamp, policy: &IdlePolicy) -> Option<Effect> {
        if let Phase::Running { looks, .. } = &mut self.phase {
            *looks = policy.moved(*looks, now);
        }
        None
    }

    fn policy_said(&mut self, amendment: &Amendment) -> Option<Effect> {
        self.owner_says.amend(amendment);
        None
    }
}

#[cfg(test)]
mod tests;
