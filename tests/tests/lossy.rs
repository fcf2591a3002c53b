//! The API over a network that loses packets: one in ten, where all are answered all the same; and all of a client's, where its
//! connection is closed in time. Each test has a network namespace of its own, whose loopback drops what it is told to.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::Value;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};
use tests::{Client, Daemon, move_apart, raw, until};

const AUTHORIZATION: &str = "Authorization: Basic YWRtaW46c3BpbmRvY2tlcg==\r\n";
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The loopback drops every packet of TCP that this fits, either way.
fn lose(what: &[&str]) {
    run("iptables", &[&["-w", "-A", "INPUT", "-p", "tcp"], what, &["-j", "DROP"]].concat());
}

/// How many segments were sent again since the namespace was made.
fn sent_again() -> u64 {
    let told: Value = serde_json::from_str(&run("nstat", &["-aszj"])).unwrap();
    told["kernel"]["TcpRetransSegs"].as_u64().unwrap()
}

/// How many connections the daemon holds a descriptor of, at the API's port.
fn held(daemon: &Daemon) -> usize {
    let port = daemon.base.rsplit(':').next().unwrap();
    let told = run("ss", &["-tnpH", &format!("sport = :{port}")]);
    told.lines().filter(|line| line.contains(&format!("pid={},", daemon.pid()))).count()
}

fn in_time(begun: Instant, what: &str) {
    assert!(begun.elapsed() < Duration::from_secs(60), "{what} took {:?}", begun.elapsed());
}

/// A long answer, as it would come over a good network.
fn asks_for_much(base: &str, whole: &str) {
    for _ in 0..5 {
        let begun = Instant::now();
        assert!(Client::new(base, "spindocker").get("/v1/openapi.json").text == whole, "it came whole");
        in_time(begun, "a long answer");
    }
}

fn asks_slowly(base: &str) {
    let begun = Instant::now();
    let mut client = raw::connect(base);
    client.set_nodelay(true).unwrap();
    for byte in HEALTH {
        client.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(raw::rest(&mut client).ends_with("alive\n"));
    in_time(begun, "a slow request");
}

fn asks_and_shuts_its_side(base: &str) {
    for _ in 0..5 {
        let begun = Instant::now();
        let mut client = raw::connect(base);
        client.write_all(HEALTH).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(raw::rest(&mut client).ends_with("alive\n"));
        in_time(begun, "a half-closed request");
    }
}

#[test]
fn with_one_packet_in_ten_lost_long_slow_and_half_closed_requests_are_answered() {
    move_apart();
    let daemon = Daemon::start(&[]);
    let (whole, base) = (daemon.client.get("/v1/openapi.json").text, daemon.base.as_str());
    let before = sent_again();
    lose(&["-m", "statistic", "--mode", "random", "--probability", "0.1"]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| asks_for_much(base, &whole));
            scope.spawn(|| asks_slowly(base));
            scope.spawn(|| asks_and_shuts_its_side(base));
        }
    });
    assert!(sent_again() - before > 20, "packets were lost: {}", sent_again() - before);
    until("all of them are let go", Duration::from_secs(40), || (held(&daemon) == 0).then_some(()));
}

/// A connection that has sent this.
fn begin(daemon: &Daemon, request: &str) -> TcpStream {
    let mut client = raw::connect(&daemon.base);
    client.write_all(request.as_bytes()).unwrap();
    client
}

/// A head takes 15 s at most, a body 10 s; whoever follows is sent something after 15 s, and may take nothing of it for 30.
#[test]
fn clients_all_of_whose_packets_are_lost_are_closed_in_time_and_their_descriptors_given_back() {
    move_apart();
    let daemon = Daemon::start(&[]);
    let post = format!(
        "POST /v1/containers HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}Content-Length: 20\r\n\r\nimage="
    );
    let follow = format!("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}\r\n");
    let idle = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let requests = ["", "GET /v1/containers HTTP/1.1\r\nHo", idle, &post, &follow];
    let begun = Instant::now();
    let clients = requests.map(|request| begin(&daemon, request));
    until("all are connected", Duration::from_secs(5), || (held(&daemon) == clients.len()).then_some(()));
    // The head of the stream says that it has begun.
    until("the events are followed", Duration::from_secs(5), || clients[4].peek(&mut [0]).ok());
    let port = daemon.base.rsplit(':').next().unwrap();
    for end in ["--sport", "--dport"] {
        lose(&[end, port]);
    }
    until("all but the follower are closed", Duration::from_secs(30), || (held(&daemon) <= 1).then_some(()));
    assert!(begun.elapsed() > Duration::from_secs(12), "not before: {:?}", begun.elapsed());
    until("the follower is closed", Duration::from_secs(45), || (held(&daemon) == 0).then_some(()));
    println!("the last of {} was closed after {:?}", clients.len(), begun.elapsed());
    run("iptables", &["-w", "-F", "INPUT"]);
    assert_eq!(Client::anonymous(&daemon.base).get("/healthz").status, 200, "others are served");
}
