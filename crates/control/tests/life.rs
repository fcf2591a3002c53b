//! A container's life under the control: its starts and stops, and the names that it goes by.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, create, id, status, until};
use control::{CommandError, Handle, View};
use engine::fake::Call;
use model::Status;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_stop_is_tried_four_times_and_then_it_runs_on_and_says_why() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    bench.fake.fail(Call::Stop, 3, false);
    handle.stop().await.unwrap();
    until("the fourth try stops it", || status(&control, &id(&view)) == Status::Stopped).await;
    handle.start().await.unwrap();
    bench.fake.fail(Call::Stop, 4, false);
    handle.stop().await.unwrap();
    until("it runs on", || status(&control, &id(&view)) == Status::Running).await;
    assert!(handle.view().failure().unwrap().contains("could not be stopped"));
    let stops = bench.fake.calls().iter().filter(|(call, _)| *call == Call::Stop).count();
    assert_eq!(stops, 8);
}

#[tokio::test]
async fn one_containers_slow_stop_delays_no_other() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let (slow, other) = (create(&control).await, create(&control).await);
    bench.fake.slow(Call::Stop, Duration::from_secs(600));
    control.find(&id(&slow)).unwrap().stop().await.unwrap();
    until("its stop is under way", || bench.fake.calls().iter().any(|(call, _)| *call == Call::Stop)).await;
    bench.fake.slow(Call::Stop, Duration::ZERO);
    control.find(&id(&other)).unwrap().stop().await.unwrap();
    until("the other is stopped", || status(&control, &id(&other)) == Status::Stopped).await;
    create(&control).await;
    assert_eq!(status(&control, &id(&slow)), Status::Stopping);
}

#[tokio::test]
async fn a_start_while_stopping_stops_first_and_then_starts() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    bench.fake.slow(Call::Stop, Duration::from_millis(100));
    handle.stop().await.unwrap();
    assert_eq!(handle.start().await.unwrap().container.phase.status(), Status::Running);
    let calls: Vec<_> = bench.fake.calls().into_iter().map(|(call, _)| call).collect();
    let order: Vec<_> = calls.iter().filter(|call| matches!(call, Call::Start | Call::Stop)).collect();
    assert_eq!(order, [&Call::Start, &Call::Stop, &Call::Start]);
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_a_command_is_refused_and_does_nothing() {
    for command in COMMANDS {
        let bench = Bench::inline();
        let control = bench.launch().await;
        let view = create(&control).await;
        let handle = control.find(&id(&view)).unwrap();
        if command == Call::Start {
            handle.stop().await.unwrap();
            until("it is stopped", || status(&control, &id(&view)) == Status::Stopped).await;
        }
        let changes = || bench.fake.calls().iter().filter(|(call, _)| COMMANDS.contains(call)).count();
        let state = || (handle.view().container.phase.clone(), changes(), bench.fake.bodies());
        let before = state();
        bench.full.store(true, Ordering::Relaxed);
        let error = give(command, &handle).await.unwrap_err();
        assert!(matches!(&error, CommandError::Store(why) if why.is_full()), "{command:?}: {error:?}");
        // Whatever was begun all the same is done by then.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(state(), before, "{command:?}");
        assert!(control.find(&id(&view)).is_ok(), "{command:?}");
        bench.full.store(false, Ordering::Relaxed);
        give(command, &handle).await.unwrap();
        until("it is done", || changes() > before.1).await;
    }
}

/// By what each has the engine do.
const COMMANDS: [Call; 3] = [Call::Start, Call::Stop, Call::Remove];

async fn give(command: Call, handle: &Handle) -> Result<Arc<View>, CommandError> {
    match command {
        Call::Start => handle.start().await,
        Call::Stop => handle.stop().await,
        _ => handle.delete().await,
    }
}

#[tokio::test]
async fn a_stop_while_starting_overtakes_the_start() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    handle.stop().await.unwrap();
    until("it is stopped", || status(&control, &id(&view)) == Status::Stopped).await;
    bench.fake.slow(Call::Start, Duration::from_millis(100));
    let starting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.start().await }
    });
    until("it is starting", || status(&control, &id(&view)) == Status::Starting).await;
    handle.stop().await.unwrap();
    assert!(matches!(starting.await.unwrap(), Err(CommandError::Overtaken)));
    until("it is stopped again", || status(&control, &id(&view)) == Status::Stopped).await;
}

#[tokio::test]
async fn starts_share_one_bound() {
    let bench = Bench::new();
    let control = bench.launch().await;
    bench.fake.slow(Call::Start, Duration::from_millis(300));
    let creates: Vec<_> = (0..6)
        .map(|_| {
            let control = control.clone();
            tokio::spawn(async move { create(&control).await })
        })
        .collect();
    let starts = || bench.fake.calls().iter().filter(|(call, _)| *call == Call::Start).count();
    until("two starts are under way", || starts() == 2).await;
    until("the rest have been made", || bench.fake.bodies().len() == 6).await;
    assert_eq!(starts(), 2, "and no more");
    for create in creates {
        assert_eq!(create.await.unwrap().container.phase.status(), Status::Running);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_while_the_program_ends_is_not_told_that_the_container_is_gone() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    control.shut_down().await;
    assert!(matches!(handle.stop().await, Err(CommandError::Ending)));
}

#[tokio::test(start_paused = true)]
async fn as_a_host_a_container_goes_by_its_short_id_or_its_name_and_the_oldest_has_a_shared_one() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let first = create(&control).await;
    let found = |label: &str| control.find_by_label(label).map(|handle| id(&handle.view()));
    let older = id(&first);
    assert_eq!(found(&older[..12]).as_ref(), Some(&older));
    assert_eq!((found(&older[..11]), found(&older[..13]), found("no-such")), (None, None, None));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = create(&control).await;
    for (view, name) in [(&second, "/My.App"), (&first, "/my_app")] {
        bench.fake.rename(view.container.engine_id.as_ref().unwrap(), name);
        until("the name is known", || control.find(name).is_ok()).await;
    }
    assert_eq!(found("my-app").as_ref(), Some(&older), "the older one has it, whoever was called so first");
    control.find("my_app").unwrap().delete().await.unwrap();
    assert_eq!(found("my-app"), Some(id(&second)), "a deleted one is reached no more");
}
