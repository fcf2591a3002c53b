//! Connections of real servers that stay open while their container is frozen, and are used again. None of these clients connects
//! anew by itself.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use bytes::Bytes;
use h2::client::SendRequest;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::{Daemon, Dialogue, echo, protocol_image, text, websocket};

fn create(daemon: &Daemon, server: &str, policy: &Value) -> Value {
    daemon.client.create_as(&json!({"image": protocol_image(server), "policy": policy}))
}

/// Frozen by hand alone.
fn by_hand() -> Value {
    json!({"freeze_after": "off"})
}

const FREEZES: usize = 100;

/// Freezes it a hundred times by hand, and uses it after each: a connection woke it each time.
fn over_freezes(daemon: &Daemon, container: &Value, mut used: impl FnMut()) {
    let begun = Instant::now();
    for _ in 0..FREEZES {
        daemon.client.freeze(container);
        used();
    }
    println!("{FREEZES} freezes in {:?}", begun.elapsed());
    let kinds = daemon.client.kinds(container);
    let last = kinds.len().saturating_sub(2 * FREEZES);
    assert_eq!(kinds[last..], ["froze", "woke"].repeat(FREEZES));
}

fn connect(container: &Value) -> TcpStream {
    let open = TcpStream::connect(format!("127.0.0.1:{}", text(container, "app_port"))).unwrap();
    open.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    open
}

fn exchange(open: &mut TcpStream, line: &str, answer: &str) {
    open.write_all(line.as_bytes()).unwrap();
    hears(open, answer);
}

fn hears(open: &mut TcpStream, what: &str) {
    let mut heard = vec![0; what.len()];
    open.read_exact(&mut heard).unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), what);
}

#[test]
fn a_redis_subscriber_hears_what_is_published_after_each_freeze() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "redis", &by_hand());
    let mut subscriber = connect(&container);
    exchange(&mut subscriber, "SUBSCRIBE news\r\n", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    over_freezes(&daemon, &container, || {
        exchange(&mut connect(&container), "PUBLISH news hello\r\n", ":1\r\n");
        hears(&mut subscriber, "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    });
}

#[test]
fn a_redis_subscriber_keeps_nothing_awake() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "redis", &json!({"freeze_after": "1s"}));
    let mut subscriber = connect(&container);
    exchange(&mut subscriber, "SUBSCRIBE news\r\n", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    for _ in 0..3 {
        daemon.client.until(&container, "depth", "frozen");
        exchange(&mut connect(&container), "PUBLISH news hello\r\n", ":1\r\n");
        hears(&mut subscriber, "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    }
}

#[test]
fn a_mariadb_client_stays_connected_over_freezes_and_keeps_its_session() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "mariadb", &by_hand());
    let image = protocol_image("mariadb");
    let inside = ["docker", "run", "-i", "--rm", "--network=host", &image, "mariadb", "--skip-reconnect"];
    let session = ["--host=127.0.0.1", "--batch", "--unbuffered", "--skip-column-names", "--port"];
    let mut client = Dialogue::with(&[&inside[..], &session, &[text(&container, "app_port")]].concat());
    let id = client.ask("SET @kept = 42; SELECT CONNECTION_ID();");
    over_freezes(&daemon, &container, || {
        assert_eq!(client.ask("SELECT CONCAT(CONNECTION_ID(), ' ', @kept);"), format!("{id} 42"));
    });
}

/// The server greets, and client and server have a few words before the query.
#[test]
fn a_mariadb_client_that_asks_at_once_is_answered_however_long_that_takes() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "mariadb", &json!({"freeze_after": "1s"}));
    let image = protocol_image("mariadb");
    let inside = ["timeout", "40", "docker", "run", "--rm", "--network=host", &image, "mariadb"];
    let session = ["--host=127.0.0.1", "--skip-column-names", "-e", "SELECT 40 + 2 + SLEEP(6)", "--port"];
    let mut client = Command::new(inside[0]);
    client.args(&inside[1..]).args(session).arg(text(&container, "app_port"));
    let answered = client.output().unwrap();
    assert!(answered.status.success(), "{answered:?}");
    assert_eq!(String::from_utf8_lossy(&answered.stdout).trim(), "42");
    daemon.client.until(&container, "depth", "frozen");
}

#[test]
fn a_shell_over_ssh_goes_on_after_each_freeze() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create_as(&json!({"image": "spin-docker/sd-base", "policy": by_hand()}));
    let mut shell = Dialogue::over_ssh(&daemon, &container, &[]);
    let id = shell.ask("kept=42; echo $$");
    over_freezes(&daemon, &container, || {
        assert_eq!(shell.ask("echo $$ $kept"), format!("{id} 42"));
    });
}

fn a_websocket_answers(daemon: &Daemon, container: &Value, address: &str, host: &str) {
    let mut socket = websocket(address, host);
    echo(&mut socket, "hello");
    over_freezes(daemon, container, || echo(&mut socket, "still there?"));
}

#[test]
fn a_websocket_answers_after_each_freeze() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "tornado", &by_hand());
    let address = format!("127.0.0.1:{}", text(&container, "app_port"));
    a_websocket_answers(&daemon, &container, &address, &address);
}

#[test]
fn a_websocket_by_name_answers_after_each_freeze() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "tornado", &by_hand());
    let host = format!("{}.localhost", &text(&container, "container_id")[..12]);
    a_websocket_answers(&daemon, &container, daemon.base.trim_start_matches("http://"), &host);
}

async fn page(client: &SendRequest<Bytes>) -> String {
    let asked = http::Request::get("http://localhost/").body(()).unwrap();
    let (answer, _) = client.clone().ready().await.unwrap().send_request(asked, true).unwrap();
    let mut answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut page = String::new();
    while let Some(part) = answer.body_mut().data().await {
        page.push_str(&String::from_utf8_lossy(&part.unwrap()));
    }
    page
}

#[test]
fn an_http_2_connection_without_tls_answers_after_each_freeze() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "http2", &by_hand());
    let address = format!("127.0.0.1:{}", text(&container, "app_port"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let connecting = async {
        let (client, connection) =
            h2::client::handshake(tokio::net::TcpStream::connect(&address).await.unwrap()).await.unwrap();
        tokio::spawn(connection);
        client
    };
    let client = runtime.block_on(connecting);
    let within = Duration::from_secs(30);
    let answered = || runtime.block_on(async { tokio::time::timeout(within, page(&client)).await }).unwrap();
    assert_eq!(answered(), "hello\n");
    over_freezes(&daemon, &container, || {
        assert_eq!(answered(), "hello\n");
    });
}
