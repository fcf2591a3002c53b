//! Frozen containers while nobody watches over them: the engine's events break off, or the daemon is killed and something arrives.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;
use tests::freezer::Group;
use tests::{Daemon, Dockerd, Door, ask_over, docker, test_image, text, throughout, until};

/// As the daemon would hear of nothing any more.
const SOON: Duration = Duration::from_secs(5);

fn create(daemon: &Daemon, freeze_after: &str) -> Value {
    let policy = json!({"freeze_after": freeze_after, "breathe": false, "busy_cpu": "off"});
    daemon.client.create_as(&json!({"image": test_image(), "policy": policy, "env": {"HEARS": "1"}}))
}

/// Its control group, and by that it is frozen: not by the engine's pause.
fn freezer(daemon: &Daemon, container: &Value, docker: impl Fn(&[&str]) -> String) -> Group {
    let group = Group::of(text(container, "container_id"), docker);
    let why = daemon.client.get(&format!("{}/why", text(container, "uri"))).text;
    assert!(group.is_frozen() && why.contains("by cgroup"), "{why}");
    group
}

fn is_told(daemon: &Daemon, container: &Value, cause: &str) {
    let events = format!("{}/events", text(container, "uri"));
    let told = || daemon.client.get(&events).text.contains(cause).then_some(());
    until(&format!("it is told that {cause}"), SOON, told);
}

/// The engine is well, and heard again at once: it freezes once more.
fn goes_on_when_events_break_off(engine: &Dockerd) {
    let door = Door::before(&engine.host());
    let daemon = Daemon::start(&[("engine_host", &door.host())]);
    let container = create(&daemon, "2s");
    daemon.client.until(&container, "depth", "frozen");
    let group = freezer(&daemon, &container, |args| engine.docker(args));
    throughout(Duration::from_secs(1), || assert!(group.is_frozen()));
    door.slam();
    until("it goes on", SOON, || (!group.is_frozen()).then_some(()));
    is_told(&daemon, &container, "the engine's events broke off");
    until("it is frozen again", Duration::from_secs(30), || group.is_frozen().then_some(()));
}

#[test]
fn what_is_frozen_goes_on_when_the_engine_s_events_break_off() {
    goes_on_when_events_break_off(&Dockerd::start());
}

#[test]
fn over_control_groups_of_version_2_it_goes_on_alike_when_they_do() {
    goes_on_when_events_break_off(&Dockerd::start_unified());
}

#[test]
fn what_is_frozen_goes_on_when_its_engine_is_killed() {
    let mut engine = Dockerd::start();
    let daemon = Daemon::start(&[("engine_host", &engine.host())]);
    let container = create(&daemon, "off");
    daemon.client.freeze(&container);
    let group = freezer(&daemon, &container, |args| engine.docker(args));
    engine.kill();
    until("it goes on", SOON, || (!group.is_frozen()).then_some(()));
    is_told(&daemon, &container, "the engine's events broke off");
}

/// On the containers' network, past the gateway: nobody is told of what comes there.
fn address(container: &Value, docker: &impl Fn(&[&str]) -> String) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    docker(&["inspect", "-f", format, text(container, "container_id")]).trim().to_owned()
}

fn says(container: &Value, datagram: &str, docker: &impl Fn(&[&str]) -> String) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.send_to(datagram.as_bytes(), (address(container, docker), 53)).unwrap();
}

fn has_heard(container: &Value, datagram: &str, docker: &impl Fn(&[&str]) -> String) -> Option<()> {
    let log = docker(&["logs", text(container, "container_id")]);
    log.contains(&format!("heard {datagram}")).then_some(())
}

/// A connection, a line over one that was there before, a datagram: of four frozen ones, three have something when the daemon is back.
fn is_thawed_for_what_came_meanwhile(daemon: &mut Daemon, docker: impl Fn(&[&str]) -> String) {
    let all = [(); 4].map(|()| create(daemon, "off"));
    let [_, joined, written, told] = &all;
    let join = |container| TcpStream::connect((address(container, &docker), 8000)).unwrap();
    let mut served = join(written);
    assert!(ask_over(&served, "before").unwrap().ends_with(": before"));
    until("it hears", SOON, || {
        says(told, "anybody?", &docker);
        has_heard(told, "anybody?", &docker)
    });
    all.iter().for_each(|container| daemon.client.freeze(container));
    let [nobody, others @ ..] = all.each_ref().map(|container| freezer(daemon, container, &docker));
    daemon.kill();
    let come = join(joined);
    served.write_all(b"after\n").unwrap();
    says(told, "hello", &docker);
    throughout(Duration::from_secs(1), || assert!(nobody.is_frozen() && others.iter().all(Group::is_frozen)));

    daemon.start_again(&[]);
    until("they go on", SOON, || others.iter().all(|group| !group.is_frozen()).then_some(()));
    all[1..].iter().for_each(|container| is_told(daemon, container, "something had arrived in its sockets"));
    assert!(ask_over(&come, "hello").unwrap().ends_with(": hello"));
    let mut answer = String::new();
    BufReader::new(served).read_line(&mut answer).unwrap();
    assert!(answer.ends_with(": after\n"), "{answer}");
    until("it has heard", SOON, || has_heard(told, "hello", &docker));
    throughout(Duration::from_secs(2), || assert!(nobody.is_frozen(), "it was sent nothing"));
    assert_eq!(daemon.client.show(text(&all[0], "uri"))["depth"], "frozen");
}

#[test]
fn what_was_sent_something_while_the_daemon_was_dead_goes_on_at_its_start() {
    is_thawed_for_what_came_meanwhile(&mut Daemon::start(&[]), docker);
}

#[test]
fn over_control_groups_of_version_2_it_goes_on_alike_at_the_start() {
    let engine = Dockerd::start_unified();
    let mut daemon = Daemon::start(&[("engine_host", &engine.host())]);
    is_thawed_for_what_came_meanwhile(&mut daemon, |args| engine.docker(args));
}
