//! Why a container is as it is: what its view shows, what the gateway counts, and how its last transition came about.

use crate::control::Control;
use crate::handle::{Handle, View};
use model::{Awake, Event, EventKind, Keeper, Known, Link, Seen, Source, Timestamp, Why, why};
use tokio::time::Instant;

/// Among so many of its newest events the last transition is looked for.
const LOOKED_THROUGH: usize = 50;

impl Control {
    /// Why it is as this view shows it, and what comes next; with what time it is. Events that cannot be read are left out.
    pub async fn why(&self, of: &Handle, view: &View) -> (Why, Timestamp) {
        let events = self.events(of, None, LOOKED_THROUGH).await.unwrap_or_default();
        let now = self.shared.clock.now();
        let known = known(view, &events, now);
        (why(&view.container, &view.policy, &known, now), now)
    }
}

fn known(view: &View, events: &[Event], now: Timestamp) -> Known {
    let links = links(view, now);
    Known {
        kept: kept(view, &links, now),
        beside: view.beside.as_deref().copied(),
        frozen_at: view.frozen_at,
        restarts_at: view.restarts_at,
        links,
        used: view.used(),
        last: events.iter().rfind(|event| event.kind.is_transition()).cloned(),
        failure: failure(view, events, now),
    }
}

/// Of ports, which the gateway misses, with the time since when the first of them is missing; of anything else with the time when
/// the last thing failed, where that is among these events.
fn failure(view: &View, events: &[Event], now: Timestamp) -> Option<(String, Option<Timestamp>, Source)> {
    let failure = view.failure()?;
    if let Some(since) = view.ports_missing.iter().map(|missing| missing.since).min() {
        return Some((failure, Some(time_of(since, now)), Source::Gateway));
    }
    let fails = |kind| matches!(kind, EventKind::Failed | EventKind::Exited | EventKind::Lost);
    let failed_at = events.iter().rfind(|event| fails(event.kind)).map(|event| event.at);
    Some((failure, failed_at, Source::Engine))
}

fn time_of(instant: Instant, now: Timestamp) -> Timestamp {
    now.minus(instant.elapsed())
}

/// What the engine and the kernel were found to say holds until they are asked again; the rest is known now.
fn kept(view: &View, links: &[Link], now: Timestamp) -> Option<(Awake, Timestamp)> {
    let found = view
        .kept
        .filter(|kept| matches!(kept.by, Keeper::Exec | Keeper::Busy(_) | Keeper::Mail | Keeper::OwedBeside));
    if let Some(found) = found {
        return Some((found, view.kept_at));
    }
    let counted = || links.iter().filter(|link| !link.ignored);
    let owed_since = counted().filter(|link| link.owed).map(|link| link.moved_at).max();
    let is_new = view.kept.is_some_and(|kept| kept.by == Keeper::Unvisited);
    let seen = Seen { connected: !is_new || view.used() || counted().count() > 0, owed_since };
    view.container.kept_awake(&seen, now, &view.policy).map(|kept| (kept, now))
}

fn links(view: &View, now: Timestamp) -> Vec<Link> {
    let flows = view.flows().into_iter().map(|flow| Link {
        peer: flow.peer,
        port: flow.port,
        moved_at: time_of(flow.moved_at, now),
        owed: flow.owed,
        ignored: flow.ignored,
    });
    flows.collect()
}
