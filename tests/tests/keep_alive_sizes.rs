//! What keep-alives of real clients weigh, and that a minute of them, at the usual intervals, stays below the usual `quiet_below`.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use postgres::NoTls;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::{Daemon, Dialogue, Scale, protocol_image, text, until, websocket};
use tungstenite::Message;

const FREEZE_AFTER: Duration = Duration::from_secs(12);
const SOON: Duration = Duration::from_secs(30);

/// Nothing is said of `quiet_below`.
fn create(daemon: &Daemon, image: &str, env: &Value) -> Value {
    let policy = json!({"freeze_after": "12s", "busy_cpu": "off", "owed_for": "1s", "breathe": false});
    let container = daemon.client.create_as(&json!({"image": image, "env": env, "policy": policy}));
    assert_eq!(container["policy"]["quiet_below"], "1024B/min");
    container
}

/// Has all of a minute's keep-alives sent one after another, each to a frozen container, which would stay awake for longer if they were
/// use; and gives what they weigh.
fn weigh_a_minute(
    daemon: &Daemon,
    container: &Value,
    scale: &Scale,
    count: u64,
    mut send: impl FnMut(),
) -> u64 {
    let passed = || scale.inward() + scale.outward();
    daemon.client.until(container, "depth", "frozen");
    let before = passed();
    for _ in 0..count {
        send();
        let begun = Instant::now();
        daemon.client.until(container, "depth", "frozen");
        assert!(begun.elapsed() < FREEZE_AFTER * 3 / 4, "it was kept awake for {:?}", begun.elapsed());
    }
    passed() - before
}

/// A keep-alive of these bytes comes so often a minute.
fn is_light(what: &str, count: u64, bytes: u64) {
    println!("{what}: {} bytes each, {bytes} a minute", bytes / count);
    assert!(bytes > 0 && bytes < 1024, "{what}: {bytes} bytes a minute");
}

/// `ServerAliveInterval 15`: four a minute. Here each comes when it has long been frozen.
#[test]
fn a_minute_of_ssh_s_is_no_use() {
    let daemon = Daemon::start(&[]);
    let mut container = create(&daemon, "spin-docker/sd-base", &json!({}));
    let scale = Scale::before(text(&container, "ssh_port"));
    container["ssh_port"] = scale.port().into();
    let mut shell = Dialogue::over_ssh(&daemon, &container, &["-oServerAliveInterval=6"]);
    let id = shell.ask("echo $$");
    let bytes = weigh_a_minute(&daemon, &container, &scale, 4, || {
        let (inward, outward) = (scale.inward(), scale.outward());
        let answered = || (scale.inward() > inward && scale.outward() > outward).then_some(());
        until("one is sent and answered", SOON, answered);
    });
    is_light("ssh", 4, bytes);
    assert_eq!(shell.ask("echo $$"), id);
}

/// Every 30 s: of a driver that prepares it anew each time, and of one that just sends it.
#[test]
fn a_minute_of_a_postgresql_driver_s_is_no_use() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, "atbaker/sd-postgres", &json!({}));
    let scale = Scale::before(text(&container, "app_port"));
    let to = format!("host=127.0.0.1 port={} user=postgres connect_timeout=30", scale.port());
    let mut open = postgres::Client::connect(&to, NoTls).unwrap();
    let sent = weigh_a_minute(&daemon, &container, &scale, 2, || {
        open.simple_query("SELECT 1").unwrap();
    });
    is_light("SELECT 1, as a simple query", 2, sent);
    // A statement is closed when the next one is sent.
    open.query_one("SELECT 1", &[]).unwrap();
    let prepared = weigh_a_minute(&daemon, &container, &scale, 2, || {
        open.query_one("SELECT 1", &[]).unwrap();
    });
    is_light("SELECT 1, prepared each time", 2, prepared);
}

/// A client's every 30 s, with four bytes in it.
#[test]
fn a_minute_of_a_websocket_client_s_is_no_use() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &protocol_image("tornado"), &json!({}));
    let scale = Scale::before(text(&container, "app_port"));
    let address = format!("127.0.0.1:{}", scale.port());
    let mut socket = websocket(&address, &address);
    let bytes = weigh_a_minute(&daemon, &container, &scale, 2, || {
        socket.send(Message::Ping("ping".into())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Pong("ping".into()));
    });
    is_light("a WebSocket client's ping", 2, bytes);
    assert_eq!(bytes, 2 * 16);
}

/// Jupyter's server pings every 30 s.
#[test]
fn a_minute_of_a_websocket_server_s_is_light() {
    let daemon = Daemon::start(&[]);
    let container = create(&daemon, &protocol_image("tornado"), &json!({"PING_INTERVAL": "5"}));
    let scale = Scale::before(text(&container, "app_port"));
    let address = format!("127.0.0.1:{}", scale.port());
    let mut socket = websocket(&address, &address);
    let before = scale.inward() + scale.outward();
    for _ in 0..2 {
        let inward = scale.inward();
        assert!(matches!(socket.read().unwrap(), Message::Ping(_)));
        socket.flush().unwrap();
        until("it is answered", SOON, || (scale.inward() > inward).then_some(()));
    }
    let bytes = scale.inward() + scale.outward() - before;
    is_light("a WebSocket server's ping", 2, bytes);
    assert_eq!(bytes, 2 * 8);
}
