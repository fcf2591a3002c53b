//! Keep-alives of real clients and servers, once a second: each is answered, and none keeps a container awake.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::io::ErrorKind;
use std::time::Duration;
use tests::{Daemon, Dialogue, WebSocket, echo, protocol_image, text, throughout, until, websocket};
use tungstenite::{Error, Message};

/// A minute of these is a few KiB; one message of a person's is more. None comes as late as to let it freeze, if it were use.
fn quick() -> Value {
    json!({"freeze_after": "3s", "quiet_below": "10KiB/min", "owed_for": "1s", "activity": "traffic"})
}

fn count(daemon: &Daemon, container: &Value, wanted: &str) -> usize {
    daemon.client.kinds(container).iter().filter(|kind| *kind == wanted).count()
}

/// While keep-alives go on, `between`, it freezes and wakes for each.
fn freezes_in_spite(daemon: &Daemon, container: &Value, mut between: impl FnMut()) {
    let before = (count(daemon, container, "froze"), count(daemon, container, "woke"));
    until("it froze and woke for four keep-alives", Duration::from_secs(20), || {
        between();
        let (froze, woke) = (count(daemon, container, "froze"), count(daemon, container, "woke"));
        (froze >= before.0 + 4 && woke >= before.1 + 4).then_some(())
    });
}

fn depth(daemon: &Daemon, container: &Value) -> String {
    text(&daemon.client.show(text(container, "uri")), "depth").to_owned()
}

#[test]
fn an_ssh_session_is_kept_alive_by_a_container_that_freezes() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create_as(&json!({"image": "spin-docker/sd-base", "policy": quick()}));
    // It hangs up after three seconds without an answer.
    let alive = ["-oServerAliveInterval=1", "-oServerAliveCountMax=3"];
    let mut shell = Dialogue::over_ssh(&daemon, &container, &alive);
    let id = shell.ask("echo $$");
    freezes_in_spite(&daemon, &container, || {});
    assert_eq!(shell.ask("echo $$"), id);
}

fn ping(socket: &mut WebSocket) {
    socket.send(Message::Ping("still there?".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("still there?".into()));
}

fn tornado(daemon: &Daemon, policy: &Value, env: &Value) -> Value {
    let asked = json!({"image": protocol_image("tornado"), "policy": policy, "env": env});
    daemon.client.create_as(&asked)
}

fn pings_are_no_use_and_messages_are(daemon: &Daemon, container: &Value, mut socket: WebSocket) {
    freezes_in_spite(daemon, container, || {
        ping(&mut socket);
        std::thread::sleep(Duration::from_secs(1));
    });
    let page = "a message ".repeat(3000);
    echo(&mut socket, &page);
    throughout(Duration::from_secs(5), || {
        echo(&mut socket, &page);
        assert_eq!(depth(daemon, container), "awake");
    });
    daemon.client.until(container, "depth", "frozen");
    echo(&mut socket, "once more");
}

#[test]
fn a_websocket_s_pings_are_answered_by_a_container_that_freezes() {
    let daemon = Daemon::start(&[]);
    let container = tornado(&daemon, &quick(), &json!({}));
    let address = format!("127.0.0.1:{}", text(&container, "app_port"));
    pings_are_no_use_and_messages_are(&daemon, &container, websocket(&address, &address));
}

#[test]
fn a_websocket_s_pings_by_name_are_answered_by_a_container_that_freezes() {
    let daemon = Daemon::start(&[]);
    let container = tornado(&daemon, &quick(), &json!({}));
    let address = daemon.base.strip_prefix("http://").unwrap();
    let host = format!("{}.localhost", &text(&container, "container_id")[..12]);
    pings_are_no_use_and_messages_are(&daemon, &container, websocket(address, &host));
}

/// While it is frozen, its own pings come at its breaths. A pong looks like a question that is not answered, until the same ping has come
/// before. Tornado's patience is three pings where nobody says otherwise.
#[test]
fn a_server_that_pings_its_clients_freezes_and_hangs_up_on_none() {
    let daemon = Daemon::start(&[]);
    let policy = json!({"freeze_after": "1s", "quiet_below": "10KiB/min"});
    let container = tornado(&daemon, &policy, &json!({"PING_INTERVAL": "6", "PING_TIMEOUT": "18"}));
    let address = format!("127.0.0.1:{}", text(&container, "app_port"));
    let mut socket = websocket(&address, &address);
    let is_frozen = || depth(&daemon, &container) == "frozen";
    echo(&mut socket, "hello");
    socket.get_ref().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (mut pings, mut looks, mut frozen) = (0, 0, 0);
    until("its pings are known", Duration::from_secs(40), || {
        pings += usize::from(is_pinged(&mut socket));
        (pings > 3 && is_frozen()).then_some(())
    });
    // Longer than its patience.
    throughout(Duration::from_secs(20), || {
        pings += usize::from(is_pinged(&mut socket));
        (looks, frozen) = (looks + 1, frozen + usize::from(is_frozen()));
    });
    socket.get_ref().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert!(pings > 5 && frozen * 4 > looks * 3, "{pings} pings, frozen at {frozen} of {looks} looks");
    echo(&mut socket, "still connected");
}

/// Answers a ping, if one comes within the socket's patience.
fn is_pinged(socket: &mut WebSocket) -> bool {
    match socket.read() {
        Ok(Message::Ping(_)) => true,
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => false,
        other => panic!("neither a ping nor silence: {other:?}"),
    }
}
