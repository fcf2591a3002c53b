//! Containers' own pages by name, for real: on the API's port, whatever the host.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use tests::{Answer, Client, Daemon, docker, raw, text, throughout, until, web_image};

/// Asks the daemon for a container's page, as a client without credentials.
fn page(daemon: &Daemon, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("host", host)], headers].concat();
    Client::anonymous(&daemon.base).send("GET", path, &headers, None)
}

fn create(daemon: &Daemon, image: &str, env: &Value) -> Value {
    daemon.client.create_as(&json!({"image": image, "env": env}))
}

fn short_id(container: &Value) -> &str {
    &text(container, "container_id")[..12]
}

/// As a host, from its name.
fn host(container: &Value) -> String {
    text(container, "name").trim_start_matches('/').replace('_', "-") + ".localhost"
}

const BROWSER: [(&str, &str); 1] = [("accept", "text/html,*/*;q=0.8")];

#[test]
fn a_container_is_reached_by_its_name_and_by_its_short_id_and_nobody_else_is() {
    let daemon = Daemon::start(&[]);
    let (one, other) =
        (create(&daemon, &web_image("plain"), &json!({})), create(&daemon, &web_image("plain"), &json!({})));
    for container in [&one, &other] {
        let by_id = format!("{}.localhost", short_id(container).to_uppercase());
        for host in [host(container), by_id] {
            let answer = page(&daemon, &host, "/", &[]);
            assert_eq!(
                (answer.status, answer.text),
                (200, format!("{} got 0 bytes", short_id(container))),
                "{host}"
            );
        }
    }
    let head =
        page(&daemon, &host(&one), "/head?q=1", &[("x-forwarded-for", "9.9.9.9"), ("x-own", "1")]).text;
    for line in [
        "GET /head?q=1 HTTP/1.1",
        "x-forwarded-for: 127.0.0.1\r\n",
        "x-forwarded-proto: http\r\n",
        "x-own: 1\r\n",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    assert!(
        head.contains(&format!("x-forwarded-host: {}", host(&one)))
            && head.contains(&format!("host: {}", host(&one)))
    );
    docker(&["rename", text(&one, "container_id"), "My_Own.page"]);
    until("the new name is known", Duration::from_secs(10), || {
        (page(&daemon, "my-own-page.localhost", "/", &[]).status == 200).then_some(())
    });
    // Whoever is called like another's id has not its place.
    docker(&["rename", text(&other, "container_id"), short_id(&one)]);
    until("the new name is known", Duration::from_secs(10), || {
        (daemon.client.get(&format!("/v1/containers/{}", short_id(&one))).json()["container_id"]
            == other["container_id"])
            .then_some(())
    });
    assert!(
        page(&daemon, &format!("{}.localhost", short_id(&one)), "/", &[]).text.starts_with(short_id(&one))
    );
    assert_eq!(daemon.client.delete(text(&one, "uri")).status, 204);
    assert_eq!(page(&daemon, "my-own-page.localhost", "/", &[]).status, 404);
}

#[test]
fn a_host_below_the_domain_never_reaches_the_api_and_the_api_stays_where_it_was() {
    let daemon = Daemon::start(&[("domain", "apps.example.org"), ("public_host", "spin.apps.example.org")]);
    let container = create(&daemon, &web_image("plain"), &json!({}));
    for path in ["/v1/containers", "/healthz", "/metrics", "/"] {
        for label in ["nobody", "a.b", "0123456789ab"] {
            let headers = [("host", &*format!("{label}.apps.example.org"))];
            let answer = daemon.client.send("GET", path, &headers, None);
            assert_eq!(
                (answer.status, &*answer.text),
                (404, "No container goes by this name.\n"),
                "{label} {path}"
            );
        }
        // Not even where the container itself has such a path.
        let answer = page(&daemon, &format!("{}.apps.example.org", short_id(&container)), path, &[]);
        assert!(answer.text.ends_with("got 0 bytes"), "{path}: {}", answer.text);
    }
    let status = |host: &str| daemon.client.send("GET", "/v1/containers", &[("host", host)], None).status;
    assert_eq!(
        (status("localhost"), status("spin.apps.example.org"), status("a.localhost")),
        (200, 200, 200)
    );
    assert_eq!((status("apps.example.org"), status("evil.example")), (421, 421));
    let two = "GET /v1/containers HTTP/1.1\r\nHost: localhost\r\nHost: x.apps.example.org\r\nConnection: close\r\n\r\n";
    assert!(raw::exchange(&daemon.base, two.as_bytes()).starts_with("HTTP/1.1 400 "));
    let two = "GET http://localhost/v1/containers HTTP/1.1\r\nHost: x.apps.example.org\r\nConnection: close\r\n\r\n";
    assert!(raw::exchange(&daemon.base, two.as_bytes()).starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_container_never_learns_the_password_and_its_own_credentials_reach_it() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &web_image("plain"), &json!({}));
    let own = page(&daemon, &host(&container), "/head", &[("authorization", "Bearer own")]).text;
    assert!(own.contains("authorization: Bearer own"), "{own}");
    let as_admin = daemon.client.send("GET", "/head", &[("host", &host(&container))], None);
    assert!(as_admin.status == 200 && !as_admin.text.contains("authorization"), "{}", as_admin.text);
}

#[test]
fn upgrades_events_and_uploads_go_through() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &web_image("plain"), &json!({}));
    let events = page(&daemon, &host(&container), "/events", &[]);
    assert_eq!(
        (events.text.as_str(), events.header("content-type")),
        ("data: 1\n\ndata: 2\n\ndata: 3\n\n", "text/event-stream")
    );
    let body = "a".repeat(3_000_000);
    let client = Client::anonymous(&daemon.base);
    let sent = client.send("POST", "/", &[("host", &host(&container))], Some(("text/plain", &body)));
    assert!(sent.text.ends_with("got 3000000 bytes"), "longer than any of the API's: {}", sent.text);

    let mut socket = raw::connect(&daemon.base);
    let ask = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
        host(&container)
    );
    socket.write_all(ask.as_bytes()).unwrap();
    let mut seen = String::new();
    while !seen.ends_with("early") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        seen.push(byte[0].into());
    }
    assert!(seen.starts_with("HTTP/1.1 101 ") && seen.contains("upgrade: websocket\r\n"), "{seen}");
    assert_eq!(daemon.client.show(text(&container, "uri"))["active"], "1", "it is open");
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(raw::rest(&mut socket), "");
}

#[test]
fn who_goes_away_takes_the_request_back() {
    let daemon = Daemon::start(&[("timeout_interval", "2"), ("initial_timeout_interval", "2")]);
    let container = create(&daemon, &web_image("plain"), &json!({}));
    let mut client = raw::connect(&daemon.base);
    client.write_all(format!("GET /hang HTTP/1.1\r\nHost: {}\r\n\r\n", host(&container)).as_bytes()).unwrap();
    throughout(Duration::from_secs(6), || {
        assert_eq!(
            daemon.client.show(text(&container, "uri"))["status"],
            "running",
            "somebody waits for an answer"
        );
    });
    drop(client);
    until("it is stopped, since nobody is there", Duration::from_secs(20), || {
        (daemon.client.show(text(&container, "uri"))["status"] == "stopped").then_some(())
    });
}

#[test]
fn a_browser_sees_it_come_up_and_others_are_held() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &web_image("plain"), &json!({"START_DELAY": "3"}));
    let waiting = page(&daemon, &host(&container), "/", &BROWSER);
    assert_eq!((waiting.status, waiting.header("retry-after"), waiting.header("refresh")), (503, "1", "1"));
    let headers = [("host", &*host(&container)), BROWSER[0]];
    let as_admin = daemon.client.send("GET", "/", &headers, None);
    assert!(as_admin.status == 503 && as_admin.text.contains("<pre>waiting 3 s"), "{}", as_admin.text);
    assert!(!waiting.text.contains("<pre>"));
    assert!(
        waiting.text.contains("Its application is coming up") && !waiting.text.contains("<script"),
        "{}",
        waiting.text
    );
    let begun = Instant::now();
    assert_eq!(page(&daemon, &host(&container), "/", &[]).status, 200);
    assert!(begun.elapsed() > Duration::from_secs(1), "it was held: {:?}", begun.elapsed());
    assert_eq!(page(&daemon, &host(&container), "/", &BROWSER).status, 200);
}

#[test]
fn one_that_was_stopped_by_its_owner_says_so() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &web_image("plain"), &json!({}));
    assert_eq!(page(&daemon, &host(&container), "/", &[]).status, 200);
    daemon.client.patch(text(&container, "uri"), "status=stopped");
    until("it is stopped", Duration::from_secs(20), || {
        (daemon.client.show(text(&container, "uri"))["status"] == "stopped").then_some(())
    });
    let answer = page(&daemon, &host(&container), "/", &BROWSER);
    assert_eq!((answer.status, answer.header("content-type")), (503, "text/html; charset=utf-8"));
    daemon.client.patch(text(&container, "uri"), "status=running");
    assert_eq!(page(&daemon, &host(&container), "/", &[]).status, 200);
}
