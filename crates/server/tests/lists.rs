//! The list of all containers, which is kept as it was written until anything on it changes.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::Bench;
use serde_json::Value;

async fn list(bench: &Bench) -> Vec<Value> {
    bench.send("GET", "/v1/containers", "").await.body.as_array().unwrap().clone()
}

/// The list says of the first and the last what either says of itself, however often it is asked for.
async fn agrees(bench: &Bench) -> Vec<Value> {
    let listed = list(bench).await;
    for container in listed.first().into_iter().chain(listed.last()) {
        let one = bench.send("GET", container["uri"].as_str().unwrap(), "").await.body;
        assert_eq!((container, &list(bench).await), (&one, &listed));
    }
    listed
}

fn active(listed: &[Value]) -> Vec<&str> {
    listed.iter().map(|container| container["active"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_that_is_kept_says_what_is_so_now() {
    let bench = Bench::new().await;
    assert!(list(&bench).await.is_empty() && list(&bench).await.is_empty());
    let uri = bench.create().await.body["uri"].as_str().unwrap().to_owned();
    let other = bench.create().await.body;
    let port = other["app_port"].as_str().unwrap().parse().unwrap();
    assert_eq!(active(&agrees(&bench).await), ["0", "0"]);
    let first = bench.ports.connect(port);
    let second = bench.ports.connect(port);
    assert_eq!(active(&agrees(&bench).await), ["0", "2"], "a connection is seen at once");
    drop(second);
    assert_eq!(active(&agrees(&bench).await), ["0", "1"]);
    bench.send("PATCH", &uri, "status=stopped").await;
    assert_ne!(agrees(&bench).await[0]["status"], "running");
    bench.send("DELETE", &uri, "").await;
    assert_eq!(active(&agrees(&bench).await), ["1"]);
    drop(first);
}

#[tokio::test]
async fn a_list_too_long_to_keep_is_as_right() {
    let bench = Bench::with(true, |parts| {
        parts.settings.endpoint_ports = 20_000..=20_999;
        parts.settings.subnet = Some("10.77.0.0/16".parse().unwrap());
    })
    .await;
    for _ in 0..300 {
        assert_eq!(bench.create().await.status, 201);
    }
    let listed = agrees(&bench).await;
    assert!(listed.len() == 300 && serde_json::to_vec(&listed).unwrap().len() > 256 * 1024);
}
