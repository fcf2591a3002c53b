//! Containers that sleep, asked for by name: who wakes them, who is held meanwhile, and who keeps them awake.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};
use tests::{
    Answer, Client, Daemon, Dockerd, docker, echo, protocol_image, raw, text, throughout, until, web_image,
    websocket,
};

/// Freezes after a second without use, and looks at nothing else.
fn quick() -> Value {
    json!({"freeze_after": "1s", "quiet_below": "0", "busy_cpu": "off", "breathe": false, "ignore_paths": "/healthz", "ignore_agents": "*bot*"})
}

fn create(daemon: &Daemon, image: &str, policy: &Value, env: &Value) -> Value {
    daemon.client.create_as(&json!({"image": image, "policy": policy, "env": env}))
}

fn host(container: &Value) -> String {
    format!("{}.localhost", &text(container, "container_id")[..12])
}

fn page(daemon: &Daemon, container: &Value, path: &str, headers: &[(&str, &str)]) -> Answer {
    let host = host(container);
    let headers = [&[("host", &*host)], headers].concat();
    Client::anonymous(&daemon.base).send("GET", path, &headers, None)
}

fn depth(daemon: &Daemon, container: &Value) -> String {
    text(&daemon.client.show(text(container, "uri")), "depth").to_owned()
}

fn sleeps(daemon: &Daemon, container: &Value, how: &str) {
    until(&format!("it is {how}"), Duration::from_secs(30), || {
        (depth(daemon, container) == how).then_some(())
    });
}

#[test]
fn a_request_thaws_and_what_is_ignored_does_not() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &web_image("plain"), &quick(), &json!({}));
    assert_eq!(page(&daemon, &container, "/healthz", &[]).status, 200, "it is awake");
    for _ in 0..10 {
        assert_eq!(page(&daemon, &container, "/", &[]).status, 200);
        sleeps(&daemon, &container, "frozen");
        for (path, agent) in [("/healthz", "curl"), ("/", "Googlebot/2.1")] {
            let answer = page(&daemon, &container, path, &[("user-agent", agent)]);
            assert_eq!(
                (answer.status, answer.header("retry-after")),
                (503, "60"),
                "{path} {agent}: {}",
                answer.text
            );
        }
        assert_eq!(depth(&daemon, &container), "frozen");
    }
    let answer = page(&daemon, &container, "/", &[("accept", "text/html")]);
    assert_eq!(answer.status, 200, "a browser sees no page of ours for a thaw");
    throughout(Duration::from_secs(4), || {
        assert_eq!(page(&daemon, &container, "/", &[]).status, 200);
        assert_eq!(depth(&daemon, &container), "awake");
    });
}

#[test]
fn a_websocket_in_use_keeps_it_awake_and_an_idle_one_sleeps_until_its_next_byte() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &protocol_image("tornado"), &quick(), &json!({}));
    let mut socket = websocket(daemon.base.trim_start_matches("http://"), &host(&container));
    throughout(Duration::from_secs(4), || {
        echo(&mut socket, "still here");
        assert_eq!(depth(&daemon, &container), "awake");
    });
    for _ in 0..10 {
        sleeps(&daemon, &container, "frozen");
        echo(&mut socket, "awake again");
    }
}

#[test]
fn a_request_that_waits_for_its_answer_keeps_it_awake() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &web_image("plain"), &quick(), &json!({}));
    let mut client = raw::connect(&daemon.base);
    write!(client, "GET /hang HTTP/1.1\r\nHost: {}\r\n\r\n", host(&container)).unwrap();
    // Asked for, and then nothing moves.
    throughout(Duration::from_secs(4), || assert_eq!(depth(&daemon, &container), "awake"));
    drop(client);
    sleeps(&daemon, &container, "frozen");
}

#[test]
fn a_browser_wakes_a_stopped_one_and_watches_and_others_are_held() {
    let seconds = [("initial_timeout_interval", "1"), ("timeout_interval", "1")];
    let daemon = Daemon::start(&seconds);
    let container =
        create(&daemon, &web_image("plain"), &json!({"freeze_after": "off"}), &json!({"START_DELAY": "2"}));
    assert_eq!(page(&daemon, &container, "/", &[]).status, 200);
    sleeps(&daemon, &container, "stopped");
    let ignored = json!({"policy": {"ignore_paths": "/healthz"}}).to_string();
    let changed =
        daemon.client.send("PATCH", text(&container, "uri"), &[], Some(("application/json", &ignored)));
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(page(&daemon, &container, "/healthz", &[]).status, 503);
    assert_eq!(depth(&daemon, &container), "stopped");

    let begun = Instant::now();
    let first = page(&daemon, &container, "/", &[("accept", "text/html")]);
    assert_eq!((first.status, first.header("refresh")), (503, "1"), "{}", first.text);
    until("the page has become the container's", Duration::from_secs(20), || {
        (page(&daemon, &container, "/", &[("accept", "text/html")]).status == 200).then_some(())
    });
    assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());

    sleeps(&daemon, &container, "stopped");
    let held: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> =
            (0..20).map(|_| scope.spawn(|| page(&daemon, &container, "/", &[]).status)).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(held, [200; 20]);
}

#[test]
fn a_container_that_dies_while_it_answers_is_a_502_and_the_next_request_wakes_it() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &web_image("plain"), &json!({}), &json!({}));
    let mut client = raw::connect(&daemon.base);
    write!(client, "POST /hang HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host(&container)).unwrap();
    until("it is asked", Duration::from_secs(10), || {
        let inside = docker(&["top", text(&container, "container_id"), "-o", "pid"]);
        (inside.lines().count() > 2).then_some(())
    });
    docker(&["exec", text(&container, "container_id"), "sh", "-c", "kill -9 -1; kill 1"]);
    let answer = raw::rest(&mut client);
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("text/plain"), "{answer}");
    until("the next one is answered", Duration::from_secs(20), || {
        (page(&daemon, &container, "/", &[]).status == 200).then_some(())
    });
}

#[test]
fn while_the_engine_is_away_a_stopped_one_is_503_at_once() {
    let image = web_image("plain");
    let mut engine = Dockerd::start();
    engine.load(&image);
    let daemon = Daemon::start(&[
        ("engine_host", &engine.host()),
        ("initial_timeout_interval", "1"),
        ("timeout_interval", "1"),
    ]);
    let container = create(&daemon, &image, &json!({"freeze_after": "off"}), &json!({}));
    sleeps(&daemon, &container, "stopped");
    engine.stop();
    until("the engine is missed", Duration::from_secs(5), || {
        (daemon.client.get("/readyz").status == 503).then_some(())
    });
    for accept in ["*/*", "text/html"] {
        let begun = Instant::now();
        let answer = page(&daemon, &container, "/", &[("accept", accept)]);
        assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{}", answer.text);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    engine.start_again();
    until("it is reached again", Duration::from_secs(30), || {
        (page(&daemon, &container, "/", &[]).status == 200).then_some(())
    });
}
