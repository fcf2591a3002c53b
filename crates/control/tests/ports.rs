//! What a container's ports do while it sleeps, starts and gets ready, and when somebody else holds one.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, create, id, status, until};
use engine::fake::Call;
use model::{Reach, Status};
use std::time::Duration;

/// Its image's application is asked whether it can serve.
fn says_when_ready(bench: &Bench) {
    let labels = [("spin-docker.ready".to_owned(), "can you?".to_owned())].into();
    let exposed = vec![model::PortSpec::tcp(8000)];
    bench.fake.add_image("image", model::Image { exposed, labels, ..model::Image::default() });
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
async fn connections_are_held_until_the_image_says_that_its_application_can_serve() {
    let bench = Bench::new();
    says_when_ready(&bench);
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

/// It is taken when the application becomes ready, before the second after which it is tried again.
#[tokio::test(start_paused = true)]
async fn a_port_that_is_there_again_when_the_application_is_ready_is_not_said_to_be_missing() {
    let bench = Bench::inline();
    says_when_ready(&bench);
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
