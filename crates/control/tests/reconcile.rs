//! What happens behind our back, while the engine is away, and while we are.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, INSTANCE, connect, create, id, status, until};
use engine::Engine;
use engine::fake::Call;
use model::{EngineId, Reach, Status};
use std::time::Duration;

fn body(view: &control::View) -> EngineId {
    view.container.engine_id.clone().unwrap()
}

#[tokio::test]
async fn what_others_do_to_it_is_seen() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    let (id, body) = (id(&view), body(&view));
    bench.fake.stop_by_hand(&body);
    until("stopped by hand", || status(&control, &id) == Status::Stopped).await;
    assert_eq!(control.find(&id).unwrap().view().failure(), None);
    bench.fake.start_by_hand(&body);
    until("started by hand", || status(&control, &id) == Status::Running).await;
    bench.fake.rename(&body, "/another");
    until("renamed", || control.find("another").is_ok()).await;
    bench.fake.exit(&body, 3);
    until("ended by itself", || status(&control, &id) == Status::Stopped).await;
    assert!(control.find(&id).unwrap().view().failure().unwrap().contains("exit code 3"));
}

/// As `docker restart` does: it is over before anybody looked.
#[tokio::test]
async fn a_restart_by_hand_makes_no_later_end_somebody_s_wish() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    bench.fake.stop_by_hand(&body(&view));
    bench.fake.start_by_hand(&body(&view));
    bench.fake.rename(&body(&view), "/told");
    until("all of it was told", || handle.view().container.name == "/told").await;
    bench.fake.exit(&body(&view), 3);
    until("it ended", || status(&control, &id(&view)) == Status::Stopped).await;
    assert!(handle.view().failure().is_some_and(|failure| failure.contains("exit code 3")));
}

#[tokio::test]
async fn a_body_that_the_engine_lost_is_said_and_the_container_is_its_owners_until_deleted() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    bench.fake.remove_by_hand(&body(&view));
    let handle = control.find(&id(&view)).unwrap();
    until("it shows", || status(&control, &id(&view)) == Status::Stopped).await;
    assert!(handle.view().failure().unwrap().contains(&view.container.name[1..]), "it is named");
    let starts = || bench.fake.calls().iter().filter(|(call, _)| *call == Call::Start).count();
    let before = starts();
    let error = handle.start().await.unwrap_err().to_string();
    assert!(error.contains("DELETE it and create a new one"), "{error}");
    assert_eq!(starts(), before, "the engine is not asked in vain");
    let refused = [(50_000, Reach::Refuse), (50_001, Reach::Refuse)];
    assert_eq!(bench.ports.all(), refused.into(), "its ports stay its own");
    let target = bench.ports.target(50_001);
    target.wake(&connect(&target)).await.unwrap_err();
    assert_eq!(starts(), before, "no connection has it asked in vain either");
    control.shut_down().await;
    let again = bench.launch().await;
    assert_eq!(again.list().len(), 1);
    again.find(&id(&view)).unwrap().delete().await.unwrap();
    assert!(again.list().is_empty());
    until("its ports are free", || bench.ports.all().is_empty()).await;
}

#[tokio::test]
async fn lost_events_are_made_good_by_the_next_subscription_and_by_an_audit() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    bench.fake.set_away(true);
    until("the engine is missed", || !control.is_ready()).await;
    assert_eq!(control.list().len(), 1, "reads go on");
    assert!(control.audit().await.unwrap_err().is_unreachable());
    bench.fake.exit(&body(&view), 1);
    assert_eq!(status(&control, &id(&view)), Status::Running, "nothing is concluded while it is away");
    bench.fake.set_away(false);
    until("it is seen after all", || control.is_ready() && status(&control, &id(&view)) == Status::Stopped)
        .await;

    bench.fake.fail(Call::Events, 1_000_000, false);
    bench.fake.break_events();
    until("the events are missed", || !control.is_ready()).await;
    bench.fake.start_by_hand(&body(&view));
    let audited = control.audit().await.unwrap();
    assert_eq!(audited[0].container.phase.status(), Status::Running);
}

/// Its events stand, and it does not answer.
#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_is_not_ready() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(control.is_ready());
    bench.fake.slow(Call::Ping, Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(!control.is_ready());
    bench.fake.slow(Call::Ping, Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(control.is_ready());
}

#[tokio::test]
async fn a_restart_takes_up_what_the_engine_did_meanwhile() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let (ended, removed, kept) = (create(&control).await, create(&control).await, create(&control).await);
    control.shut_down().await;
    bench.fake.exit(&body(&ended), 0);
    bench.fake.remove_by_hand(&body(&removed));
    let again = bench.launch().await;
    assert_eq!(again.list().len(), 3);
    for (view, expected) in [(&ended, Status::Stopped), (&removed, Status::Stopped), (&kept, Status::Running)]
    {
        assert_eq!(status(&again, &id(view)), expected);
    }
    assert_eq!(again.find(&id(&kept)).unwrap().view().container.endpoints, kept.container.endpoints);
}

#[tokio::test]
async fn a_create_cut_off_by_a_crash_is_removed_and_never_anybody_elses_container() {
    let bench = Bench::new();
    let control = bench.launch().await;
    bench.fake.slow(Call::Start, Duration::from_secs(600));
    let creating = tokio::spawn({
        let control = control.clone();
        async move { control.create(control::CreateRequest { image: "image".into(), ..Default::default() }).await }
    });
    until("its body is made", || bench.fake.bodies().len() == 1).await;
    control.shut_down().await;
    assert!(creating.await.unwrap().is_err());
    let stranger = bench.fake.add_stranger(INSTANCE, "somebody", "k");
    let copy = bench.fake.add_stranger(INSTANCE, "somebody", "a-copied-key");
    let other_instance = bench.fake.add_stranger("another", "somebody", "k");
    let again = bench.launch().await;
    until("the half-made one is removed", || bench.fake.bodies().len() == 3).await;
    assert!(again.list().is_empty());
    let left: Vec<_> = bench.fake.bodies().into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, [stranger, copy, other_instance]);
}

#[tokio::test]
async fn a_changed_subnet_is_refused_while_containers_have_addresses_in_the_old_one() {
    let bench = Bench::new();
    let control = bench.launch().await;
    create(&control).await;
    control.shut_down().await;
    let mut parts = bench.parts();
    parts.settings.subnet = Some("10.77.0.0/24".parse().unwrap());
    let error = control::Control::launch(parts).await.err().unwrap().to_string();
    assert!(
        error.contains("10.77.0.0/24") && error.contains("10.9.0.0/24") && error.contains("1 containers"),
        "{error}"
    );
}

/// An image that trusts whoever connects does so because it was told that only this host's users do.
#[tokio::test]
async fn endpoints_are_not_opened_while_containers_were_told_that_they_are_on_loopback() {
    let bench = Bench::new();
    let opened = || {
        let mut parts = bench.parts();
        parts.settings.on_loopback = false;
        control::Control::launch(parts)
    };
    let control = bench.launch().await;
    let view = create(&control).await;
    control.shut_down().await;
    let error = opened().await.err().unwrap().to_string();
    assert!(error.contains("`endpoint_address`") && error.contains("1 containers"), "{error}");
    let again = bench.launch().await;
    again.find(&id(&view)).unwrap().delete().await.unwrap();
    until("it is gone", || bench.ports.all().is_empty()).await;
    again.shut_down().await;
    opened().await.unwrap().shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_at_the_start_is_made_up_for() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    control.shut_down().await;
    bench.fake.fail(Call::Inspect, 3, false);
    let again = bench.launch().await;
    until("its ports forward again", || bench.ports.all()[&50_000] == model::Reach::Forward).await;
    assert_eq!(status(&again, &id(&view)), Status::Running);
}

#[tokio::test(start_paused = true)]
async fn what_happens_during_a_call_of_ours_is_seen_after_it() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    bench.fake.slow(Call::Stop, Duration::from_secs(2));
    handle.stop().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.fake.remove_by_hand(&body(&view));
    until("it is known to be lost", || {
        handle.view().failure().is_some_and(|failure| failure.contains("removed it"))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_call_did_all_the_same_is_seen() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    handle.stop().await.unwrap();
    until("it is stopped", || status(&control, &id(&view)) == Status::Stopped).await;
    bench.fake.fail(Call::Events, 1_000_000, false);
    bench.fake.break_events();
    bench.fake.fail(Call::Start, 1, true);
    handle.start().await.unwrap_err();
    until("it runs", || status(&control, &id(&view)) == Status::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_the_engine_makes_after_its_create_was_cut_off_is_removed() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    create(&control).await;
    let owner = engine::Engine::list(&bench.fake, INSTANCE).await.unwrap()[0].owner.clone();
    bench.fake.slow(Call::Create, Duration::from_secs(600));
    let creates = || bench.fake.calls().into_iter().filter(|(call, _)| *call == Call::Create);
    let creating = tokio::spawn({
        let control = control.clone();
        async move { control.create(control::CreateRequest { image: "image".into(), ..Default::default() }).await }
    });
    until("the engine was asked", || creates().count() == 2).await;
    control.shut_down().await;
    assert!(creating.await.unwrap().is_err());
    let again = bench.launch().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let key = creates().nth(1).unwrap().1;
    bench.fake.add_stranger(INSTANCE, &owner, &key);
    until("it is removed", || bench.fake.bodies().len() == 1).await;
    until("its ports are given back", || bench.ports.all().len() == 2).await;
    assert_eq!(again.list().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_comes_before_the_first_look_has_the_engine_to_itself() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    control.shut_down().await;
    bench.fake.fail(Call::Inspect, 1, false);
    let again = bench.launch().await;
    bench.fake.slow(Call::Stop, Duration::from_secs(5));
    again.find(&id(&view)).unwrap().stop().await.unwrap();
    until("it is stopped", || status(&again, &id(&view)) == Status::Stopped).await;
    let stops = bench.fake.calls().iter().filter(|(call, _)| *call == Call::Stop).count();
    assert_eq!(stops, 1);
}

#[tokio::test]
async fn a_network_that_was_pruned_is_made_again_under_a_container_that_names_the_old_one() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    let handle = control.find(&id(&view)).unwrap();
    handle.stop().await.unwrap();
    until("it is stopped", || status(&control, &id(&view)) == Status::Stopped).await;
    let before = control.network();
    bench.fake.remove_network(&before.name).await.unwrap();
    handle.start().await.unwrap();
    let after = control.network();
    assert_ne!(before.id, after.id);
    assert_eq!((before.name, before.subnet), (after.name, after.subnet));
    create(&control).await;
}

#[tokio::test]
async fn whoever_ends_it_while_nobody_looks_is_not_said_to_be_its_owner() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    bench.fake.fail(Call::Inspect, 1_000_000, false);
    bench.fake.stop_by_hand(&body(&view));
    bench.fake.set_away(true);
    until("the engine is missed", || !control.is_ready()).await;
    bench.fake.fail(Call::Inspect, 0, false);
    bench.fake.set_away(false);
    until("it is seen", || status(&control, &id(&view)) == Status::Stopped).await;
    let failure = control.find(&id(&view)).unwrap().view().failure().unwrap();
    assert!(failure.contains("while spin-docker or the engine was away"), "{failure}");
}

#[tokio::test]
async fn a_start_while_the_engine_is_away_is_refused_and_changes_nothing_and_a_stop_is_done_when_it_is_back()
{
    let bench = Bench::new();
    let control = bench.launch().await;
    let (sleeps, runs) = (create(&control).await, create(&control).await);
    let (sleeper, runner) = (control.find(&id(&sleeps)).unwrap(), control.find(&id(&runs)).unwrap());
    sleeper.stop().await.unwrap();
    until("it is stopped", || status(&control, &id(&sleeps)) == Status::Stopped).await;
    bench.fake.set_away(true);
    until("the engine is missed", || !control.is_ready()).await;
    let error = sleeper.start().await.unwrap_err();
    assert!(matches!(error, control::CommandError::EngineAway), "{error:?}");
    assert_eq!((status(&control, &id(&sleeps)), sleeper.view().failure()), (Status::Stopped, None));
    runner.stop().await.unwrap();
    bench.fake.set_away(false);
    until("it is stopped, as was asked", || status(&control, &id(&runs)) == Status::Stopped).await;
    assert_eq!(runner.view().failure(), None);
}

#[tokio::test]
async fn what_a_list_says_spares_an_inspect_unless_it_is_news() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let views =
        [create(&control).await, create(&control).await, create(&control).await, create(&control).await];
    let [same, renamed, stopped, asleep] = &views;
    control.find(&id(asleep)).unwrap().stop().await.unwrap();
    until("it sleeps", || status(&control, &id(asleep)) == Status::Stopped).await;
    control.shut_down().await;
    bench.fake.rename(&body(renamed), "/other");
    bench.fake.stop_by_hand(&body(stopped));
    let before = bench.fake.calls().len();
    let again = bench.launch().await;
    let inspected = || {
        let calls = bench.fake.calls().into_iter().skip(before);
        let mut inspected: Vec<_> =
            calls.filter(|(call, _)| *call == Call::Inspect).map(|(_, of)| of).collect();
        inspected.sort();
        inspected
    };
    let mut news = [body(renamed), body(stopped)].map(|body| body.as_str().to_owned());
    news.sort();
    assert_eq!(inspected(), news);
    let now = |view: &control::View| status(&again, &id(view));
    let statuses = [now(same), now(renamed), now(stopped), now(asleep)];
    assert_eq!(statuses, [Status::Running, Status::Running, Status::Stopped, Status::Stopped]);
    assert_eq!(id(&again.find("other").unwrap().view()), id(renamed));
    assert!(again.find(&renamed.container.name).is_err(), "it has no other name any more");

    again.find(&id(asleep)).unwrap().start().await.unwrap();
    bench.fake.exit(&body(same), 3);
    until("its end is seen", || now(same) == Status::Stopped).await;
    assert!(again.find(&id(same)).unwrap().view().failure().unwrap().contains("exit code 3"));
}
