//! Why a container is as it is: what its view shows, what the gateway counts, and how its last transition came about.

use crate::control::Control;
use crate::handle::{Handle, View};
use model::{Event, Known, Link, Timestamp, Why, why};
use tokio::time::Instant;

/// Among so many of its newest events the last transition is looked for.
const LOOKED_THROUGH: usize = 50;

impl Control {
    /// Why it is as this view shows it, and what comes next; with what time it is. Events that cannot be read are left out.
    pub async fn why(&self, of: &Handle, view: &View) -> (Why, Timestamp) {
        let events = self.events(of, None, LOOKED_THROUGH).await.unwrap_or_default();
        let last = events.into_iter().rfind(|event| event.kind.is_transition());
        let now = self.shared.clock.now();
        let known = known(view, last, now);
        (why(&view.container, &view.policy, &known, now), now)
    }
}

fn known(view: &View, last: Option<Event>, now: Timestamp) -> Known {
    Known {
        kept: view.kept.map(|kept| (kept, view.kept_at)),
        frozen_at: view.frozen_at,
        links: links(view, now),
        used: view.used(),
        last,
        failure: view.failure(),
    }
}

fn links(view: &View, now: Timestamp) -> Vec<Link> {
    let time_of = |instant: Instant| {
        let ago = i64::try_from(instant.elapsed().as_millis()).unwrap_or(i64::MAX);
        now.shifted(-ago)
    };
    let flows = view.flows().into_iter().map(|flow| Link {
        peer: flow.peer,
        port: flow.port,
        moved_at: time_of(flow.moved_at),
        owed: flow.owed,
        ignored: flow.ignored,
    });
    flows.collect()
}
