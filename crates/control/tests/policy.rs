//! What owners say of their containers' policies, and deletion where they asked for it, on a paused clock.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, create, depth, id, until};
use control::{Control, CreateRequest, View};
use model::{Amendment, Depth, Image, PortSpec, Said, Term, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

const PEER: ([u8; 4], u16) = ([127, 0, 0, 1], 5123);

fn amendment(terms: &[(Term, &str)]) -> Amendment {
    let mut amendment = Amendment::default();
    terms.iter().for_each(|(term, text)| amendment.say(*term, text).unwrap());
    amendment
}

fn said(terms: &[(Term, &str)]) -> Said {
    amendment(terms).alone()
}

async fn create_under(control: &Arc<Control>, policy: &[(Term, &str)]) -> Arc<View> {
    let request = CreateRequest { image: "image".into(), policy: said(policy), ..Default::default() };
    control.create(request).await.unwrap()
}

fn due(control: &Control, view: &View) -> Option<Duration> {
    let shown = control.find(&id(view)).unwrap().view();
    match &shown.container.phase {
        model::Phase::Running { looks, .. } => looks.map(|looks| looks.next.since(view.container.created_at)),
        _ => None,
    }
}

/// How long until it is on no list any more.
async fn deleted(control: &Control, view: &View, at_most: Duration) -> Duration {
    let begun = tokio::time::Instant::now();
    while control.find(&id(view)).is_ok() {
        assert!(begun.elapsed() <= at_most, "it was never deleted");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    begun.elapsed()
}

fn is_about(took: Duration, wanted: Duration) {
    let slack = Duration::from_secs(2);
    assert!(took + slack >= wanted && took <= wanted + slack, "{took:?} is not about {wanted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_wins_over_the_image_and_the_image_over_the_settings() {
    let bench = Bench::inline();
    let label = |term: Term, text: &str| (format!("spin-docker.{}", term.name()), text.to_owned());
    let labels = [label(Term::InitialTimeoutInterval, "1h"), label(Term::TimeoutInterval, "5m")];
    bench.fake.add_image(
        "image",
        Image { exposed: vec![PortSpec::tcp(80)], labels: labels.into(), ..Image::default() },
    );
    let control = bench.launch().await;
    let by_image = create(&control).await;
    let by_request = create_under(&control, &[(Term::InitialTimeoutInterval, "10m")]).await;
    assert_eq!(due(&control, &by_image), Some(HOUR));
    assert_eq!(due(&control, &by_request), Some(HOUR / 6));
    assert_eq!(by_request.policy.timeout_interval, HOUR / 12);
    assert_eq!(by_request.policy.owed_for, bench.policy.owed_for, "of the rest the settings speak");
    control
        .set_policy(model::IdlePolicy { initial_timeout_interval: 9 * HOUR, ..bench.policy.clone() })
        .await;
    until("all are told", || control.list().iter().all(|view| view.policy.timeout_interval == HOUR / 12))
        .await;
    assert_eq!(due(&control, &by_image), Some(HOUR), "the settings do not reach what others say");
    control.shut_down().await;
    let again = bench.launch().await;
    until("they are resumed", || due(&again, &by_request) == Some(HOUR / 6)).await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_changes_the_policy_of_a_living_one_and_takes_it_back() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    tokio::time::sleep(HOUR).await;
    let shown = handle.say_policy(amendment(&[(Term::InitialTimeoutInterval, "3h")])).await.unwrap();
    assert_eq!(shown.policy.initial_timeout_interval, 3 * HOUR);
    assert_eq!(due(&control, &view), Some(3 * HOUR));
    let shown = handle.say_policy(amendment(&[(Term::DisableTimeouts, "yes")])).await.unwrap();
    assert!(shown.policy.disable_timeouts && due(&control, &view).is_none());
    let mut back = Amendment::default();
    back.take_back(Term::DisableTimeouts);
    back.take_back(Term::InitialTimeoutInterval);
    let shown = handle.say_policy(back).await.unwrap();
    assert_eq!(*shown.policy, bench.policy);
    assert_eq!(
        due(&control, &view),
        Some(3 * HOUR),
        "a first look, counted from when there were looks again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cannot_be_written_down_is_not_acknowledged_and_changes_nothing() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    let longer = || amendment(&[(Term::InitialTimeoutInterval, "3h")]);
    bench.full.store(true, Ordering::Relaxed);
    handle.say_policy(longer()).await.unwrap_err();
    assert_eq!((&*handle.view().policy, due(&control, &view)), (&bench.policy, Some(2 * HOUR)));
    bench.full.store(false, Ordering::Relaxed);
    handle.say_policy(longer()).await.unwrap();
    // Nothing that is written from here on arrives.
    bench.full.store(true, Ordering::Relaxed);
    control.shut_down().await;
    bench.full.store(false, Ordering::Relaxed);
    let again = bench.launch().await;
    until("it is resumed", || due(&again, &view) == Some(3 * HOUR)).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_expires_where_nobody_asked() {
    let mut bench = Bench::inline();
    bench.policy.disable_timeouts = true;
    let control = bench.launch().await;
    let view = create(&control).await;
    tokio::time::sleep(100 * HOUR).await;
    assert!(control.find(&id(&view)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn so_long_after_its_creation_it_is_deleted_whatever_it_does() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let (used, stopped) = (
        create_under(&control, &[(Term::ExpiresAfter, "3h")]).await,
        create_under(&control, &[(Term::ExpiresAfter, "4h")]).await,
    );
    let _open = bench.ports.target(used.container.app_host_port().unwrap()).traffic.open(PEER.into(), 80);
    control.find(&id(&stopped)).unwrap().stop().await.unwrap();
    is_about(deleted(&control, &used, 4 * HOUR).await, 3 * HOUR);
    is_about(deleted(&control, &stopped, 4 * HOUR).await, HOUR);
    until("the engine let go of both", || bench.fake.bodies().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn so_long_after_its_last_use_it_is_deleted_and_a_use_that_nobody_recorded_postpones_it() {
    let mut bench = Bench::inline();
    bench.policy.disable_timeouts = true;
    let control = bench.launch().await;
    let view = create_under(&control, &[(Term::DeleteAfterIdle, "5s")]).await;
    let traffic = bench.ports.target(view.container.app_host_port().unwrap()).traffic;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        traffic.open(PEER.into(), 80).outward(10_000);
    }
    let open = traffic.open(PEER.into(), 80);
    tokio::time::sleep(HOUR).await;
    drop(open);
    assert!(control.find(&id(&view)).is_ok(), "it was in use all the time");
    let took = deleted(&control, &view, HOUR).await;
    assert!(
        took <= Duration::from_secs(17),
        "5 s, and at most 11 s until the last use was on record: {took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_reports_use_is_not_deleted_for_disuse() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create_under(&control, &[(Term::DeleteAfterIdle, "10m")]).await;
    control.check_in(view.container.address.into(), "2");
    tokio::time::sleep(5 * HOUR).await;
    control.check_in(view.container.address.into(), "0");
    is_about(deleted(&control, &view, HOUR).await, HOUR / 6);
}

#[tokio::test(start_paused = true)]
async fn an_expiry_survives_a_restart_and_one_that_is_past_waits_a_minute() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let soon = create_under(&control, &[(Term::ExpiresAfter, "1h")]).await;
    let late = create_under(&control, &[(Term::ExpiresAfter, "3h")]).await;
    control.shut_down().await;
    bench.jump(2 * HOUR);
    let again = bench.launch().await;
    is_about(deleted(&again, &soon, HOUR).await, Duration::from_secs(60));
    is_about(deleted(&again, &late, 2 * HOUR).await, HOUR - Duration::from_secs(60));
}

/// The host came up with a clock that is years ahead, and a moment later it is set right.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_wrong_when_the_host_came_up_deletes_nothing() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let by_age = create_under(&control, &[(Term::ExpiresAfter, "2h")]).await;
    let by_disuse = create_under(&control, &[(Term::DeleteAfterIdle, "2h")]).await;
    control.find(&id(&by_disuse)).unwrap().stop().await.unwrap();
    control.shut_down().await;
    let years = i64::try_from((10 * 8_766 * HOUR).as_millis()).unwrap();
    bench.wall.fetch_add(years, Ordering::Relaxed);
    let again = bench.launch().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    bench.wall.fetch_sub(years, Ordering::Relaxed);
    tokio::time::sleep(HOUR).await;
    assert!(again.find(&id(&by_age)).is_ok() && again.find(&id(&by_disuse)).is_ok());
    is_about(deleted(&again, &by_age, 2 * HOUR).await, HOUR - Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_deletes_nothing_early() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create_under(&control, &[(Term::ExpiresAfter, "3h")]).await;
    let expires = |view: &View| view.container.expires_at(&view.policy);
    let begun: Timestamp = view.container.created_at;
    tokio::time::sleep(HOUR).await;
    bench.jump(100 * HOUR);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let shown = control.find(&id(&view)).unwrap().view();
    assert_eq!(expires(&shown).map(|at| at.since(begun)), Some(103 * HOUR), "shown as it is meant");
    is_about(deleted(&control, &view, 3 * HOUR).await, 2 * HOUR);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_put_on_a_living_one_deletes_it_and_one_that_is_taken_back_does_not() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    handle.say_policy(amendment(&[(Term::ExpiresAfter, "1h")])).await.unwrap();
    let mut back = Amendment::default();
    back.take_back(Term::ExpiresAfter);
    handle.say_policy(back).await.unwrap();
    tokio::time::sleep(4 * HOUR).await;
    handle.say_policy(amendment(&[(Term::ExpiresAfter, "1h")])).await.unwrap();
    deleted(&control, &view, Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_application_is_asked_whether_it_can_serve_under_its_policy() {
    let bench = Bench::inline();
    let labels = [("spin-docker.ready_path".to_owned(), "/up".to_owned())].into();
    let exposed = vec![PortSpec::tcp(8000)];
    bench.fake.add_image("image", Image { id: String::new(), exposed, labels, ..Image::default() });
    let control = bench.launch().await;
    for (number, switch) in ["true", "false"].into_iter().enumerate() {
        create_under(&control, &[(Term::ProxyProtocol, switch)]).await;
        until("it is asked", || bench.ports.asked().len() > number).await;
    }
    assert_eq!(bench.ports.asked(), [("/up".to_owned(), true), ("/up".to_owned(), false)]);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_its_owner_names_is_asked_for_at_each_start_from_then_on() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create_under(&control, &[(Term::ReadyPath, "/first")]).await;
    let handle = control.find(&id(&view)).unwrap();
    for path in ["/second", "off", "/third"] {
        handle.say_policy(amendment(&[(Term::ReadyPath, path)])).await.unwrap();
        handle.stop().await.unwrap();
        handle.start().await.unwrap();
    }
    until("it is asked", || bench.ports.asked().len() == 3).await;
    let asked: Vec<_> = bench.ports.asked().into_iter().map(|(path, _)| path).collect();
    assert_eq!(asked, ["/first", "/second", "/third"]);
}

/// Its last report was too old to count, so that it froze; with a policy that lets a report count for good, it is in use again.
#[tokio::test(start_paused = true)]
async fn a_report_that_counts_again_by_another_policy_thaws_what_froze_by_itself_alone() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    for by_hand in [false, true] {
        let view = create_under(&control, &[(Term::FreezeAfter, "1s"), (Term::CheckInTtl, "5s")]).await;
        let handle = control.find(&id(&view)).unwrap();
        control.check_in(view.container.address.into(), "1");
        until("it freezes", || depth(&control, &id(&view)) == Depth::Frozen).await;
        if by_hand {
            handle.freeze().await.unwrap();
        }
        handle.say_policy(amendment(&[(Term::CheckInTtl, "off")])).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let expected = if by_hand { Depth::Frozen } else { Depth::Awake };
        assert_eq!(depth(&control, &id(&view)), expected, "by hand: {by_hand}");
    }
}
