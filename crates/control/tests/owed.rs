//! Whoever waits for an answer keeps a container awake, through the gateway or beside it, and for so long only.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::told::{told, until_depth};
use bench::{connect, launched, until};
use control::Control;
use engine::{Socket, SocketKind};
use model::{Amendment, Depth, Next, Source, Term};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn the_end_of_a_wait_for_an_answer_is_told_once() {
    let (_bench, control, of, target) = launched().await;
    let flow = connect(&target);
    assert!(flow.inward(20), "one that is never answered");
    tokio::time::sleep(58 * MINUTE).await;
    let handle = control.find(&of).unwrap();
    let (why, _) = control.why(&handle, &handle.view()).await;
    assert_eq!(
        why.sentence,
        "It is awake: 127.0.0.1:5123 has waited 58 min for an answer from port 8000; it freezes in 2 min if nothing happens"
    );
    tokio::time::sleep(4 * MINUTE).await;
    let told = told(&control, &of).await;
    let gave_up: Vec<_> = told.iter().filter(|told| told.starts_with("gave up")).collect();
    let words = "gave up waiting: 127.0.0.1:5123 has waited 60 min for an answer, and keeps it awake no more (owed_for)";
    assert_eq!(gave_up, [words], "{told:?}");
    assert!(told.last().unwrap().starts_with("froze: no bytes for 60 min"), "{told:?}");
}

/// What the kernel tells of a client at port 8000 that did not come through the gateway, and has waited for so long.
fn waits_beside(waited: Duration) -> Vec<Socket> {
    let at = |a, port| (std::net::Ipv4Addr::from([172, 18, 0, a]), port).into();
    let listens = Socket {
        local: at(2, 8000),
        peer: None,
        kind: SocketKind::Listening,
        unread: 0,
        last_received: None,
        last_sent: None,
    };
    let (kind, last_received) = (SocketKind::Established, Some(waited));
    let waits = Socket { peer: Some(at(1, 40_000)), kind, last_received, ..listens };
    vec![listens, waits]
}

/// So long after its start: one through the gateway has given up, and the one beside it has waited for 59 minutes.
const WAITS_BESIDE_ALONE: u32 = 62;

async fn is_told_who_waits_beside(control: &Control, of: &str) {
    let handle = control.find(of).unwrap();
    let (why, now) = control.why(&handle, &handle.view()).await;
    let beside = "It is awake: 172.18.0.1:40000, a client beside the gateway, has waited 59 min for an answer; it freezes in ";
    assert!(why.sentence.starts_with(beside), "{}", why.sentence);
    let owed: Vec<_> = why.facts.iter().filter(|fact| fact.fact == "owed an answer").collect();
    let [fact] = owed[..] else { panic!("{owed:?}") };
    assert_eq!((fact.value.as_str(), fact.source), ("172.18.0.1:40000, beside the gateway", Source::Kernel));
    let since = fact.at.unwrap();
    assert_eq!(now.since(since).as_secs() / 60, 59);
    assert_eq!(why.next[0], (Next::Freeze, since.plus(60 * MINUTE)));
}

/// One through the gateway has given up before: of that, nothing is said anew.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_wait_beside_the_gateway_is_told_once_too() {
    let (bench, control, of, target) = launched().await;
    let flow = connect(&target);
    assert!(flow.inward(20), "one that is never answered");
    let body = control.find(&of).unwrap().view().container.engine_id.clone().unwrap();
    for minutes in 0..64 {
        let waited = MINUTE * minutes;
        bench.fake.set_sockets(&body, Some(waits_beside(waited.saturating_sub(3 * MINUTE))));
        tokio::time::sleep(MINUTE).await;
        if minutes == WAITS_BESIDE_ALONE {
            is_told_who_waits_beside(&control, &of).await;
        }
    }
    let told = told(&control, &of).await;
    let gave_up: Vec<_> = told.iter().filter(|told| told.starts_with("gave up")).collect();
    let more = "for an answer, and keeps it awake no more (owed_for)";
    let expected = [
        format!("gave up waiting: 127.0.0.1:5123 has waited 60 min {more}"),
        format!("gave up waiting: 172.18.0.1:40000, a client beside the gateway, has waited 60 min {more}"),
    ];
    assert_eq!(gave_up, expected.iter().collect::<Vec<_>>(), "{told:?}");
    assert!(told.last().unwrap().starts_with("froze: no bytes for 6"), "{told:?}");
}

/// One that was answered, or has gone, did not give up.
#[tokio::test(start_paused = true)]
async fn an_answer_beside_the_gateway_ends_a_wait_and_nothing_is_told() {
    let (bench, control, of, _target) = launched().await;
    let body = control.find(&of).unwrap().view().container.engine_id.clone().unwrap();
    bench.fake.set_sockets(&body, Some(waits_beside(50 * MINUTE)));
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(bench::depth(&control, &of), Depth::Awake);
    let answered = |socket: Socket| Socket { last_sent: socket.peer.map(|_| MINUTE), ..socket };
    let sockets = waits_beside(61 * MINUTE).into_iter().map(answered).collect();
    bench.fake.set_sockets(&body, Some(sockets));
    until_depth(&control, &of, Depth::Frozen).await;
    let told = told(&control, &of).await;
    assert!(!told.iter().any(|told| told.starts_with("gave up")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_beside_the_gateway_puts_a_deletion_off() {
    let (bench, control, of, _target) = launched().await;
    let handle = control.find(&of).unwrap();
    let body = handle.view().container.engine_id.clone().unwrap();
    let mut amendment = Amendment::default();
    amendment.say(Term::DeleteAfterIdle, "10m").unwrap();
    handle.say_policy(amendment).await.unwrap();
    bench.fake.set_sockets(&body, Some(waits_beside(5 * MINUTE)));
    tokio::time::sleep(30 * MINUTE).await;
    assert_eq!(bench::depth(&control, &of), Depth::Awake);
    bench.fake.set_sockets(&body, Some(Vec::new()));
    until("it is deleted", || control.find(&of).is_err()).await;
}
