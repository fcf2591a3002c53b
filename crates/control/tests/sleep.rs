//! Sleep and wake under the control, over the engine in memory and on a paused clock.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, connect, create, depth, id, launched, status, until};
use control::{Control, Flow, WakeError};
use engine::fake::Call;
use model::policy::FreezeAfter;
use model::{Depth, Keeper, Status, StopReason};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn it_freezes_with_connections_open_and_the_first_byte_thaws_it() {
    let (bench, control, of, target) = launched().await;
    let flow = connect(&target);
    flow.outward(5000);
    tokio::time::sleep(MINUTE - Duration::from_secs(1)).await;
    assert_eq!(depth(&control, &of), Depth::Awake);
    until("it freezes", || depth(&control, &of) == Depth::Frozen).await;
    assert!(flow.is_asleep() && status(&control, &of) == Status::Running);
    assert!(!flow.inward(1), "the byte has to wait");
    target.wake(&flow).await.unwrap();
    assert_eq!((depth(&control, &of), flow.is_asleep()), (Depth::Awake, false));
    flow.outward(1);
    let begun = tokio::time::Instant::now();
    until("a keep-alive was answered, and it freezes again", || depth(&control, &of) == Depth::Frozen).await;
    assert!(begun.elapsed() <= Duration::from_secs(1), "{:?}", begun.elapsed());
    drop(bench);
}

#[tokio::test(start_paused = true)]
async fn an_owed_answer_keeps_it_awake_for_an_hour_at_most() {
    let (_bench, control, of, target) = launched().await;
    let flow = connect(&target);
    assert!(flow.inward(20), "a long query");
    tokio::time::sleep(50 * MINUTE).await;
    assert_eq!(depth(&control, &of), Depth::Awake);
    let kept = control.find(&of).unwrap().view().kept.unwrap();
    assert_eq!(kept.by, Keeper::Owed);
    flow.outward(20);
    until("it was answered", || depth(&control, &of) == Depth::Frozen).await;
    target.wake(&flow).await.unwrap();
    assert!(flow.inward(20), "one that is never answered");
    tokio::time::sleep(50 * MINUTE).await;
    assert_eq!(depth(&control, &of), Depth::Awake);
    tokio::time::sleep(11 * MINUTE).await;
    assert_eq!(depth(&control, &of), Depth::Frozen);
}

#[tokio::test(start_paused = true)]
async fn by_default_nothing_freezes_before_somebody_came_or_the_first_look() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let (visited, other) = (create(&control).await, create(&control).await);
    let (visited, other) = (id(&visited), id(&other));
    // A person takes longer than the first thought whether it may freeze.
    tokio::time::sleep(5 * MINUTE).await;
    drop(connect(&bench.ports.target(50_001)));
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!((depth(&control, &visited), depth(&control, &other)), (Depth::Frozen, Depth::Awake));
    tokio::time::sleep(114 * MINUTE).await;
    assert_eq!(depth(&control, &other), Depth::Frozen, "its first look has passed");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_one_is_stopped_by_its_looks_and_a_connection_starts_it() {
    let (_bench, control, of, target) = launched().await;
    tokio::time::sleep(3 * 60 * MINUTE).await;
    let view = control.find(&of).unwrap().view();
    assert_eq!(view.container.phase.cause(), Some(StopReason::Idle));
    let flows: Vec<Flow> = (0..100).map(|_| connect(&target)).collect();
    let woken = futures_util::future::join_all(flows.iter().map(|flow| target.wake(flow))).await;
    assert!(woken.iter().all(Result::is_ok), "{woken:?}");
    assert_eq!(status(&control, &of), Status::Running);
}

/// Whoever came first began the start, and waits no more.
#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_waiting_for_a_start_takes_it_from_nobody_else() {
    let (bench, control, of, target) = launched().await;
    until("its looks stopped it", || status(&control, &of) == Status::Stopped).await;
    bench.fake.slow(Call::Start, Duration::from_secs(5));
    bench.fake.forget_calls();
    let waits = || {
        let target = target.clone();
        tokio::spawn(async move { target.wake(&connect(&target)).await })
    };
    let first = waits();
    until("it is being started", || status(&control, &of) == Status::Starting).await;
    let (second, third) = (waits(), waits());
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.abort();
    second.abort();
    assert!(first.await.is_err() && second.await.is_err(), "they gave up");
    let late = waits();
    for waited in [third, late] {
        assert_eq!(waited.await.unwrap(), Ok(()));
    }
    assert_eq!(status(&control, &of), Status::Running);
    let starts = bench.fake.calls().iter().filter(|(call, _)| *call == Call::Start).count();
    assert_eq!(starts, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_stopped_no_connection_starts() {
    let (_bench, control, of, target) = launched().await;
    control.find(&of).unwrap().stop().await.unwrap();
    until("it is stopped", || status(&control, &of) == Status::Stopped).await;
    assert_eq!(target.wake(&connect(&target)).await, Err(WakeError::Asleep));
}

#[tokio::test(start_paused = true)]
async fn by_hand_it_freezes_and_thaws() {
    let (_bench, control, of, target) = launched().await;
    let handle = control.find(&of).unwrap();
    let flow = connect(&target);
    assert!(flow.inward(20), "owed, which does not count against a person's word");
    assert_eq!(handle.freeze().await.unwrap().container.phase.depth(), Depth::Frozen);
    assert_eq!(handle.freeze().await.unwrap().container.phase.depth(), Depth::Frozen);
    assert_eq!(handle.thaw().await.unwrap().container.phase.depth(), Depth::Awake);
    handle.stop().await.unwrap();
    until("it is stopped", || status(&control, &of) == Status::Stopped).await;
    assert!(matches!(handle.freeze().await, Err(control::CommandError::NotRunning)));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_next_request_is_closed_before_it_freezes() {
    let (bench, control, of, target) = launched().await;
    let handle = control.find(&of).unwrap();
    handle.freeze().await.unwrap();
    assert_eq!(bench.ports.quieted(), [(50_000, 0), (50_001, 0)], "by hand");
    target.wake(&connect(&target)).await.unwrap();
    until("it freezes by itself", || depth(&control, &of) == Depth::Frozen).await;
    assert_eq!(bench.ports.quieted()[2..], [(50_000, 1), (50_001, 1)], "by itself");
}

/// The sentence of whoever asks for a freeze that comes to nothing.
async fn why_not_frozen(handle: &control::Handle) -> String {
    let error = handle.freeze().await.unwrap_err();
    assert!(matches!(error, control::CommandError::NotSo(Depth::Awake, _)), "{error:?}");
    error.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_freeze_by_hand_that_comes_to_nothing_says_why() {
    let (bench, control, of, target) = launched().await;
    let handle = control.find(&of).unwrap();
    bench.fake.fail(Call::Freeze, 1, false);
    let why = why_not_frozen(&handle).await;
    assert!(why.contains("the engine could not freeze it: "), "{why}");

    let flow = connect(&target);
    assert!(flow.holds(true));
    let why = why_not_frozen(&handle).await;
    assert!(why.contains("needed it meanwhile; try again in a moment"), "bytes wait for room in it: {why}");
    assert!(flow.holds(false));
    handle.freeze().await.unwrap();
    handle.thaw().await.unwrap();

    // It freezes by itself when a person says so too.
    let body = handle.view().container.engine_id.clone().unwrap();
    bench.fake.slow(Call::Freeze, Duration::from_secs(1));
    until("it is freezing", || flow.is_asleep()).await;
    let mail = engine::Socket {
        local: ([172, 18, 0, 2], 8000).into(),
        peer: None,
        kind: engine::SocketKind::Datagrams,
        unread: 5,
        last_received: None,
        last_sent: None,
    };
    bench.fake.set_sockets(&body, Some(vec![mail]));
    let why = why_not_frozen(&handle).await;
    assert!(why.contains("it has not yet read what it was sent; try again in a moment"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_woken_ever_more_seldom() {
    let (bench, control, of, target) = launched().await;
    let body = control.find(&of).unwrap().view().container.engine_id.clone().unwrap();
    let mut waits = Vec::new();
    for _ in 0..4 {
        bench.fake.exit(&body, 1);
        until("it died", || status(&control, &of) == Status::Stopped).await;
        let Err(WakeError::TooSoon { seconds, .. }) = target.wake(&connect(&target)).await else {
            panic!("it is woken too soon")
        };
        waits.push(seconds);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        target.wake(&connect(&target)).await.unwrap();
    }
    assert_eq!(waits, [1, 2, 4, 8]);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_started_is_tried_again_by_each_connection_with_the_same_pauses() {
    let (bench, control, of, target) = launched().await;
    until("its looks stopped it", || status(&control, &of) == Status::Stopped).await;
    let starts = || bench.fake.calls().iter().filter(|(call, _)| *call == Call::Start).count();
    let before = starts();
    let mut waits = Vec::new();
    for _ in 0..4 {
        bench.fake.fail(Call::Start, 1, false);
        let failed = target.wake(&connect(&target)).await;
        assert!(
            matches!(&failed, Err(WakeError::NotStarted(why)) if why.contains("told to fail")),
            "{failed:?}"
        );
        let phase = control.find(&of).unwrap().view().container.phase.clone();
        assert_eq!(phase.cause(), Some(StopReason::Failed));
        // What is left is said in whole seconds, and more than it is rather than less.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let Err(WakeError::TooSoon { seconds, .. }) = target.wake(&connect(&target)).await else {
            panic!("it is tried too soon")
        };
        waits.push(seconds);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    assert_eq!((waits, starts() - before), (vec![1, 2, 4, 8], 4));
    target.wake(&connect(&target)).await.unwrap();
    assert_eq!(status(&control, &of), Status::Running);
}

#[tokio::test(start_paused = true)]
async fn whatever_the_engine_is_about_to_do_to_it_thaws_it() {
    let (bench, control, of, _) = launched().await;
    let handle = control.find(&of).unwrap();
    let body = handle.view().container.engine_id.clone().unwrap();
    handle.freeze().await.unwrap();
    bench.fake.exec_by_hand(&body);
    until("the command runs", || depth(&control, &of) == Depth::Awake).await;
    tokio::time::sleep(10 * MINUTE).await;
    let view = handle.view();
    assert_eq!((view.container.phase.depth(), view.kept.unwrap().by), (Depth::Awake, Keeper::Exec));
    bench.fake.end_exec(&body);
    until("nothing keeps it awake", || depth(&control, &of) == Depth::Frozen).await;
    bench.fake.signal_by_hand(&body);
    until("it gets its signal", || depth(&control, &of) == Depth::Awake).await;
}

#[tokio::test(start_paused = true)]
async fn no_slow_call_of_ours_keeps_a_command_from_it() {
    let (bench, control, of, _) = launched().await;
    let handle = control.find(&of).unwrap();
    let body = handle.view().container.engine_id.clone().unwrap();
    handle.freeze().await.unwrap();
    bench.fake.slow(Call::Subnets, MINUTE);
    bench.fake.change_networks();
    bench.fake.exec_by_hand(&body);
    let begun = tokio::time::Instant::now();
    until("the command runs", || depth(&control, &of) == Depth::Awake).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn work_with_nobody_connected_keeps_it_awake() {
    let (bench, control, of, _) = launched().await;
    let handle = control.find(&of).unwrap();
    let body = handle.view().container.engine_id.clone().unwrap();
    for _ in 0..300 {
        bench.fake.use_cpu(&body, Duration::from_millis(100));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let view = handle.view();
    assert_eq!(view.container.phase.depth(), Depth::Awake);
    assert!(matches!(view.kept.unwrap().by, Keeper::Busy(_)), "{:?}", view.kept);
    until("the work is done", || depth(&control, &of) == Depth::Frozen).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_froze_is_thawed_when_the_program_ends() {
    let (bench, control, of, _) = launched().await;
    control.find(&of).unwrap().freeze().await.unwrap();
    control.shut_down().await;
    let listed = engine::Engine::list(&bench.fake, "test").await.unwrap();
    assert!(listed.iter().all(|body| body.running && body.frozen.is_none()), "{listed:?}");
}

/// One that freezes so long after its last use, and whose application says only after a while that it can serve.
async fn slow_to_serve(bench: &mut Bench, freeze_after: Duration, takes: Duration) -> (Arc<Control>, String) {
    bench.policy.freeze_after = FreezeAfter::After(freeze_after);
    let control = bench.launch().await;
    let labels = [("spin-docker.ready".to_owned(), "pg_isready".to_owned())].into();
    let exposed = vec![model::PortSpec::tcp(5432)];
    bench
        .fake
        .add_image("slow", model::Image { id: "slow".into(), exposed, labels, ..model::Image::default() });
    bench.fake.slow(Call::Exec, takes);
    let request = control::CreateRequest { image: "slow".into(), ..Default::default() };
    let of = id(&control.create(request).await.unwrap());
    (control, of)
}

/// It was not considered again once its application could serve.
#[tokio::test(start_paused = true)]
async fn one_whose_application_takes_its_time_freezes_as_any_other() {
    let mut bench = Bench::inline();
    let (control, of) = slow_to_serve(&mut bench, MINUTE, Duration::from_secs(10)).await;
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(depth(&control, &of), Depth::Frozen);
}

#[tokio::test(start_paused = true)]
async fn what_our_own_question_whether_it_can_serve_uses_is_none_of_its_work() {
    let mut bench = Bench::inline();
    bench.fake.use_cpu_by_commands(Duration::from_secs(5));
    let (control, of) = slow_to_serve(&mut bench, MINUTE / 3, Duration::from_secs(5)).await;
    tokio::time::sleep(MINUTE / 3 + Duration::from_secs(2)).await;
    assert_eq!(depth(&control, &of), Depth::Frozen);
}

/// A look that found it took the hours since for use.
#[tokio::test(start_paused = true)]
async fn a_look_at_an_open_connection_that_nobody_uses_does_not_put_its_freeze_off() {
    let mut bench = Bench::inline();
    bench.policy.freeze_after = FreezeAfter::After(180 * MINUTE);
    let control = bench.launch().await;
    let view = create(&control).await;
    let _open = connect(&bench.ports.target(50_001));
    tokio::time::sleep(181 * MINUTE).await;
    assert_eq!((depth(&control, &id(&view)), status(&control, &id(&view))), (Depth::Frozen, Status::Running));
}
