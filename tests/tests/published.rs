//! Where containers' own addresses are out of our reach, the engine publishes their ports, and its proxy accepts in their place. Over the
//! shared engine, told to (`publish=on`), and over a rootless one, by itself.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tests::{Client, Daemon, Postgres, Rootless, ask, docker, raw, test_image, text, until, web_image};

const POSTGRES: &str = "atbaker/sd-postgres";
const SECONDS: Duration = Duration::from_secs(30);

/// Daemons of several tests run at once, and the port is the same for a container's life.
fn free_port() -> String {
    TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port().to_string()
}

fn start() -> Daemon {
    Daemon::start(&[("publish", "on"), ("check_in_port", &free_port())])
}

fn page(container: &Value) -> u16 {
    Client::anonymous(&format!("http://127.0.0.1:{}", text(container, "app_port"))).get("/").status
}

/// One attempt each: a proxy that accepts too early would end it.
#[test]
fn whoever_comes_before_the_application_listens_is_served_after_a_create_and_after_a_wake() {
    let daemon = start();
    let policy = json!({"initial_timeout_interval": 2, "timeout_interval": 1, "freeze_after": "off"});
    let asked = json!({"image": web_image("plain"), "env": {"START_DELAY": "1"}, "policy": policy});
    let container = daemon.client.create_as(&asked);
    for _ in 0..2 {
        let begun = Instant::now();
        assert_eq!(page(&container), 200);
        assert!(begun.elapsed() > Duration::from_millis(500), "it came early: {:?}", begun.elapsed());
        daemon.client.until(&container, "status", "stopped");
    }
}

#[test]
fn bytes_thaw_it_and_its_way_is_its_own_for_life() {
    let mut daemon = start();
    let container = daemon.client.create(POSTGRES);
    let mut open = Postgres::connect(text(&container, "app_port")).unwrap();
    let cycles = |daemon: &Daemon, open: &mut Postgres| {
        for _ in 0..3 {
            daemon.client.freeze(&container);
            open.query("SELECT 1").unwrap();
            daemon.client.freeze(&container);
            Postgres::connect(text(&container, "app_port")).unwrap().query("SELECT 2").unwrap();
        }
    };
    cycles(&daemon, &mut open);
    daemon.kill();
    daemon.start_again(&[("publish", "off")]);
    // As it was told when it was made, though others made now are reached otherwise, and the door for those is open as well.
    let other = daemon.client.create(POSTGRES);
    for container in [&container, &other] {
        docker(&["exec", text(container, "container_id"), "/usr/local/bin/spin-docker-check-in"]);
    }
    let mut open = Postgres::connect(text(&container, "app_port")).unwrap();
    cycles(&daemon, &mut open);
}

#[test]
fn a_container_checks_in_by_its_token_and_nobody_else_does() {
    let daemon = start();
    let container = daemon.client.create(POSTGRES);
    let _open = Postgres::connect(text(&container, "app_port")).unwrap();
    let inside = ["exec", text(&container, "container_id"), "/usr/local/bin/spin-docker-check-in"];
    docker(&inside);
    let active = || daemon.client.show(text(&container, "uri"))["active"].clone();
    until("its report shows", SECONDS, || (active() == "1").then_some(()));
    let stranger = Client::anonymous(&daemon.base);
    for query in ["", "?token=", "?token=00000000000000000000000000000000"] {
        let answer = stranger.post(&format!("/v1/check-in{query}"), "active=9");
        assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{query}: nothing is learnt");
    }
    assert_eq!(active(), "1");
    // As cron has them: all containers of this host in one moment, and all from one address.
    let says = ["exec", text(&container, "container_id"), "sh", "-c", "tr '\\0' '\\n' </proc/1/environ"];
    let env = docker(&says);
    let url = env.lines().find_map(|line| line.strip_prefix("SPIN_DOCKER_CHECK_IN_URL=http://")).unwrap();
    let (door, path) = url.split_once('/').unwrap();
    let mut crowd: Vec<_> = (0..30).map(|_| raw::connect(&format!("http://{door}"))).collect();
    for client in &mut crowd {
        let form =
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\nConnection: close";
        write!(client, "POST /{path} HTTP/1.1\r\nHost: {door}\r\n{form}\r\n\r\nactive=7").unwrap();
    }
    assert!(crowd.iter_mut().all(|client| raw::rest(client).starts_with("HTTP/1.1 200 OK")));
    until("it is taken", SECONDS, || (active() == "7").then_some(()));
    assert!(!daemon.client.get("/v1/containers").text.contains("token"), "the token is on no answer");
}

/// The engine says `none` of control groups here, as on any host without systemd's delegation of version 2.
#[test]
fn a_rootless_engine_s_containers_are_reached_woken_and_heard_by_its_user() {
    let engine = Rootless::start();
    engine.load(POSTGRES);
    let settings = [("engine_host", engine.host()), ("check_in_port", free_port())];
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut daemon = Daemon::start_as_nobody(&settings);
    assert!(daemon.log().contains("the engine is rootless"), "{}", daemon.log());
    let policy = json!({"initial_timeout_interval": 2, "timeout_interval": 1});
    let sleepy = daemon.client.create_as(&json!({"image": test_image(), "policy": policy}));
    let container = daemon.client.create(POSTGRES);
    let (uri, port) = (text(&container, "uri"), text(&container, "app_port"));
    let mut open = Postgres::connect(port).unwrap();
    open.query("SELECT 1").unwrap();
    engine.docker(&["exec", text(&container, "container_id"), "/usr/local/bin/spin-docker-check-in"]);
    until("its report shows", SECONDS, || (daemon.client.show(uri)["active"] == "1").then_some(()));
    daemon.client.until(&sleepy, "status", "stopped");
    assert!(ask(text(&sleepy, "app_port"), "awake?").unwrap().ends_with(": awake?"));
    let frozen = daemon.client.patch(uri, "depth=frozen");
    assert_eq!(frozen.status, 409, "{}", frozen.text);
    assert!(frozen.text.contains("cgroups not configured"), "{}", frozen.text);
    let doctor = daemon.run(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("containers cannot be frozen") && said.contains("each with its token"), "{said}");
    daemon.kill();
    daemon.start_again(&[]);
    Postgres::connect(port).unwrap().query("SELECT 2").unwrap();
    assert_eq!(daemon.client.delete(uri).status, 204);
}
