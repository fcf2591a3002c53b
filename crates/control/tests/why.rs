//! What is told of a container: its transitions with their cause, kept, read and followed; and why it is as it is.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::told::{events, last, told, until_depth};
use bench::{Bench, connect, create, id, launched, status, until};
use control::{Control, GaveUp, WakeError, Writing};
use engine::{Socket, SocketKind};
use model::policy::FreezeAfter;
use model::{Amendment, Depth, EventKind, Next, Source, Status, Term};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn each_transition_is_kept_with_its_cause() {
    let (bench, control, of, target) = launched().await;
    let handle = control.find(&of).unwrap();
    let body = handle.view().container.engine_id.clone().unwrap();
    until_depth(&control, &of, Depth::Frozen).await;
    let flow = connect(&target);
    target.wake(&flow).await.unwrap();
    drop(flow);
    handle.freeze().await.unwrap();
    bench.fake.exec_by_hand(&body);
    until_depth(&control, &of, Depth::Awake).await;
    bench.fake.end_exec(&body);
    handle.stop().await.unwrap();
    until("it is stopped", || status(&control, &of) == Status::Stopped).await;
    handle.start().await.unwrap();
    bench.fake.pause_by_hand(&body);
    until_depth(&control, &of, Depth::Frozen).await;
    bench.fake.unpause_by_hand(&body);
    until_depth(&control, &of, Depth::Awake).await;
    bench.fake.exit(&body, 3);
    until("it died", || status(&control, &of) == Status::Stopped).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    target.wake(&connect(&target)).await.unwrap();
    let expected = [
        "was created: asked by POST",
        "started: asked by POST",
        "froze: no bytes for 60 s",
        "woke: connection from 127.0.0.1:5123 to port 8000",
        "froze: asked by PATCH",
        "thawed: the engine is about to run a command in it",
        "stopped: asked by PATCH",
        "started: asked by PATCH",
        "froze: somebody did so through the engine",
        "thawed: somebody did so through the engine",
        "exited with code 3: it ended by itself; `docker logs` shows its last words",
        "woke: connection from 127.0.0.1:5123 to port 8000",
    ];
    assert_eq!(told(&control, &of).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_stop_for_idleness_says_so_and_a_keep_alive_is_told_from_use() {
    let (_bench, control, of, target) = launched().await;
    let flow = connect(&target);
    until_depth(&control, &of, Depth::Frozen).await;
    target.wake(&flow).await.unwrap();
    flow.outward(1);
    until_depth(&control, &of, Depth::Frozen).await;
    assert!(last(&control, &of).await.starts_with("froze: no more than keep-alives for 6"));
    drop(flow);
    until("it is stopped", || status(&control, &of) == Status::Stopped).await;
    assert_eq!(last(&control, &of).await, "stopped: idle twice");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_at_once_and_then_together() {
    let (bench, control, of, target) = launched().await;
    let body = control.find(&of).unwrap().view().container.engine_id.clone().unwrap();
    bench.fake.exit(&body, 1);
    until("it died", || status(&control, &of) == Status::Stopped).await;
    for _ in 0..500 {
        target.wake(&connect(&target)).await.unwrap_err();
    }
    let refused =
        "refused 127.0.0.1:5123 to port 8000: woke again too soon: ended by itself once; next start in 1 s";
    assert_eq!(last(&control, &of).await, refused);
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(last(&control, &of).await, format!("{refused} (499 times within a minute)"));
    let count = events(&control, &of).await.iter().filter(|event| event.kind == EventKind::Refused).count();
    assert_eq!(count, 2);
    for _ in 0..500 {
        target.gave_up(&connect(&target), GaveUp::NotAwake(MINUTE));
        tokio::task::yield_now().await;
    }
    control.shut_down().await;
    let control = bench.launch().await;
    let together = last(&control, &of).await;
    assert!(together.contains("it was not awake within 60 s (wake_timeout) ("), "{together}");
}

#[tokio::test(start_paused = true)]
async fn one_reason_does_not_hold_back_another() {
    let (_bench, control, of, target) = launched().await;
    for (why, words) in [
        (GaveUp::OutOfPorts, "no local port is left"),
        (GaveUp::NotAwake(MINUTE), "it was not awake within 60 s"),
    ] {
        target.gave_up(&connect(&target), why);
        let told = async || told(&control, &of).await.iter().any(|told| told.contains(words));
        let begun = tokio::time::Instant::now();
        while !told().await {
            assert!(begun.elapsed() < MINUTE / 2, "it is told at once: {words}");
            tokio::time::sleep(MINUTE / 60).await;
        }
    }
    control.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_wake_it_is_told_and_that_is_kept() {
    let (bench, control, of, target) = launched().await;
    let mut others = Amendment::default();
    others.say(Term::WakeFrom, "10.0.0.0/8").unwrap();
    control.find(&of).unwrap().say_policy(others).await.unwrap();
    let refused = "refused 127.0.0.1:5123 to port 8000: its policy lets nobody wake it from there";
    assert!(matches!(target.wake(&connect(&target)).await, Err(WakeError::NotByYou)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(last(&control, &of).await, refused);
    control.shut_down().await;
    let control = bench.launch().await;
    assert_eq!(last(&control, &of).await, refused);
}

#[tokio::test(start_paused = true)]
async fn that_no_local_port_is_left_is_told() {
    let (_bench, control, of, target) = launched().await;
    target.gave_up(&connect(&target), GaveUp::OutOfPorts);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = last(&control, &of).await;
    assert!(told.contains("no local port is left towards it; net.ipv4.tcp_tw_reuse=1"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn one_that_listens_on_its_own_loopback_alone_is_told_what_to_change() {
    let refused = "refused 127.0.0.1:5123 to port 8000: ";
    let late = format!("{refused}its port did not accept within 60 s (wake_timeout)");
    let closed = format!("{refused}nothing listens on its port; `docker logs` may say why");
    let inside = "unreachable: the image listens only on 127.0.0.1 inside: have its application listen on 0.0.0.0:8000, or on every address";
    for (address, why, words) in [
        ([0, 0, 0, 0], GaveUp::NotAccepted(MINUTE), late.as_str()),
        ([127, 0, 0, 1], GaveUp::NotAccepted(MINUTE), inside),
        ([0, 0, 0, 0], GaveUp::Closed, closed.as_str()),
        ([127, 0, 0, 1], GaveUp::Closed, inside),
    ] {
        let (bench, control, of, target) = launched().await;
        let body = control.find(&of).unwrap().view().container.engine_id.clone().unwrap();
        let listener = Socket {
            local: (address, 8000).into(),
            peer: None,
            kind: SocketKind::Listening,
            unread: 0,
            last_received: None,
            last_sent: None,
        };
        bench.fake.set_sockets(&body, Some(vec![listener]));
        target.gave_up(&connect(&target), why);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(last(&control, &of).await, words);
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_is_told_before_a_container_expires() {
    let (_bench, control, of, _) = launched().await;
    let mut follower = control.follow(None).unwrap();
    let mut amendment = Amendment::default();
    amendment.say(Term::ExpiresAfter, "1h").unwrap();
    control.find(&of).unwrap().say_policy(amendment).await.unwrap();
    until("it is gone", || control.find(&of).is_err()).await;
    let mut told = Vec::new();
    while told.last().is_none_or(|told: &(EventKind, String)| told.0 != EventKind::Deleted) {
        let event = follower.next().await.unwrap();
        told.push((event.kind, event.to_string()));
    }
    let of_life = |(kind, _): &&(EventKind, String)| {
        matches!(kind, EventKind::PolicyChanged | EventKind::Expiring | EventKind::Deleted)
    };
    let told: Vec<_> = told.iter().filter(of_life).map(|(_, text)| text.as_str()).collect();
    let expected = [
        "policy changed: expires_after=1h",
        "expires in 10 min (expires_after of its policy)",
        "was deleted: expires_after of its policy",
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_follower_misses_nothing_and_goes_on_after_a_restart() {
    let mut bench = Bench::inline();
    bench.policy.freeze_after = FreezeAfter::Off;
    let control = bench.launch().await;
    let view = create(&control).await;
    let of = id(&view);
    let handle = control.find(&of).unwrap();
    let mut slow = control.follow(Some(0)).unwrap();
    for _ in 0..200 {
        handle.freeze().await.unwrap();
        handle.thaw().await.unwrap();
        // Each is written by itself: whoever follows falls behind.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let newest = events(&control, &of).await.last().unwrap().id;
    assert_eq!(newest, 402);
    let mut ids = Vec::new();
    while ids.last() != Some(&newest) {
        ids.push(slow.next().await.unwrap().id);
    }
    // Of one container the newest 200 are kept: those before them fell out meanwhile.
    assert_eq!(ids, (203..=402).collect::<Vec<_>>());
    control.shut_down().await;
    let control = bench.launch().await;
    let mut resumed = control.follow(Some(newest)).unwrap();
    control.find(&of).unwrap().freeze().await.unwrap();
    assert_eq!(resumed.next().await.unwrap().id, newest + 1);
    let mut elsewhere = control.follow(Some(u64::MAX)).unwrap();
    control.find(&of).unwrap().thaw().await.unwrap();
    assert_eq!(
        elsewhere.next().await.unwrap().id,
        newest + 2,
        "what another store gave out is no place to wait for"
    );
}

#[tokio::test(start_paused = true)]
async fn only_so_many_follow() {
    let (_bench, control, ..) = launched().await;
    let mut followers: Vec<_> = (0..64).map(|_| control.follow(None).unwrap()).collect();
    assert!(control.follow(None).is_none());
    followers.pop();
    assert!(control.follow(None).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_newest_are_kept_and_read_in_pages() {
    let (_bench, control, of, _) = launched().await;
    let handle = control.find(&of).unwrap();
    for _ in 0..120 {
        handle.freeze().await.unwrap();
        handle.thaw().await.unwrap();
    }
    let all = events(&control, &of).await;
    assert_eq!((all.len(), all.last().unwrap().id), (200, 242));
    let after = control.events(&handle, Some(100), 3).await.unwrap();
    assert_eq!(after.iter().map(|event| event.id).collect::<Vec<_>>(), [101, 102, 103]);
    let newest = control.events(&handle, None, 2).await.unwrap();
    assert_eq!(newest.iter().map(|event| event.id).collect::<Vec<_>>(), [241, 242]);
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_events_wait_and_nothing_else_does() {
    use std::sync::atomic::Ordering;
    let (bench, control, of, _) = launched().await;
    let handle = control.find(&of).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = events(&control, &of).await.len();
    bench.full.store(true, Ordering::Relaxed);
    handle.freeze().await.unwrap();
    handle.thaw().await.unwrap();
    assert_eq!(events(&control, &of).await.len(), before);
    bench.full.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = told(&control, &of).await;
    assert_eq!(told[before..], ["froze: asked by PATCH", "thawed: asked by PATCH"]);
}

#[tokio::test(start_paused = true)]
async fn why_says_what_keeps_it_awake_and_what_comes() {
    let (_bench, control, of, target) = launched().await;
    let handle = control.find(&of).unwrap();
    drop(connect(&target));
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (why, now) = control.why(&handle, &handle.view()).await;
    assert!(
        why.sentence.starts_with("It is awake: it was used 20 s ago; it freezes in 40 s"),
        "{}",
        why.sentence
    );
    assert_eq!(why.next[0].0, Next::Freeze);
    // What moves now is known now.
    let asks = connect(&target);
    assert!(asks.inward(20));
    let (why, _) = control.why(&handle, &handle.view()).await;
    assert!(why.sentence.contains(":5123 has waited 0 s for an answer"), "{}", why.sentence);
    asks.outward(2000);
    drop(asks);
    let (why, _) = control.why(&handle, &handle.view()).await;
    assert!(why.sentence.starts_with("It is awake: it was used "), "{}", why.sentence);
    until_depth(&control, &of, Depth::Frozen).await;
    let (why, later) = control.why(&handle, &handle.view()).await;
    assert!(later.since(now) <= MINUTE + Duration::from_secs(5));
    assert!(why.sentence.contains(" ago it froze: no bytes for 60 s; "), "{}", why.sentence);
    assert_eq!(why.next.iter().map(|(next, _)| *next).collect::<Vec<_>>(), [Next::Look, Next::Stop]);
}

/// Seconds since its failure, as its fact tells, and who says so.
async fn failed_ago(control: &Control, of: &str) -> (u64, Source) {
    let handle = control.find(of).unwrap();
    let (why, now) = control.why(&handle, &handle.view()).await;
    let failure = why.facts.iter().find(|fact| fact.fact == "failure").unwrap();
    (now.since(failure.at.unwrap()).as_secs(), failure.source)
}

#[tokio::test(start_paused = true)]
async fn a_failure_has_the_time_when_it_came_whatever_was_tried_since() {
    let (bench, control, of, target) = launched().await;
    let body = control.find(&of).unwrap().view().container.engine_id.clone().unwrap();
    bench.fake.exit(&body, 3);
    until("it ended", || status(&control, &of) == Status::Stopped).await;
    bench.fake.set_away(true);
    tokio::time::sleep(Duration::from_secs(20)).await;
    target.wake(&connect(&target)).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(failed_ago(&control, &of).await, (40, Source::Engine));
    bench.ports.hold_by_another(50_000, true);
    bench.fake.set_away(false);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let missing = || !control.find(&of).unwrap().view().ports_missing.is_empty();
    control.find(&of).unwrap().start().await.unwrap();
    until("a port is missing", missing).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (ago, source) = failed_ago(&control, &of).await;
    assert!((29..=31).contains(&ago), "however often it was tried since");
    assert_eq!(source, Source::Gateway, "it holds the ports");
}

#[tokio::test(start_paused = true)]
async fn the_last_use_is_told_by_whoever_saw_it() {
    let (_bench, control, of, target) = launched().await;
    let handle = control.find(&of).unwrap();
    let source = async || {
        let (why, _) = control.why(&handle, &handle.view()).await;
        why.facts.iter().find(|fact| fact.fact == "last use").map(|fact| fact.source)
    };
    assert_eq!(source().await, Some(Source::Engine), "it has only been started");
    tokio::time::sleep(MINUTE / 6).await;
    drop(connect(&target));
    tokio::time::sleep(MINUTE / 3).await;
    assert_eq!(source().await, Some(Source::Gateway));
    for value in ["3", "0"] {
        control.check_in(handle.view().container.address.into(), value);
        tokio::time::sleep(MINUTE / 6).await;
        assert_eq!(source().await, Some(Source::CheckIn), "{value}");
    }
}

/// The writer is held up: what is told of a wake does not wait for it.
#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "that is what is tested: nobody who is awaited needs it")]
async fn a_wake_waits_for_no_disk() {
    let mut bench = Bench::new();
    bench.writing = Writing::InGroups;
    let control = bench.launch().await;
    let view = create(&control).await;
    let (handle, target) = (control.find(&id(&view)).unwrap(), bench.ports.target(50_001));
    let held = bench.hold_disk();
    for _ in 0..3000 {
        handle.freeze().await.unwrap();
        target.wake(&connect(&target)).await.unwrap();
    }
    drop(held);
    let events = control.events(&handle, None, 200).await.unwrap();
    assert_eq!((events.len(), events.last().unwrap().kind), (200, EventKind::Woke));
}

/// It was told as found so.
#[tokio::test(start_paused = true)]
async fn a_stop_that_a_restart_takes_up_has_no_cause_that_is_not_its_own() {
    let (bench, control, of, _) = launched().await;
    bench.fake.slow(engine::fake::Call::Stop, MINUTE);
    control.find(&of).unwrap().stop().await.unwrap();
    control.shut_down().await;
    let control = bench.launch().await;
    until("it is stopped", || status(&control, &of) == Status::Stopped).await;
    assert_eq!(last(&control, &of).await, "stopped");
}
