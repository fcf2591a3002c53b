//! `/v1/containers/ID/why`, `/v1/containers/ID/events` and `/v1/events`: why a container is as it is, and what happened.

use crate::client::Reader;
use crate::containers::{ID, find};
use crate::error::Failure;
use crate::input::{InPath, InQuery};
use crate::{App, problems};
use api::{EventBody, Kind, WhyBody, event_list, streamed_event, why_frozen};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use control::Follower;
use futures_util::stream::{self, Stream, StreamExt};
use headers_accept::Accept;
use mediatype::MediaType;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use utoipa::IntoParams;

/// How many events are listed where nobody says.
const LISTED: usize = 50;
/// A stream without events says so often that it is alive.
const ALIVE: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: &str = "last-event-id";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// Those after this one; without it, the newest.
    #[serde(default, deserialize_with = "id")]
    after: Option<u64>,
    /// How many at most, from 1 to 200; where nothing is said, 50.
    #[serde(default, deserialize_with = "some")]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let id = parsed(&String::deserialize(deserializer)?);
    id.map(Some).ok_or_else(|| D::Error::custom("it must be the id of an event"))
}

/// An event's id, as far as SQLite counts.
fn parsed(id: &str) -> Option<u64> {
    u64::try_from(id.parse::<i64>().ok()?).ok()
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let limit = String::deserialize(deserializer)?.parse().ok().filter(|limit| (1..=200).contains(limit));
    limit.map(Some).ok_or_else(|| D::Error::custom("it must be a whole number from 1 to 200"))
}

/// Why a container is awake, asleep or stopped
///
/// What keeps it awake or why it sleeps, each fact with its time, age and source, and what comes if nothing happens. With `Accept: text/plain`,
/// the one sentence.
#[utoipa::path(get, path = "/v1/containers/{id}/why", operation_id = "why_container", tag = "containers",
    params(("id" = String, Path, description = ID, example = "hungry_bell")),
    responses((status = 200, description = "Why", content(
        (WhyBody = "application/json"),
        (String = "text/plain", example = json!(why_frozen().sentence + "\n")),
    )), problems::ShowContainer),
)]
pub(crate) async fn why(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let handle = find(&app, &id)?;
    let view = handle.view();
    let (why, now) = app.control.why(&handle, &view).await;
    if wants_text(&headers) {
        return Ok(format!("{}\n", why.sentence).into_response());
    }
    Ok(Json(WhyBody::new(why, view.container.phase.depth(), now)).into_response())
}

/// Of the two, what it likes better; JSON where it says neither.
fn wants_text(headers: &HeaderMap) -> bool {
    // As it is sent.
    let offered = ["application/json", "text/plain", "text/plain; charset=utf-8"];
    let offered = offered.map(|kind| MediaType::parse(kind).expect("a media type"));
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()?.parse().ok());
    accept
        .is_some_and(|accept: Accept| accept.negotiate(&offered).is_some_and(|chosen| *chosen != offered[0]))
}

/// What happened to a container, oldest first
#[utoipa::path(get, path = "/v1/containers/{id}/events", operation_id = "list_events", tag = "containers",
    params(("id" = String, Path, description = ID, example = "hungry_bell"), EventsQuery),
    responses((status = 200, description = "At most the newest 200 are kept", body = Vec<EventBody>, example = json!(event_list())), problems::ShowContainer),
)]
pub(crate) async fn of_container(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    InQuery(query): InQuery<EventsQuery>,
) -> Result<Json<Vec<EventBody>>, Failure> {
    let handle = find(&app, &id)?;
    let limit = query.limit.map_or(LISTED, usize::from);
    let events = app.control.events(&handle, query.after, limit).await;
    let events = events.map_err(|error| Failure::store(&app, &error))?;
    Ok(Json(events.iter().map(EventBody::from).collect()))
}

/// Follow what happens to every container
///
/// Server-sent events, each with its `id`: whoever comes back with `Last-Event-ID` misses nothing that is still kept.
#[utoipa::path(get, path = "/v1/events", operation_id = "follow_events", tag = "containers",
    params(("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen")),
    responses((status = 200, description = "The stream; it ends when spin-docker ends, and for a client that takes nothing of it for 30 s", content_type = "text/event-stream", body = String, example = json!(streamed_event())),
        problems::FollowEvents),
)]
pub(crate) async fn follow(
    State(app): State<Arc<App>>,
    reader: Option<Extension<Reader>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let after = match headers.get(LAST_EVENT_ID).map(|id| id.to_str().ok().and_then(parsed)) {
        Some(None) => {
            return Err(Failure::new(
                Kind::InvalidField,
                "Last-Event-ID must be the id of an event, a whole number",
            ));
        }
        Some(Some(id)) => Some(id),
        None => None,
    };
    let follower = app.control.follow(after);
    let follower = follower.ok_or_else(|| {
        Failure::new(Kind::TooManyFollowers, "Too many follow the events already; end one of them")
    })?;
    if let Some(Extension(reader)) = reader {
        reader.must_read();
    }
    let ending = app.ending.clone().cancelled_owned();
    Ok(Sse::new(told(follower).take_until(ending)).keep_alive(KeepAlive::new().interval(ALIVE)))
}

fn told(follower: Follower) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok(written(&EventBody::from(&*event))), follower))
    })
}

fn written(body: &EventBody) -> Event {
    let event = Event::default().id(body.id.to_string()).event(body.kind);
    event.json_data(body).expect("an event is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_for_whoever_likes_text_better() {
        for (accept, text) in [
            ("text/plain", true),
            ("text/plain; charset=utf-8", true),
            ("text/*", true),
            ("text/html, text/plain;q=0.9", true),
            ("application/json;q=0.5, text/plain;q=0.8", true),
            ("*/*;q=0.1, text/plain", true),
            ("text/plain, application/json", true),
            ("", false),
            ("*/*", false),
            ("application/json", false),
            ("application/json, text/plain", false),
            ("text/plain;q=0.5, application/json", false),
            ("text/plain;q=0.5, */*", false),
            ("text/plain;q=0", false),
            ("text/html", false),
            ("nonsense", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))]);
            assert_eq!(wants_text(&headers), text, "{accept:?}");
        }
        assert!(!wants_text(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn the_example_in_the_document_is_as_the_stream_writes_it() {
        let stream = stream::iter([Ok::<_, Infallible>(written(&api::last_event()))]);
        let body = Sse::new(stream).into_response().into_body();
        let bytes = axum::body::to_bytes(body, 10_000).await.expect("it ends");
        assert_eq!(String::from_utf8_lossy(&bytes), streamed_event());
    }
}
