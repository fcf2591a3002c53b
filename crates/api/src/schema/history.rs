//! Examples of what happened to the container of 2014, and of why it is as it is: told by the code that tells it of any other.

use super::ID;
use crate::{EventBody, WhyBody};
use model::cause::Method;
use model::{
    Cause, Container, ContainerId, EngineId, Event, EventKind, Freezer, IdlePolicy, Key, Known, Looks, Phase,
    Sleep, Stage, Timestamp, why,
};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::Duration;

/// 2014-05-13T17:31:14Z.
const MADE: Timestamp = Timestamp::from_millis(1_400_002_274_000);
/// The last use that anybody made of it before it froze.
const USED: u64 = 600;
const FROZE: u64 = USED + 60;

fn after(seconds: u64) -> Timestamp {
    MADE.plus(Duration::from_secs(seconds))
}

/// It was used and froze.
fn frozen() -> Container {
    let looks = Looks { stage: Stage::Initial, since: MADE, next: after(2 * 3600) };
    Container {
        key: Key::new("hungry_bell"),
        container_id: Some(ContainerId::new(ID)),
        engine_id: Some(EngineId::new(ID)),
        name: "/hungry_bell".into(),
        image: "atbaker/sd-postgres".into(),
        address: Ipv4Addr::new(172, 18, 0, 2),
        endpoints: Vec::new(),
        app_port: None,
        ready: None,
        image_says: Default::default(),
        owner_says: Default::default(),
        warnings: Vec::new(),
        created_at: MADE,
        lives_since: None,
        last_activity: after(USED),
        check_in: model::container::NO_CHECK_IN.into(),
        checked_in_at: None,
        failure: None,
        phase: Phase::Running { looks: Some(looks), sleep: Sleep::Frozen { by: Freezer::Cgroup } },
    }
}

fn event(id: u64, seconds: u64, kind: EventKind, cause: Cause) -> Event {
    Event { id, ..Event::of(&frozen(), after(seconds), kind, Some(cause)) }
}

/// Oldest first: made, started, frozen, woken.
fn events() -> [Event; 4] {
    let request = || Cause::Request { method: Method::Post };
    let peer = ([127, 0, 0, 1], 5123).into();
    [
        event(39, 0, EventKind::Created, request()),
        event(40, 1, EventKind::Started, request()),
        event(41, FROZE, EventKind::Froze, Cause::NoBytes { seconds: 60 }),
        event(42, 2 * FROZE, EventKind::Woke, Cause::Connection { peer, port: 5432 }),
    ]
}

/// What a list of its events holds.
pub fn event_list() -> Value {
    events().iter().map(|event| json!(EventBody::from(event))).collect()
}

/// The last of them.
pub fn last_event() -> EventBody {
    let [.., last] = events();
    EventBody::from(&last)
}

/// The same as it stands in the stream.
pub fn streamed_event() -> String {
    let event = last_event();
    let data = serde_json::to_string(&event).expect("texts and numbers are JSON");
    format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.kind)
}

/// Why it was frozen, five minutes later.
pub fn why_frozen() -> WhyBody {
    let [.., froze, _] = events();
    let known = Known { last: Some(froze), frozen_at: Some(after(FROZE)), ..Known::default() };
    let (container, now) = (frozen(), after(FROZE + 300));
    let depth = container.phase.depth();
    WhyBody::new(why(&container, &IdlePolicy::DEFAULT, &known, now), depth, now)
}
