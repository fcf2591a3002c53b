//! What a container says of itself, on a real engine: why it is as it is, what happened to it, and what to mend.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};
use tests::{Daemon, ask, raw, test_image, text, until};

fn sentences(daemon: &Daemon, container: &Value) -> Vec<String> {
    let events = daemon.client.get(&format!("{}/events?limit=200", text(container, "uri"))).json();
    events.as_array().unwrap().iter().map(|event| text(event, "sentence").to_owned()).collect()
}

#[test]
fn it_says_why_it_sleeps_and_the_stream_says_it_as_it_happens() {
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "1s"});
    let container = daemon.client.create_as(&json!({"image": test_image(), "policy": policy}));
    // admin:spindocker
    let mut stream = raw::connect(&daemon.base);
    let head = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWRtaW46c3BpbmRvY2tlcg==\r\nLast-Event-ID: 0\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    daemon.client.until(&container, "depth", "frozen");
    let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
    let told = lines
        .by_ref()
        .take_while(|line| !line.contains("froze: no bytes for"))
        .any(|line| line == "event: created");
    assert!(told, "everything since the beginning, and then what comes");

    let uri = format!("{}/why", text(&container, "uri"));
    let why = daemon.client.get(&uri).json();
    assert!(text(&why, "sentence").contains("froze: no bytes for 1 s"), "{why}");
    assert_eq!(why["depth"], "frozen");
    let plain = daemon.client.send("GET", &uri, &[("accept", "text/plain")], None);
    assert!(plain.text.contains("froze: no bytes for 1 s"), "{}", plain.text);
}

#[test]
fn an_image_that_listens_on_its_own_loopback_alone_is_told_what_to_change() {
    let daemon = Daemon::start(&[]);
    let policy = json!({"wake_timeout": "2s"});
    let asked = json!({"image": test_image(), "policy": policy, "env": {"LISTEN_ON": "127.0.0.1"}});
    let container = daemon.client.create_as(&asked);
    let begun = Instant::now();
    let answer = ask(text(&container, "app_port"), "hello");
    assert!(answer.is_err() || answer.unwrap().is_empty(), "it is closed");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    until("it is told", Duration::from_secs(10), || {
        let told = sentences(&daemon, &container);
        let what = "the image listens only on 127.0.0.1 inside: have its application listen on 0.0.0.0:8000";
        told.iter().any(|sentence| sentence.contains(what)).then_some(())
    });
}

#[test]
fn a_container_that_dies_again_and_again_is_woken_ever_more_seldom() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create_as(&json!({"image": test_image(), "env": {"DIES_AFTER": "1"}}));
    let begun = Instant::now();
    let mut asked = 0;
    while begun.elapsed() < Duration::from_secs(12) {
        // Nobody answers for long, and nobody hangs.
        drop(ask(text(&container, "app_port"), "hello"));
        asked += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    let woke = daemon.client.kinds(&container).iter().filter(|kind| *kind == "woke").count();
    // It lives for a second; then it waits 1, 2, 4 and 8.
    assert!((1..=4).contains(&woke) && asked > 50, "woken {woke} times by {asked} who asked");
    let told = sentences(&daemon, &container);
    assert!(
        told.iter().any(|sentence| sentence.contains("woke again too soon: ended by itself")),
        "{told:?}"
    );
}
