//! A create: what it is answered with, what it refuses, and that one which fails leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, create, id, status, until};
use control::store::{Change, Contents, Wanted};
use control::{CommandError, Control, CreateError, CreateRequest, Parts, Settings, StoreError};
use engine::fake::Call;
use model::{Event, Reach, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
async fn a_create_that_a_full_disk_refused_leaves_nothing_at_rest() {
    let bench = Bench { range: 50_000..=50_003, ..Bench::new() };
    let parts = bench.parts();
    // Of four ports each takes two, and of five addresses one.
    let settings = Settings { subnet: Some("10.77.0.0/29".parse().unwrap()), ..parts.settings };
    let control = Control::launch(Parts { settings, ..parts }).await.unwrap();
    bench.full.store(true, Ordering::Relaxed);
    for _ in 0..12 {
        let error =
            control.create(CreateRequest { image: "image".into(), ..Default::default() }).await.unwrap_err();
        assert!(matches!(&error, CreateError::Store(why) if why.is_full()), "{error:?}");
        assert!(bench.ports.all().is_empty(), "a socket is left");
    }
    bench.full.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        create(&control).await;
    }
    assert_eq!(control.list().len(), 2);
}

#[tokio::test]
async fn what_a_create_had_whose_intent_may_be_on_disk_rests() {
    let bench = Bench { range: 50_000..=50_003, ..Bench::new() };
    let parts = bench.parts();
    let unsure = Arc::new(AtomicBool::new(false));
    let store = Unsure { store: parts.store, once: Arc::clone(&unsure) };
    let control = Control::launch(Parts { store: Box::new(store), ..parts }).await.unwrap();
    unsure.store(true, Ordering::Relaxed);
    let request = || CreateRequest { image: "image".into(), ..Default::default() };
    let error = control.create(request()).await.unwrap_err();
    assert!(matches!(&error, CreateError::Store(why) if !why.is_full()), "{error:?}");
    create(&control).await;
    let error = control.create(request()).await.unwrap_err();
    assert!(error.to_string().contains("2 in use, 2 resting"), "{error}");
}

/// A store that says once of what it wrote that it could not, as where a sync fails.
struct Unsure {
    store: Box<dyn control::Store>,
    once: Arc<AtomicBool>,
}

impl control::Store for Unsure {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.store.read(mint)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.store.commit(changes)?;
        let error =
            || StoreError::Database { doing: "write to", path: "the disk".into(), source: "sync".into() };
        if self.once.swap(false, Ordering::Relaxed) { Err(error()) } else { Ok(()) }
    }

    fn events(&mut self, wanted: &Wanted) -> Result<Vec<Event>, StoreError> {
        self.store.events(wanted)
    }
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
    bench.full.store(true, Ordering::Relaxed);
    let error = creating.await.unwrap().unwrap_err();
    assert!(matches!(error, CreateError::Failed(CommandError::Store(_))), "{error:?}");
    until("nothing of it is left", || bench.fake.bodies().is_empty() && bench.ports.all().is_empty()).await;
    assert!(control.list().is_empty());
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
