//! A container's life under the control: commands, faults of the engine, and what is left when they fail.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, create, id, status, until};
use control::store::{Change, Contents};
use control::{CommandError, CreateError, CreateRequest, StoreError};
use engine::fake::Call;
use model::{Reach, Status};
use std::time::Duration;

#[tokio::test]
async fn a_create_answers_with_it_running_and_its_ports_open() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    assert_eq!(view.container.phase.status(), Status::Running);
    assert_eq!(
        (view.container.ssh_host_port(), view.container.app_host_port()),
        (Some(50_000), Some(50_001))
    );
    assert_eq!(bench.ports.all(), [(50_000, Reach::Forward), (50_001, Reach::Forward)].into());
    assert_eq!(bench.ports.target(50_001).address.to_string(), format!("{}:8000", view.container.address));
    assert_eq!(control.list().len(), 1);
    assert_eq!(create(&control).await.container.app_host_port(), Some(50_003));
}

#[tokio::test]
async fn the_environment_that_a_create_brings_is_handed_to_the_engine_and_kept_nowhere_else() {
    const SECRET: &str = "correct-horse-battery-staple";
    let bench = Bench::new();
    let control = bench.launch().await;
    let env = vec![format!("PASSWORD={SECRET}")];
    let request = CreateRequest { image: "image".into(), env: env.clone(), ..Default::default() };
    let view = control.create(request).await.unwrap();
    let body = view.container.engine_id.clone().unwrap();
    assert!(env.iter().all(|given| bench.fake.env_of(&body).contains(given)));
    let found = |text: &str| {
        let files = std::fs::read_dir(bench.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let contents = files.map(|file| std::fs::read(file).unwrap());
        contents.filter(|content| String::from_utf8_lossy(content).contains(text)).count()
    };
    // Of what is kept, the files are seen to tell.
    assert!(found(&id(&view)) > 0 && found(SECRET) == 0, "while it runs");
    control.find(&id(&view)).unwrap().stop().await.unwrap();
    until("it is stopped", || status(&control, &id(&view)) == Status::Stopped).await;
    assert!(found(&id(&view)) > 0 && found(SECRET) == 0, "stopped");
    control.shut_down().await;
    assert!(found(&id(&view)) > 0 && found(SECRET) == 0, "at the end");
}

#[tokio::test]
async fn ports_refuse_while_it_sleeps_and_hold_while_it_starts() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    assert_eq!(handle.stop().await.unwrap().container.phase.status(), Status::Stopping);
    until("it is stopped", || status(&control, &id(&view)) == Status::Stopped).await;
    assert_eq!(bench.ports.all()[&50_001], Reach::Refuse);
    bench.fake.slow(Call::Start, Duration::from_millis(200));
    let starting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.start().await }
    });
    until("it is starting", || status(&control, &id(&view)) == Status::Starting).await;
    assert_eq!(bench.ports.all()[&50_001], Reach::Hold, "nothing may be sent to its address yet");
    assert_eq!(starting.await.unwrap().unwrap().container.phase.status(), Status::Running);
    assert_eq!(bench.ports.all()[&50_001], Reach::Forward);
}

#[tokio::test]
async fn a_create_that_fails_leaves_nothing_behind() {
    for (call, done) in
        [(Call::Create, false), (Call::Create, true), (Call::Start, false), (Call::Start, true)]
    {
        let bench = Bench::new();
        let control = bench.launch().await;
        bench.fake.fail(call, 1, done);
        let error =
            control.create(CreateRequest { image: "image".into(), ..Default::default() }).await.unwrap_err();
        assert!(matches!(error, CreateError::Failed(_)), "{call:?}: {error:?}");
        until("its ports are given back", || bench.ports.all().is_empty()).await;
        until("it is known no more", || control.list().is_empty()).await;
        until("its body is removed", || bench.fake.bodies().is_empty()).await;
        control.shut_down().await;
        drop(control);
        let again = bench.launch().await;
        until("nothing is left after a restart", || {
            bench.fake.bodies().is_empty() && again.list().is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_asked_for_wrongly_asks_nothing_of_the_engine() {
    let bench = Bench::new();
    bench.fake.add_image("silent", model::Image::default());
    let control = bench.launch().await;
    let create = async |image: &str| {
        control.create(CreateRequest { image: image.into(), ..Default::default() }).await.unwrap_err()
    };
    assert!(matches!(create(" ").await, CreateError::Blank));
    assert!(matches!(create("nowhere").await, CreateError::ImageNotFound(_)));
    assert!(matches!(create("silent").await, CreateError::NoPorts));
    let exposed = (1..=33).map(model::PortSpec::tcp).collect();
    bench.fake.add_image("wide", model::Image { exposed, ..Default::default() });
    let error = create("wide").await.to_string();
    assert_eq!(error, "Image wide exposes 33 TCP ports; at most 32 are forwarded");
    assert!(bench.fake.bodies().is_empty() && bench.ports.all().is_empty());
}

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
async fn a_delete_takes_it_off_the_list_at_once_and_off_the_engine_for_good() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    bench.fake.fail(Call::Remove, 2, false);
    bench.fake.slow(Call::Stop, Duration::from_millis(50));
    let handle = control.find(&id(&view)).unwrap();
    handle.delete().await.unwrap();
    assert!(control.list().is_empty());
    assert!(control.find(&id(&view)).is_err());
    until("the engine let go of it", || bench.fake.bodies().is_empty()).await;
    until("its ports are free", || bench.ports.all().is_empty()).await;
    assert!(matches!(handle.start().await, Err(CommandError::Gone(_))));
    let next = create(&control).await;
    assert!(next.container.host_ports().all(|port| port > 50_001), "its ports rest");
    assert_ne!(next.container.address, view.container.address, "its address rests");
}

#[tokio::test]
async fn a_used_up_range_says_its_arithmetic_and_takes_nothing() {
    let bench = Bench { range: 50_000..=50_002, ..Bench::new() };
    let control = bench.launch().await;
    create(&control).await;
    let error =
        control.create(CreateRequest { image: "image".into(), ..Default::default() }).await.unwrap_err();
    let CreateError::Ledger(error) = error else { panic!("{error:?}") };
    assert!(error.to_string().contains("50000-50002 holds 3: 2 in use, "), "{error}");
    assert!(error.retry_after().is_some());
    assert_eq!(bench.fake.bodies().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_another_program_took_is_said_and_taken_again() {
    let bench = Bench::new();
    bench.ports.hold_by_another(50_000, true);
    let control = bench.launch().await;
    let view = create(&control).await;
    assert_eq!(view.container.ssh_host_port(), Some(50_001), "a new one passes it over");
    control.shut_down().await;
    control::Endpoints::release(&bench.ports, 50_002);
    bench.ports.hold_by_another(50_002, true);
    let again = bench.launch().await;
    let handle = again.find(&id(&view)).unwrap();
    assert!(handle.view().failure().unwrap().contains("50002"));
    bench.ports.hold_by_another(50_002, false);
    // However busy its supervisor is meanwhile.
    let begun = tokio::time::Instant::now();
    for value in ["1", "2"].into_iter().cycle().take_while(|_| handle.view().failure().is_some()) {
        assert!(begun.elapsed() < Duration::from_secs(3), "it is taken again");
        again.check_in(view.container.address.into(), value);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.ports.all()[&50_002], Reach::Forward);
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

#[tokio::test]
async fn connections_are_held_until_the_image_says_that_its_application_can_serve() {
    let bench = Bench::new();
    let labels = [("spin-docker.ready".to_owned(), "can you?".to_owned())].into();
    let exposed = vec![model::PortSpec::tcp(8000)];
    bench
        .fake
        .add_image("image", model::Image { id: String::new(), exposed, labels, ..model::Image::default() });
    bench.fake.exit_commands_with(1);
    let control = bench.launch().await;
    let view = create(&control).await;
    assert_eq!(view.container.phase.status(), Status::Running);
    until("it was asked", || bench.fake.calls().contains(&(Call::Exec, "sh -c can you?".to_owned()))).await;
    assert_eq!(bench.ports.all()[&50_000], Reach::Hold);
    let asked = || bench.fake.calls().iter().filter(|(call, _)| *call == Call::Exec).count();
    let before = asked();
    bench.fake.fail(Call::Exec, 2, false);
    until("an engine that fails is asked again", || asked() > before + 3).await;
    assert_eq!(bench.ports.all()[&50_000], Reach::Hold);
    bench.fake.exit_commands_with(0);
    until("connections go through", || bench.ports.all()[&50_000] == Reach::Forward).await;
    until("and nothing else is said", || control.find(&id(&view)).unwrap().view().failure().is_none()).await;
    control.shut_down().await;
    let again = bench.launch().await;
    assert_eq!(status(&again, &id(&view)), Status::Running);
    until("one that runs already is not asked again", || bench.ports.all()[&50_000] == Reach::Forward).await;
}

/// It is taken when the application becomes ready, before the second after which it is tried again.
#[tokio::test(start_paused = true)]
async fn a_port_that_is_there_again_when_the_application_is_ready_is_not_said_to_be_missing() {
    let bench = Bench::inline();
    let labels = [("spin-docker.ready".to_owned(), "can you?".to_owned())].into();
    let exposed = vec![model::PortSpec::tcp(8000)];
    bench
        .fake
        .add_image("image", model::Image { id: String::new(), exposed, labels, ..model::Image::default() });
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    handle.stop().await.unwrap();
    until("it is stopped", || status(&control, &id(&view)) == Status::Stopped).await;
    control::Endpoints::release(&bench.ports, 50_000);
    bench.ports.hold_by_another(50_000, true);
    bench.fake.slow(Call::Exec, Duration::from_millis(100));
    handle.start().await.unwrap();
    assert!(handle.view().failure().is_some(), "somebody else holds it");
    bench.ports.hold_by_another(50_000, false);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(bench.ports.all()[&50_000], Reach::Forward);
    assert_eq!(handle.view().failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_end_cannot_be_saved_is_undone_and_not_acknowledged() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    bench.fake.slow(Call::Start, Duration::from_secs(5));
    let creating = tokio::spawn({
        let control = control.clone();
        async move { control.create(CreateRequest { image: "image".into(), ..Default::default() }).await }
    });
    until("its start is under way", || bench.fake.calls().iter().any(|(call, _)| *call == Call::Start)).await;
    bench.full.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = creating.await.unwrap().unwrap_err();
    assert!(matches!(error, CreateError::Failed(CommandError::Store(_))), "{error:?}");
    until("nothing of it is left", || bench.fake.bodies().is_empty() && bench.ports.all().is_empty()).await;
    assert!(control.list().is_empty());
}

/// A store whose last write is the one that forgets a container, as before a crash.
struct UntilForgotten {
    store: Box<dyn control::Store>,
    over: bool,
}

impl control::Store for UntilForgotten {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.store.read(mint)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if self.over {
            return Err(StoreError::Closed);
        }
        self.over = changes.iter().any(|change| matches!(change, Change::Forget(_)));
        self.store.commit(changes)
    }

    fn events(&mut self, wanted: &control::Wanted) -> Result<Vec<model::Event>, StoreError> {
        self.store.events(wanted)
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_deleted_container_had_rests_after_a_crash_too() {
    let bench = Bench { range: 50_000..=50_003, ..Bench::inline() };
    let parts = bench.parts();
    let store = UntilForgotten { store: parts.store, over: false };
    let control = control::Control::launch(control::Parts { store: Box::new(store), ..parts }).await.unwrap();
    let view = create(&control).await;
    control.find(&id(&view)).unwrap().delete().await.unwrap();
    until("its ports are free", || bench.ports.all().is_empty()).await;
    control.shut_down().await;
    let again = bench.launch().await;
    create(&again).await;
    let error =
        again.create(CreateRequest { image: "image".into(), ..Default::default() }).await.unwrap_err();
    assert!(error.to_string().contains("2 in use, 2 resting"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_no_rest() {
    let bench = Bench { range: 50_000..=50_001, ..Bench::inline() };
    let control = bench.launch().await;
    let view = create(&control).await;
    control.find(&id(&view)).unwrap().delete().await.unwrap();
    until("its ports are free", || bench.ports.all().is_empty()).await;
    bench.jump(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let error =
        control.create(CreateRequest { image: "image".into(), ..Default::default() }).await.unwrap_err();
    assert!(error.to_string().contains("2 resting"), "{error}");
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

#[tokio::test]
async fn a_container_outlives_the_thread_of_whoever_asked_for_it() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let asked = std::sync::Arc::clone(&control);
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        id(&runtime.block_on(create(&asked)))
    });
    until("it was asked for", || elsewhere.is_finished()).await;
    let id = elsewhere.join().unwrap();
    control.find(&id).unwrap().stop().await.unwrap();
    until("it is stopped", || status(&control, &id) == Status::Stopped).await;
}
