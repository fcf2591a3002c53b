//! What a freeze must not overlook, over the engine in memory and on a paused clock. Most of these a simulated night has shown.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, connect, create, depth, id, launched, until};
use control::Control;
use engine::fake::Call;
use engine::{Socket, SocketKind};
use model::policy::FreezeAfter;
use model::{Depth, EngineId, EventKind, Keeper};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn body(control: &Arc<Control>, of: &str) -> EngineId {
    control.find(of).unwrap().view().container.engine_id.clone().unwrap()
}

async fn freezes(control: &Control, of: &str) -> usize {
    let events = control.events(&control.find(of).unwrap(), None, 200).await.unwrap();
    events.iter().filter(|event| event.kind == EventKind::Froze).count()
}

/// It was about to freeze, and is left as it was.
async fn assert_a_freeze_is_undone(bench: &Bench, control: &Control, of: &str) {
    until("it is about to freeze", || !bench.ports.quieted().is_empty()).await;
    tokio::time::sleep(SECOND / 10).await;
    assert_eq!((depth(control, of), freezes(control, of).await), (Depth::Awake, 0));
    assert!(bench.fake.all().iter().all(|body| body.frozen.is_none()));
}

/// The bytes have reached it, and nobody wakes it for them: a client that never says more would never be answered.
#[tokio::test(start_paused = true)]
async fn bytes_that_are_let_through_at_the_very_moment_of_freezing_keep_it_awake() {
    let (bench, control, of, target) = launched().await;
    let flow = Arc::new(connect(&target));
    let asks = Arc::clone(&flow);
    bench.ports.at_the_next_freeze(move || assert!(asks.inward(20), "they need not wait"));
    assert_a_freeze_is_undone(&bench, &control, &of).await;
    tokio::time::sleep(50 * MINUTE).await;
    let view = control.find(&of).unwrap().view();
    assert_eq!((view.container.phase.depth(), view.kept.unwrap().by), (Depth::Awake, Keeper::Owed));
    flow.outward(20);
    until("it was answered", || depth(&control, &of) == Depth::Frozen).await;
}

/// Frozen, it would never hear of that end: the connection would look open to it.
#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_at_the_very_moment_of_freezing_is_heard_of_first() {
    let (bench, control, of, target) = launched().await;
    let flow = connect(&target);
    bench.ports.at_the_next_freeze(move || assert!(flow.hangs_up(), "its end need not wait"));
    assert_a_freeze_is_undone(&bench, &control, &of).await;
    until("it has heard", || depth(&control, &of) == Depth::Frozen).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_due_while_nobody_follows_the_engine_freezes_later() {
    let (bench, control, of, _) = launched().await;
    bench.fake.set_away(true);
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(depth(&control, &of), Depth::Awake);
    bench.fake.set_away(false);
    until("it freezes", || depth(&control, &of) == Depth::Frozen).await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_begins_while_it_is_looked_at_keeps_it_awake() {
    let (bench, control, of, _) = launched().await;
    // The commands were counted by then; the sockets are still being told.
    bench.fake.slow(Call::Sockets, 5 * SECOND);
    tokio::time::sleep(MINUTE + SECOND).await;
    bench.fake.exec_by_hand(&body(&control, &of));
    for _ in 0..120 {
        tokio::time::sleep(SECOND).await;
        assert_eq!(depth(&control, &of), Depth::Awake);
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_that_comes_during_the_freeze_keeps_it_awake() {
    let (bench, control, of, _) = launched().await;
    bench.fake.slow(Call::Freeze, SECOND);
    tokio::time::sleep(MINUTE + SECOND / 2).await;
    control.check_in(IpAddr::V4(control.find(&of).unwrap().view().container.address), "3");
    tokio::time::sleep(MINUTE).await;
    let view = control.find(&of).unwrap().view();
    assert_eq!((view.container.phase.depth(), view.kept.unwrap().by), (Depth::Awake, Keeper::CheckIn));
}

#[tokio::test(start_paused = true)]
async fn work_that_begins_after_hours_of_talk_keeps_it_awake() {
    let (bench, control, of, target) = launched().await;
    for _ in 0..120 {
        target.traffic.open(([127, 0, 0, 1], 5123).into(), 8000).outward(5000);
        tokio::time::sleep(MINUTE / 2).await;
    }
    for _ in 0..180 {
        bench.fake.use_cpu(&body(&control, &of), SECOND / 10);
        tokio::time::sleep(SECOND).await;
        assert_eq!(depth(&control, &of), Depth::Awake);
    }
    until("the work is done", || depth(&control, &of) == Depth::Frozen).await;
}

#[tokio::test(start_paused = true)]
async fn work_goes_on_through_a_restart_of_ours() {
    let (bench, control, of, _) = launched().await;
    let body = body(&control, &of);
    control.shut_down().await;
    drop(control);
    tokio::time::sleep(10 * MINUTE).await;
    let control = bench.launch().await;
    for _ in 0..60 {
        bench.fake.use_cpu(&body, SECOND / 10);
        tokio::time::sleep(SECOND).await;
        assert_eq!(depth(&control, &of), Depth::Awake);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thaw_that_fails_as_the_program_ends_is_tried_again() {
    let (bench, control, of, _) = launched().await;
    control.find(&of).unwrap().freeze().await.unwrap();
    bench.fake.fail(Call::Thaw, 2, false);
    control.shut_down().await;
    assert!(bench.fake.all().iter().all(|body| body.running && body.frozen.is_none()));
}

#[tokio::test(start_paused = true)]
async fn mail_of_one_that_is_found_frozen_is_looked_for_until_that_can_be_told() {
    let (bench, control, of, _) = launched().await;
    let body = body(&control, &of);
    control.shut_down().await;
    drop(control);
    engine::Engine::freeze(&bench.fake, &body).await.unwrap();
    let local = ([172, 18, 0, 2], 53).into();
    let kind = SocketKind::Datagrams;
    let mail = Socket { local, peer: None, kind, unread: 1, last_received: None, last_sent: None };
    bench.fake.set_sockets(&body, Some(vec![mail]));
    bench.fake.fail(Call::Sockets, 1, false);
    let control = bench.launch().await;
    until("it takes its mail", || depth(&control, &of) == Depth::Awake).await;
}

#[tokio::test(start_paused = true)]
async fn a_command_in_one_that_is_found_frozen_goes_on() {
    let (bench, control, of, _) = launched().await;
    let body = body(&control, &of);
    control.shut_down().await;
    drop(control);
    engine::Engine::freeze(&bench.fake, &body).await.unwrap();
    bench.fake.exec_by_hand(&body);
    let control = bench.launch().await;
    until("the command goes on", || depth(&control, &of) == Depth::Awake).await;
}

#[tokio::test(start_paused = true)]
async fn a_frozen_one_that_cannot_be_stopped_runs_on() {
    let (bench, control, of, _) = launched().await;
    let handle = control.find(&of).unwrap();
    handle.freeze().await.unwrap();
    bench.fake.fail(Call::Stop, 4, false);
    handle.stop().await.unwrap();
    until("it is given up", || handle.view().failure().is_some()).await;
    until("it is awake", || depth(&control, &of) == Depth::Awake).await;
    assert!(bench.fake.all().iter().all(|body| body.running && body.frozen.is_none()));
    assert!(handle.view().failure().unwrap().contains("could not be stopped"));
}

/// On a busy machine it began after the next look, and could not in a frozen one.
#[tokio::test(start_paused = true)]
async fn a_command_that_begins_a_second_after_it_was_announced_finds_it_awake() {
    let (bench, control, of, _) = launched().await;
    let body = body(&control, &of);
    for asleep in [true, false] {
        until("it is asleep", || depth(&control, &of) == Depth::Frozen).await;
        if !asleep {
            control.find(&of).unwrap().thaw().await.unwrap();
        }
        bench.fake.announce_exec(&body);
        until("it is awake", || depth(&control, &of) == Depth::Awake).await;
        tokio::time::sleep(SECOND).await;
        assert_eq!(depth(&control, &of), Depth::Awake, "asleep: {asleep}");
    }
}

/// Of reports that said the same, one in ten seconds was taken, and the time counted from that one.
#[tokio::test(start_paused = true)]
async fn a_report_that_counts_for_a_time_counts_from_the_last_one() {
    let mut bench = Bench::inline();
    bench.policy.freeze_after = FreezeAfter::After(SECOND);
    bench.policy.check_in_ttl = Some(8 * SECOND);
    let control = bench.launch().await;
    let view = create(&control).await;
    for _ in 0..10 {
        control.check_in(IpAddr::V4(view.container.address), "1");
        for _ in 0..7 {
            tokio::time::sleep(SECOND).await;
            assert_eq!(depth(&control, &id(&view)), Depth::Awake);
        }
    }
    until("it reports no more", || depth(&control, &id(&view)) == Depth::Frozen).await;
}
