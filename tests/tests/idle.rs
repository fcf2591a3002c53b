//! The idle monitor for real, in seconds, with containers that report from inside.

use serde_json::Value;
use std::time::{Duration, Instant};
use tests::{Client, Daemon, ask, docker, test_image, text, throughout, until};

const SECONDS: [(&str, &str); 2] = [("initial_timeout_interval", "3"), ("timeout_interval", "2")];

fn status(client: &Client, container: &Value) -> String {
    text(&client.show(text(container, "uri")), "status").to_owned()
}

fn id(container: &Value) -> &str {
    text(container, "container_id")
}

fn check_in(container: &Value, count: &str) {
    let body = format!("active-connections={count}");
    let said = docker(&["exec", id(container), "say", "POST", "gateway", "80", "/v1/check-in", &body]);
    assert_eq!(said, "HTTP/1.1 200 OK");
}

#[test]
fn an_idle_container_is_stopped_at_its_second_look_and_not_before() {
    let daemon = Daemon::start(&SECONDS);
    let container = daemon.client.create(test_image());
    let begun = Instant::now();
    until("it is idle no more but stopped", Duration::from_secs(10), || {
        (status(&daemon.client, &container) != "running").then_some(())
    });
    let took = begun.elapsed().as_secs_f32();
    assert!((4.5..=6.5).contains(&took), "initial + interval is 5 s; it took {took} s");
    until("it is stopped", Duration::from_secs(15), || {
        (status(&daemon.client, &container) == "stopped").then_some(())
    });
    assert_eq!(daemon.client.show(text(&container, "uri"))["failure"], Value::Null);
    let said = daemon.log();
    assert!(
        said.lines().any(|line| line.contains("transition") && line.contains(r#"cause="idle""#)),
        "{said}"
    );
}

#[test]
fn who_checks_in_from_inside_runs_on_until_it_reports_nobody() {
    let daemon = Daemon::start(&SECONDS);
    let (busy, idle) = (daemon.client.create(test_image()), daemon.client.create(test_image()));
    check_in(&busy, "2");
    until("the check-in shows", Duration::from_secs(2), || {
        (daemon.client.show(text(&busy, "uri"))["active"] == "2").then_some(())
    });
    assert_eq!(daemon.client.show(text(&idle, "uri"))["active"], "0", "nobody speaks for another");
    until("the idle one is stopped", Duration::from_secs(15), || {
        (status(&daemon.client, &idle) == "stopped").then_some(())
    });
    throughout(Duration::from_secs(4), || {
        assert_eq!(status(&daemon.client, &busy), "running");
    });
    check_in(&busy, "0");
    until("it is stopped once it reports nobody", Duration::from_secs(15), || {
        (status(&daemon.client, &busy) == "stopped").then_some(())
    });
    daemon.client.patch(text(&busy, "uri"), "status=running");
    assert_eq!(daemon.client.show(text(&busy, "uri"))["active"], "0", "a start forgets check-ins");
}

#[test]
fn an_open_connection_and_bytes_keep_it_running() {
    let daemon = Daemon::start(&SECONDS);
    let (connected, asked) = (daemon.client.create(test_image()), daemon.client.create(test_image()));
    let port = text(&connected, "app_port");
    let open = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    throughout(Duration::from_secs(8), || {
        ask(text(&asked, "app_port"), "still here").unwrap();
        assert_eq!(status(&daemon.client, &connected), "running");
    });
    assert_eq!(status(&daemon.client, &asked), "running");
    assert_ne!(daemon.client.show(text(&asked, "uri"))["active"], "0");
    drop(open);
    for container in [&connected, &asked] {
        until("it is stopped once nobody is there", Duration::from_secs(20), || {
            (status(&daemon.client, container) == "stopped").then_some(())
        });
    }
}

#[test]
fn disable_timeouts_never_stops() {
    let daemon = Daemon::start(&[SECONDS[0], SECONDS[1], ("disable_timeouts", "True")]);
    let container = daemon.client.create(test_image());
    assert_eq!(container["next_look"], Value::Null);
    throughout(Duration::from_secs(7), || {
        assert_eq!(status(&daemon.client, &container), "running");
    });
}

#[test]
fn looks_survive_a_restart_and_those_that_are_past_are_made_at_start_up() {
    let mut daemon = Daemon::start(&[("initial_timeout_interval", "4"), ("timeout_interval", "4")]);
    let container = daemon.client.create(test_image());
    let uri = text(&container, "uri").to_owned();
    let due = container["next_look"].clone();
    daemon.kill();
    daemon.start_again(&[]);
    let shown = daemon.client.show(&uri);
    assert_eq!((&shown["status"], &shown["next_look"]), (&"running".into(), &due));
    assert_eq!(shown["app_port"], container["app_port"]);
    until("its first look is past", Duration::from_secs(8), || {
        (daemon.client.show(&uri)["next_look"] != due).then_some(())
    });
    assert_eq!(daemon.end(), Some(0));
    // Nobody is there to wait for: the time of its second look passes while no daemon runs.
    std::thread::sleep(Duration::from_millis(4_500));
    daemon.start_again(&[]);
    let begun = Instant::now();
    until("it is stopped, since its second look is past", Duration::from_secs(15), || {
        (daemon.client.show(&uri)["status"] == "stopped").then_some(())
    });
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
