//! Why a container is awake, asleep or stopped: one sentence, the facts behind it, and what comes next if nothing happens.

use crate::calm::{Awake, Beside, Keeper};
use crate::cause::Cause;
use crate::container::{Container, Phase, Sleep, StopReason};
use crate::event::{Event, EventKind};
use crate::idle::{Looks, Stage};
use crate::policy::{IdlePolicy, WakeOn};
use crate::time::{Timestamp, brief};
use std::net::SocketAddr;

/// What is known of a container beside itself.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What keeps it awake, as far as that was looked at, and when it was.
    pub kept: Option<(Awake, Timestamp)>,
    /// The client beside the gateway that was found to wait for an answer.
    pub beside: Option<Beside>,
    /// Since when it is frozen, if it is.
    pub frozen_at: Option<Timestamp>,
    /// Until when no connection starts it, and how often in a row it ended by itself.
    pub restarts_at: Option<(Timestamp, u32)>,
    /// Its open connections.
    pub links: Vec<Link>,
    /// Something that counts has happened since the last look.
    pub used: bool,
    /// The last transition.
    pub last: Option<Event>,
    /// Why it cannot be reached, or does not run, although it should; since when, where that is known; and who says so.
    pub failure: Option<(String, Option<Timestamp>, Source)>,
}

/// An open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// From where.
    pub peer: SocketAddr,
    /// To which of the container's ports.
    pub port: u16,
    /// When a byte moved last.
    pub moved_at: Timestamp,
    /// Its last bytes went towards the container.
    pub owed: bool,
    /// The policy ignores it.
    pub ignored: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// In one sentence.
    pub sentence: String,
    /// What it was made of.
    pub facts: Vec<Fact>,
    /// What comes if nothing happens, soonest first.
    pub next: Vec<(Next, Timestamp)>,
}

/// One thing that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub fact: &'static str,
    /// What is known of it.
    pub value: String,
    /// When it came about, or was seen; none of what always holds, and where nobody knows.
    pub at: Option<Timestamp>,
    /// Who says so.
    pub source: Source,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It moves the bytes.
    Gateway,
    /// It schedules the processes and holds the sockets.
    Kernel,
    /// It runs the container.
    Engine,
    /// The container itself.
    CheckIn,
    /// Its idle policy.
    Policy,
    /// Somebody who asked for it.
    Person,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Next {
    Freeze,
    Look,
    Stop,
    Expire,
}

/// Why it is as it is.
pub fn why(container: &Container, policy: &IdlePolicy, known: &Known, now: Timestamp) -> Why {
    let facts = facts(container, policy, known, now);
    let next = what_next(container, policy, known, now);
    Why { sentence: sentence(container, policy, known, now), facts, next }
}

fn sentence(container: &Container, policy: &IdlePolicy, known: &Known, now: Timestamp) -> String {
    let last = known.last.as_ref().filter(|event| tells(event.kind, &container.phase));
    let last = last.map(|event| format!("{} ago it {event}", brief(now.since(event.at))));
    match &container.phase {
        Phase::Creating => "It is being made".to_owned(),
        Phase::Starting { .. } => "It is starting".to_owned(),
        Phase::Stopping { reason, .. } => format!("It is stopping: {}", of_stop(*reason)),
        Phase::Removing | Phase::Gone => "It is deleted".to_owned(),
        Phase::Stopped { reason } => {
            let stopped = last.unwrap_or_else(|| format!("It is stopped: {}", of_stop(*reason)));
            format!("{stopped}; {}", what_wakes(*reason, policy, known, now))
        }
        Phase::Running { sleep, .. } if sleep.is_frozen() => {
            let froze = last.unwrap_or_else(|| "It is frozen".to_owned());
            format!("{froze}; a connection or a byte{} wakes it", from_whom(policy))
        }
        Phase::Running { sleep: Sleep::Freezing, .. } => "It is awake, and about to freeze".to_owned(),
        Phase::Running { sleep: Sleep::Thawing { .. }, .. } => "It is being thawed".to_owned(),
        Phase::Running { .. } => awake(container, policy, known, now),
    }
}

/// Whether such an event says how it came to be so.
fn tells(kind: EventKind, phase: &Phase) -> bool {
    use EventKind::{Exited, Failed, Froze, Lost, Stopped};
    match phase {
        Phase::Running { sleep, .. } if sleep.is_frozen() => matches!(kind, Froze | Failed),
        Phase::Stopped { .. } => matches!(kind, Stopped | Exited | Failed | Lost),
        _ => false,
    }
}

fn awake(container: &Container, policy: &IdlePolicy, known: &Known, now: Timestamp) -> String {
    let ago = |at: Timestamp| brief(now.since(at));
    let Some((kept, _)) = known.kept else {
        return format!(
            "It is awake, and was last used {} ago: it is looked at in a moment whether it may freeze",
            ago(container.last_activity)
        );
    };
    let reason = match kept.by {
        Keeper::Policy => "its policy never freezes it (freeze_after, disable_timeouts)".to_owned(),
        Keeper::Reports => "it reports for itself, which it could not do frozen".to_owned(),
        Keeper::Unvisited => {
            "nobody has connected since its start, and its first look is still to come".to_owned()
        }
        Keeper::Use => format!("it was used {} ago", ago(container.last_activity)),
        Keeper::CheckIn => format!("its last check-in was {}", container.check_in),
        Keeper::Owed => match waiting(policy, known, now) {
            Some(Link { peer, port, moved_at, .. }) => {
                format!("{peer} has waited {} for an answer from port {port}", ago(*moved_at))
            }
            None => "a client waits for an answer".to_owned(),
        },
        Keeper::OwedBeside => match known.beside {
            Some(Beside { peer, since }) => {
                format!("{peer}, a client beside the gateway, has waited {} for an answer", ago(since))
            }
            None => "a client beside the gateway waits for an answer".to_owned(),
        },
        Keeper::Exec => "somebody runs a command in it".to_owned(),
        Keeper::Busy(share) => format!("it uses {} of a core, more than busy_cpu", percent(share)),
        Keeper::Mail => "something in its sockets waits to be read".to_owned(),
    };
    let freezes = freezes_at(container, policy, known);
    let ends = freezes.map_or_else(String::new, |at| {
        format!("; it freezes in {} if nothing happens", brief(at.since(now)))
    });
    format!("It is awake: {reason}{ends}")
}

/// The latest of the gateway's clients to wait for an answer, and not yet for too long.
fn waiting<'a>(policy: &IdlePolicy, known: &'a Known, now: Timestamp) -> Option<&'a Link> {
    let counts = |link: &&Link| link.owed && !link.ignored && link.moved_at.plus(policy.owed_for) > now;
    known.links.iter().filter(counts).max_by_key(|link| link.moved_at)
}

fn percent(thousandths: u32) -> String {
    format!("{} %", f64::from(thousandths) / 10.0)
}

fn of_stop(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Asked => "somebody said so",
        StopReason::Idle => "idle twice",
        StopReason::Pressure => "the host was short of memory",
        StopReason::Exited => "it ended by itself",
        StopReason::Failed => "it did not start",
        StopReason::Lost => "the engine has it no more",
    }
}

fn what_wakes(reason: StopReason, policy: &IdlePolicy, known: &Known, now: Timestamp) -> String {
    let starts = match policy.wake {
        _ if reason == StopReason::Lost => return "nothing brings it back: DELETE it".to_owned(),
        _ if !reason.wakes() => {
            return "only a PATCH with status=running, or `docker start`, starts it".to_owned();
        }
        WakeOn::Api => {
            return "only a PATCH with status=running, or `docker start`, starts it (wake=api)".to_owned();
        }
        WakeOn::FirstByte => format!("the first byte of a connection{} starts it", from_whom(policy)),
        WakeOn::Connect => format!("a connection{} starts it", from_whom(policy)),
    };
    match known.restarts_at.filter(|(at, _)| *at > now) {
        Some((at, times)) => {
            let again = if times == 1 { "once".to_owned() } else { format!("{times} times in a row") };
            format!("{starts}, in {} at the earliest: it ended by itself {again}", brief(at.since(now)))
        }
        None => starts,
    }
}

/// Whom the policy lets wake it, where that is not everybody.
fn from_whom(policy: &IdlePolicy) -> String {
    let nets: Vec<_> = policy.wake_from.iter().map(ToString::to_string).collect();
    if nets.is_empty() { String::new() } else { format!(" from {}", nets.join(" or ")) }
}

fn facts(container: &Container, policy: &IdlePolicy, known: &Known, now: Timestamp) -> Vec<Fact> {
    let fact = |fact, value: String, at, source| Fact { fact, value, at, source };
    let mut facts = Vec::new();
    if let Some(event) = &known.last {
        facts.push(fact("last transition", event.to_string(), Some(event.at), source_of(event)));
    }
    if let Some((failure, at, source)) = known.failure.clone() {
        facts.push(fact("failure", failure, at, source));
    }
    if let Phase::Running { sleep, .. } = container.phase {
        facts.extend(sleep.freezer().zip(known.frozen_at).map(|(by, at)| {
            let by = format!("{by:?}").to_lowercase();
            fact("frozen", format!("by {by}"), Some(at), Source::Kernel)
        }));
        facts.extend(known.kept.and_then(|(kept, at)| of_keeper(kept.by, at, known)));
        facts.extend(of_links(policy, known, now));
        facts.push(fact(
            "last use",
            "of what the policy counts".into(),
            Some(container.last_activity),
            source_of_use(container, policy),
        ));
    }
    if let Some(at) = container.checked_in_at {
        facts.push(fact("last check-in", container.check_in.clone(), Some(at), Source::CheckIn));
    }
    let freezes = container.freezes_after(policy).map_or_else(|| "off".to_owned(), brief);
    facts.push(fact("freeze_after", freezes, None, Source::Policy));
    if policy.disable_timeouts {
        facts.push(fact("disable_timeouts", "true".into(), None, Source::Policy));
    }
    facts
}

/// Who made the last transition come about.
fn source_of(event: &Event) -> Source {
    match &event.cause {
        Some(Cause::Request { .. } | Cause::Policy { .. }) => Source::Person,
        Some(Cause::Connection { .. } | Cause::NoBytes { .. } | Cause::KeepAlives { .. }) => Source::Gateway,
        Some(Cause::Refusal { .. } | Cause::Owed { .. }) => Source::Gateway,
        Some(Cause::NoReports { .. } | Cause::CheckIn) => Source::CheckIn,
        Some(Cause::Looks | Cause::Expiry { .. } | Cause::Restart) => Source::Policy,
        Some(
            Cause::OwedBeside { .. }
            | Cause::Pressure
            | Cause::Mail
            | Cause::Breath
            | Cause::OnlyInside { .. },
        ) => Source::Kernel,
        _ => Source::Engine,
    }
}

/// Who saw the last use. One that was not used since its start has that for it.
fn source_of_use(container: &Container, policy: &IdlePolicy) -> Source {
    let last = container.last_activity;
    let is_start = |looks: Looks| looks.stage == Stage::Initial && looks.since == last;
    match container.phase {
        _ if container.checked_in_at == Some(last) => Source::CheckIn,
        _ if !policy.activity.traffic() => Source::Engine,
        Phase::Running { looks: Some(looks), .. } if is_start(looks) => Source::Engine,
        _ => Source::Gateway,
    }
}

/// What only the engine and the kernel could say.
fn of_keeper(by: Keeper, at: Timestamp, known: &Known) -> Option<Fact> {
    let (fact, value, source) = match by {
        Keeper::OwedBeside => return known.beside.map(of_beside),
        Keeper::Exec => ("commands run in it", "at least one".to_owned(), Source::Engine),
        Keeper::Busy(share) => ("CPU use", percent(share), Source::Kernel),
        Keeper::Mail => ("unread in its sockets", "something".to_owned(), Source::Kernel),
        _ => return None,
    };
    Some(Fact { fact, value, at: Some(at), source })
}

fn of_beside(Beside { peer, since }: Beside) -> Fact {
    let value = format!("{peer}, beside the gateway");
    Fact { fact: "owed an answer", value, at: Some(since), source: Source::Kernel }
}

fn of_links(policy: &IdlePolicy, known: &Known, now: Timestamp) -> Vec<Fact> {
    let (ignored, counted): (Vec<_>, Vec<_>) = known.links.iter().partition(|link| link.ignored);
    let fact = |fact, value, at| Fact { fact, value, at, source: Source::Gateway };
    let moved_at = |links: &[&Link]| links.iter().map(|link| link.moved_at).max();
    let mut facts = vec![fact("open connections", counted.len().to_string(), moved_at(&counted))];
    facts.extend(waiting(policy, known, now).map(|link| {
        fact("owed an answer", format!("{} by port {}", link.peer, link.port), Some(link.moved_at))
    }));
    if !ignored.is_empty() {
        facts.push(fact("ignored connections", ignored.len().to_string(), moved_at(&ignored)));
    }
    facts
}

/// When it freezes if nothing happens; none where that is not known, or never.
fn freezes_at(container: &Container, policy: &IdlePolicy, known: &Known) -> Option<Timestamp> {
    let Phase::Running { sleep: Sleep::Awake, .. } = container.phase else { return None };
    let (kept, _) = known.kept?;
    Some(kept.until?.max(container.last_activity.plus(container.freezes_after(policy)?)))
}

/// What comes if nothing happens, soonest first.
pub fn what_next(
    container: &Container,
    policy: &IdlePolicy,
    known: &Known,
    now: Timestamp,
) -> Vec<(Next, Timestamp)> {
    let mut next = Vec::new();
    next.extend(freezes_at(container, policy, known).map(|at| (Next::Freeze, at)));
    if let Phase::Running { looks: Some(looks), .. } = container.phase {
        next.push((Next::Look, looks.next));
        next.extend(stops_at(container, policy, known, now).map(|at| (Next::Stop, at)));
    }
    next.extend(container.expires_at(policy).map(|at| (Next::Expire, at)));
    next.sort_by_key(|(_, at)| *at);
    next
}

/// When two looks in a row will have found it idle; none while something keeps every look from that.
fn stops_at(container: &Container, policy: &IdlePolicy, known: &Known, now: Timestamp) -> Option<Timestamp> {
    let Phase::Running { looks: Some(looks), .. } = container.phase else { return None };
    let is_connected = !policy.stop_with_connections && known.links.iter().any(|link| !link.ignored);
    if is_connected || container.is_checked_in(now, policy) {
        return None;
    }
    let interval = policy.timeout_interval;
    Some(match looks.stage {
        _ if known.used => looks.next.plus(2 * interval),
        Stage::Initial | Stage::First => looks.next.plus(interval),
        Stage::Last => looks.next,
    })
}

#[cfg(test)]
#[path = "why_tests.rs"]
mod tests;
