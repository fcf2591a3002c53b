//! Why a container is as it is, what happened to it, and the stream of both.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use axum::body::Body;
use axum::extract::Request;
use bench::{Bench, is};
use futures_util::StreamExt;
use std::time::Duration;

const ADMIN: (&str, &str) = ("authorization", "Basic YWRtaW46cA==");

async fn with_one() -> (Bench, String) {
    let bench = Bench::new().await;
    let uri = bench.create().await.body["uri"].as_str().unwrap().to_owned();
    (bench, uri)
}

#[tokio::test]
async fn why_is_a_sentence_and_the_facts_behind_it() {
    let (bench, uri) = with_one().await;
    let why = bench.send("GET", &format!("{uri}/why"), "").await;
    assert_eq!((why.status, why.body["depth"].as_str()), (200, Some("awake")));
    assert!(why.body["sentence"].as_str().unwrap().starts_with("It is awake"), "{}", why.body);
    assert!(!why.body["facts"].as_array().unwrap().is_empty());
    let next: Vec<_> = why.body["next"].as_array().unwrap().iter().map(|next| next["what"].clone()).collect();
    assert!(next.contains(&"look".into()), "{next:?}");
    bench.send("PATCH", &uri, "depth=frozen").await;
    let headers = [ADMIN, ("accept", "text/plain")];
    let request = Request::builder().uri(format!("{uri}/why")).header(headers[0].0, headers[0].1);
    let request = request.header(headers[1].0, headers[1].1).body(Body::empty()).unwrap();
    let text = axum::body::to_bytes(bench.routes.answer(request).await.into_body(), 10_000).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("froze: asked by PATCH") && text.lines().count() == 1, "{text}");
    is(&bench.send("GET", "/v1/containers/1337/why", "").await, 404, "no-such-container");
}

#[tokio::test]
async fn events_are_listed_in_order_and_from_any_one_on() {
    let (bench, uri) = with_one().await;
    bench.send("PATCH", &uri, "depth=frozen").await;
    bench.send("PATCH", &uri, "depth=awake").await;
    let listed = async |query: &str| {
        let events = bench.send("GET", &format!("{uri}/events{query}"), "").await.body;
        let kinds = events.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(listed("").await, ["created", "started", "froze", "thawed"]);
    assert_eq!(listed("?after=2").await, ["froze", "thawed"]);
    assert_eq!(listed("?limit=1").await, ["thawed"]);
    assert!(listed(&format!("?after={}", i64::MAX)).await.is_empty());
    let told = bench.send("GET", &format!("{uri}/events?limit=x"), "").await;
    let words = "The query cannot be read: limit: it must be a whole number from 1 to 200";
    assert_eq!((told.status, told.message()), (400, words));
    for query in ["after=x", "after=-1", "after=9223372036854775808", "limit=0", "limit=201", "since=1"] {
        is(&bench.send("GET", &format!("{uri}/events?{query}"), "").await, 400, "path-unreadable");
    }
}

/// What comes within a while.
async fn streamed(bench: &Bench, last: &str, until: &str) -> String {
    let request = Request::builder().uri("/v1/events").header(ADMIN.0, ADMIN.1).header("last-event-id", last);
    let response = bench.routes.answer(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains(until) {
        let piece = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
        text += std::str::from_utf8(&piece.expect("it comes").unwrap().unwrap()).unwrap();
    }
    text
}

#[tokio::test]
async fn the_stream_goes_on_where_it_broke_off() {
    let (bench, uri) = with_one().await;
    let begun = streamed(&bench, "0", "event: started").await;
    assert!(begun.contains("id: 1\nevent: created\ndata: {\"id\":1,"), "{begun}");
    bench.send("PATCH", &uri, "depth=frozen").await;
    let resumed = streamed(&bench, "2", "event: froze").await;
    assert!(resumed.starts_with("id: 3\n") && resumed.contains("asked by PATCH"), "{resumed}");
    for id in ["x", "", "-1", "1.5", "9223372036854775808"] {
        let headers = [ADMIN, ("last-event-id", id)];
        is(&bench.request("GET", "/v1/events", &headers, Body::empty()).await, 422, "invalid-field");
    }
    is(&bench.request("GET", "/v1/events", &[], Body::empty()).await, 401, "unauthorized");
}

#[tokio::test]
async fn streams_end_with_the_program_and_only_so_many_are_open() {
    let (bench, _) = with_one().await;
    let open = async || {
        let request = Request::builder().uri("/v1/events").header(ADMIN.0, ADMIN.1).body(Body::empty());
        bench.routes.answer(request.unwrap()).await
    };
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(open().await);
    }
    assert_eq!(open().await.status(), 429);
    bench.app.ending.cancel();
    for stream in streams {
        let ended = axum::body::to_bytes(stream.into_body(), 10_000);
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("it ends").unwrap();
    }
}
