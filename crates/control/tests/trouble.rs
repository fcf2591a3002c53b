//! The engine fails, hangs or falls silent at each step of a create: whoever asked is told, nothing is left behind, and the
//! ports are given back. The clock is paused: it jumps to the next deadline whenever nothing else is left to do.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, create, until};
use control::{Control, CreateError, CreateRequest, Handle};
use engine::Network;
use engine::fake::{Call, DEADLINE};
use model::{Image, PortSpec, Reach, Status};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It fails, having done nothing.
    Before,
    /// It fails, having done it.
    After,
    /// It says nothing within the deadline; a body comes a little later.
    Late,
    /// It says nothing, and does nothing.
    Never,
}

fn bring(bench: &Bench, call: Call, trouble: Trouble) {
    match trouble {
        Trouble::Before => bench.fake.fail(call, 1, false),
        Trouble::After => bench.fake.fail(call, 1, true),
        Trouble::Late => bench.fake.slow(call, DEADLINE + Duration::from_secs(40)),
        Trouble::Never => bench.fake.slow(call, Duration::from_secs(1_000_000)),
    }
}

async fn ask(control: &Arc<Control>) -> Result<(), CreateError> {
    control.create(CreateRequest { image: "image".into(), ..Default::default() }).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn trouble_at_any_step_of_a_create_is_told_and_leaves_nothing() {
    for call in [Call::Image, Call::Create, Call::Start] {
        for trouble in [Trouble::Before, Trouble::After, Trouble::Late, Trouble::Never] {
            let bench = Bench::inline();
            let control = bench.launch().await;
            bring(&bench, call, trouble);
            let begun = tokio::time::Instant::now();
            let error = ask(&control).await.unwrap_err();
            let text = control::chain(&error);
            match (call, &error) {
                (Call::Image, CreateError::Engine(_))
                | (Call::Create | Call::Start, CreateError::Failed(_)) => {}
                _ => panic!("{call:?} {trouble:?}: {error:?}"),
            }
            let expected = if begun.elapsed() < DEADLINE { "told to fail" } else { "took longer than 120 s" };
            assert!(text.contains(expected), "{call:?} {trouble:?}: {text}");
            assert!(begun.elapsed() <= DEADLINE, "{call:?} {trouble:?}: {:?}", begun.elapsed());

            until("its ports are given back", || bench.ports.all().is_empty()).await;
            until("its body is removed", || bench.fake.bodies().is_empty()).await;
            bench.fake.slow(call, Duration::ZERO);
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert!(bench.fake.bodies().is_empty() && control.list().is_empty(), "{call:?} {trouble:?}");
            create(&control).await;
            control.shut_down().await;
            drop(control);
            let again = bench.launch().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!((again.list().len(), bench.fake.bodies().len()), (1, 1), "{call:?} {trouble:?}");
        }
    }
}

/// The body that an engine makes after it fell silent is found and removed, and its ports are kept until then.
#[tokio::test(start_paused = true)]
async fn a_body_that_comes_late_is_waited_for() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    bring(&bench, Call::Create, Trouble::Late);
    ask(&control).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(39)).await;
    assert_eq!((bench.fake.bodies().len(), bench.ports.all().len()), (0, 2));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((bench.fake.bodies().len(), bench.ports.all().len()), (0, 0));
    assert!(bench.fake.calls().iter().any(|(call, _)| *call == Call::Remove), "it was there");
}

/// So it is where the daemon ended while the engine was making it.
#[tokio::test(start_paused = true)]
async fn a_body_that_comes_after_a_restart_is_waited_for() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    bring(&bench, Call::Create, Trouble::Late);
    let asked = tokio::spawn({
        let control = Arc::clone(&control);
        async move { ask(&control).await }
    });
    tokio::time::sleep(DEADLINE + Duration::from_secs(1)).await;
    asked.await.unwrap().unwrap_err();
    control.shut_down().await;
    drop(control);
    let again = bench.launch().await;
    assert!(bench.fake.bodies().is_empty(), "it is not there yet");
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert!(bench.fake.calls().iter().any(|(call, _)| *call == Call::Remove), "it came, and was removed");
    assert!(bench.fake.bodies().is_empty() && bench.ports.all().is_empty() && again.list().is_empty());
}

/// Whether an application can serve is asked of the engine: one that never answers holds connections no longer than 30 s.
#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_say_whether_an_application_can_serve_is_asked_no_longer_than_30_s() {
    for trouble in [Trouble::Before, Trouble::Never] {
        let bench = Bench::inline();
        let labels = [("spin-docker.ready".to_owned(), "can you?".to_owned())].into();
        let exposed = vec![PortSpec::tcp(8000)];
        bench.fake.add_image("image", Image { id: String::new(), exposed, labels, ..Image::default() });
        let control = bench.launch().await;
        bring(&bench, Call::Exec, trouble);
        create(&control).await;
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert_eq!(bench.ports.all()[&50_000], Reach::Forward, "{trouble:?}");
    }
}

/// The network is gone behind our back: the engine says so, and nothing is left.
#[tokio::test]
async fn a_create_without_the_network_is_told_and_leaves_nothing() {
    let bench = Bench::new();
    let control = bench.launch().await;
    engine::Engine::remove_network(&bench.fake, &control.network().name).await.unwrap();
    let error = ask(&control).await.unwrap_err();
    assert!(control::chain(&error).contains("network"), "{error:?}");
    until("its ports are given back", || bench.ports.all().is_empty()).await;
    assert!(bench.fake.bodies().is_empty() && control.list().is_empty());
}

/// The network is gone under a container that sleeps, and the engine fails, hangs or does it and says nothing while it is made
/// again: whoever starts the container is told, and once the engine behaves the next start brings both back.
#[tokio::test(start_paused = true)]
async fn trouble_while_a_vanished_network_comes_back_is_told_and_the_next_start_goes_well() {
    for call in [Call::Network, Call::Attach] {
        for trouble in [Trouble::Before, Trouble::After, Trouble::Never] {
            let bench = Bench::inline();
            let control = bench.launch().await;
            let (handle, before) = asleep_without_its_network(&bench, &control).await;
            bring(&bench, call, trouble);
            let begun = tokio::time::Instant::now();
            let error = handle.start().await.unwrap_err();
            let text = control::chain(&error);
            let expected = if begun.elapsed() < DEADLINE { "told to fail" } else { "took longer than 120 s" };
            assert!(text.contains(expected), "{call:?} {trouble:?}: {text}");
            assert!(begun.elapsed() <= DEADLINE, "{call:?} {trouble:?}: {:?}", begun.elapsed());
            let view = handle.view();
            assert_eq!(view.container.phase.status(), Status::Stopped, "{call:?} {trouble:?}");
            assert!(view.failure().is_some_and(|why| why.contains(expected)), "{:?}", view.failure());
            assert_eq!((bench.fake.bodies().len(), bench.ports.all().len()), (1, 2), "all of it is kept");

            bench.fake.slow(call, Duration::ZERO);
            handle.start().await.unwrap_or_else(|error| panic!("{call:?} {trouble:?}: {error}"));
            let after = control.network();
            assert_eq!((&after.name, after.subnet), (&before.name, before.subnet));
            assert_ne!(after.id, before.id, "{call:?} {trouble:?}");
            assert_eq!((handle.view().failure(), bench.ports.all()[&50_000]), (None, Reach::Forward));
        }
    }
}

async fn asleep_without_its_network(bench: &Bench, control: &Arc<Control>) -> (Handle, Network) {
    let made = create(control).await;
    let handle = control.find(&bench::id(&made)).unwrap();
    handle.stop().await.unwrap();
    until("it is stopped", || handle.view().container.phase.status() == Status::Stopped).await;
    let network = control.network();
    engine::Engine::remove_network(&bench.fake, &network.name).await.unwrap();
    (handle, network)
}
