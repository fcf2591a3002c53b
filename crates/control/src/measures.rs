//! What is counted and timed below the server: transitions, engine calls, check-ins, commits.
//!
//! Every label has a handful of values, all of them ours: no name, no id and no text from outside makes a series.

use crate::{Control, StoreError};
use engine::EngineError;
use metrics::{counter, gauge, histogram};
use model::{Depth, EventKind, Phase, Status, StopReason};
use std::time::Duration;

/// A metric, as `/metrics` and docs/metrics.md tell it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The kinds of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, but for restarts.
    Counter,
    /// As it is when it is asked for.
    Gauge,
    /// How often, and how long in sum, by bounds.
    Histogram,
}

const TRANSITIONS: Metric = Metric {
    name: "spin_docker_transitions_total",
    kind: MetricKind::Counter,
    labels: &["from", "to", "cause"],
    help: "Containers that went from one status to another; why, where they stop: asked, idle, pressure, exited, failed, lost",
};
const HAPPENED: Metric = Metric {
    name: "spin_docker_events_total",
    kind: MetricKind::Counter,
    labels: &["kind"],
    help: "What happened to containers, by the kinds of docs/events.md: freezes, wakes, refusals; those told together count once",
};
const WAKES: Metric = Metric {
    name: "spin_docker_wake_seconds",
    kind: MetricKind::Histogram,
    labels: &["from"],
    help: "From when a connection asked for a sleeping container until it was awake, by how deep it slept: frozen, stopped",
};
const ENGINE_CALLS: Metric = Metric {
    name: "spin_docker_engine_call_seconds",
    kind: MetricKind::Histogram,
    labels: &["call", "outcome"],
    help: "Calls of the engine, by outcome: ok, not_found, unreachable, failed",
};
const CONTAINERS: Metric = Metric {
    name: "spin_docker_containers",
    kind: MetricKind::Gauge,
    labels: &["status"],
    help: "Containers that were made and not deleted",
};
const CONNECTIONS: Metric = Metric {
    name: "spin_docker_connections",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Open connections to containers' endpoints",
};
const CHECK_INS: Metric = Metric {
    name: "spin_docker_check_ins_total",
    kind: MetricKind::Counter,
    labels: &["outcome"],
    help: "Check-ins: taken; unknown, where the sender is no container of ours; refused, where its queue is full",
};
const COMMITS: Metric = Metric {
    name: "spin_docker_store_commit_seconds",
    kind: MetricKind::Histogram,
    labels: &["outcome"],
    help: "Commits of state to disk, as whoever waits for one sees it, by outcome: ok, failed",
};
const READY: Metric = Metric {
    name: "spin_docker_ready",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "1 where the engine answers, 0 where it is away",
};

/// All of them, in the order of the reference.
pub const METRICS: &[Metric] =
    &[CONTAINERS, TRANSITIONS, HAPPENED, WAKES, CONNECTIONS, CHECK_INS, READY, ENGINE_CALLS, COMMITS];

/// Shows what an alarm waits for from the start: to Prometheus, a series that is born with its first failure has not grown by it.
pub(crate) fn begin() {
    EventKind::ALL.iter().for_each(|kind| counter!(HAPPENED.name, "kind" => kind.name()).increment(0));
    for outcome in ["ok", "failed"] {
        drop(histogram!(COMMITS.name, "outcome" => outcome));
    }
}

pub(crate) fn transition(from: Status, phase: &Phase) {
    let (to, cause) = (phase.status().as_str(), phase.cause().map_or("", StopReason::as_str));
    counter!(TRANSITIONS.name, "from" => from.as_str(), "to" => to, "cause" => cause).increment(1);
}

pub(crate) fn event(kind: EventKind) {
    counter!(HAPPENED.name, "kind" => kind.name()).increment(1);
}

pub(crate) fn woken(from: Depth, took: Duration) {
    histogram!(WAKES.name, "from" => from.as_str()).record(took);
}

pub(crate) fn engine_call(call: &'static str, error: Option<&EngineError>, took: Duration) {
    let outcome = match error {
        None => "ok",
        Some(error) if error.is_not_found() => "not_found",
        Some(error) if error.is_unreachable() => "unreachable",
        Some(_) => "failed",
    };
    histogram!(ENGINE_CALLS.name, "call" => call, "outcome" => outcome).record(took);
}

pub(crate) fn commit<E: AsRef<StoreError>>(done: &Result<(), E>, took: Duration) {
    let outcome = if done.is_ok() { "ok" } else { "failed" };
    histogram!(COMMITS.name, "outcome" => outcome).record(took);
}

pub(crate) fn check_in(outcome: &'static str) {
    counter!(CHECK_INS.name, "outcome" => outcome).increment(1);
}

impl Control {
    /// Brings the gauges up to date: whoever shows them asks for it first.
    pub fn gauge(&self) {
        let views = self.list();
        for status in [Status::Starting, Status::Running, Status::Stopping, Status::Stopped] {
            let count = views.iter().filter(|view| view.container.phase.status() == status).count();
            gauge!(CONTAINERS.name, "status" => status.as_str()).set(count as f64);
        }
        let connections: u64 = views.iter().map(|view| u64::from(view.connections())).sum();
        gauge!(CONNECTIONS.name).set(connections as f64);
        gauge!(READY.name).set(f64::from(u8::from(self.is_ready())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_of_a_stop_is_in_the_reference() {
        let causes = StopReason::ALL.map(StopReason::as_str).join(", ");
        assert!(TRANSITIONS.help.ends_with(&format!(": {causes}")), "{causes}");
    }
}
