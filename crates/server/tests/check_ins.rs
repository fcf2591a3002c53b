//! Check-ins that say nothing, and check-ins from nobody.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use axum::body::Body;
use bench::{Answer, Bench, says};
use std::net::IpAddr;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

async fn say(bench: &Bench, source: IpAddr, kind: &str, body: &str) -> Answer {
    let headers = [("content-type", kind)];
    bench.request_from(source, "POST", "/v1/check-in", &headers, Body::from(body.to_owned())).await
}

/// A container, and the address that it speaks from.
async fn with_one() -> (Bench, String, IpAddr) {
    let bench = Bench::new().await;
    let uri = bench.create().await.body["uri"].as_str().unwrap().to_owned();
    let address = bench.app.control.list()[0].container.address.into();
    (bench, uri, address)
}

async fn active(bench: &Bench, uri: &str) -> String {
    bench.send("GET", uri, "").await.body["active"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_check_in_that_is_no_count_says_what_one_is_and_changes_nothing() {
    let (bench, uri, address) = with_one().await;
    assert_eq!(say(&bench, address, FORM, "active-connections=3").await.status, 200);
    bench::until("it counts", async || active(&bench, &uri).await == "3").await;
    let takes = "A check-in takes one field: active-connections";
    let table: &[(&str, &str, &str)] = &[
        (FORM, "", takes),
        (FORM, "connections=1", takes),
        (JSON, "{}", takes),
        (JSON, r#"{"active": null}"#, takes),
        (FORM, "active-connections=", "from 0 to 18446744073709551615, not \"\""),
        (FORM, "active-connections=many", "not \"many\""),
        (FORM, "active-connections=-1", "not \"-1\""),
        (FORM, "active-connections=1.5", "not \"1.5\""),
        (FORM, "active-connections=18446744073709551616", "not \"18446744073709551616\""),
        (JSON, r#"{"active-connections": -1}"#, "not \"-1\""),
        (JSON, r#"{"active-connections": 18446744073709551616}"#, "must be a whole number from 0 to"),
        (JSON, r#"{"active-connections": "many"}"#, "not \"many\""),
        (JSON, r#"{"active-connections": true}"#, "not \"true\""),
        (JSON, r#"{"active-connections": [1]}"#, "not \"[1]\""),
        (JSON, "[]", "The body must be a JSON object"),
    ];
    for (kind, body, words) in table {
        says(&say(&bench, address, kind, body).await, 422, "invalid-field", words);
    }
    says(&say(&bench, address, JSON, "{").await, 400, "body-unreadable", "The body is not JSON");
    says(&say(&bench, address, "text/plain", "1").await, 415, "media-type", "Content-Type must be");
    assert_eq!(active(&bench, &uri).await, "3");
    assert_eq!(say(&bench, address, FORM, "active=18446744073709551615").await.status, 200);
    bench::until("the largest counts", async || active(&bench, &uri).await == u64::MAX.to_string()).await;
}

#[tokio::test]
async fn nobody_changes_nothing_and_learns_nothing() {
    let (bench, uri, address) = with_one().await;
    let before = bench.send("GET", &uri, "").await.body;
    let from_it = say(&bench, address, FORM, "active=0").await;
    assert_eq!((from_it.status, &from_it.body), (200, &serde_json::Value::Null));
    let strangers = ["127.0.0.1", "10.9.0.77", "192.0.2.1", "::1", "2001:db8::1", "::ffff:192.0.2.1"];
    for stranger in strangers {
        let answer = say(&bench, stranger.parse().unwrap(), FORM, "active=7").await;
        assert_eq!((answer.status, &answer.body), (from_it.status, &from_it.body), "{stranger}");
        let names =
            |answer: &Answer| answer.headers.keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&from_it), "{stranger}");
    }
    assert_eq!(bench.send("GET", &uri, "").await.body, before);
    assert_eq!(bench.listed().await, 1);
}
