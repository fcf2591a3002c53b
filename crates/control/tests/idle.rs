//! The idle monitor under the control, on a paused clock.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, connect, create, id, status, until};
use control::Target;
use control::{Control, View};
use model::{Amendment, Status, Term, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn next_look(control: &Control, view: &View) -> Option<Timestamp> {
    match &control.find(&id(view)).unwrap().view().container.phase {
        model::Phase::Running { looks, .. } => looks.map(|looks| looks.next),
        _ => None,
    }
}

async fn stopped(control: &Arc<Control>, view: &View) -> Duration {
    let begun = tokio::time::Instant::now();
    loop {
        if status(control, &id(view)) == Status::Stopped {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < 10 * HOUR, "never stopped");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A connection that moves a page, and ends.
fn use_it(target: &Target) {
    connect(target).outward(10_000);
}

#[tokio::test(start_paused = true)]
async fn an_idle_container_is_stopped_after_two_and_a_half_hours() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let took = stopped(&control, &view).await;
    assert!((9000..=9001).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_check_in_keeps_it_running_until_it_says_nobody() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let (busy, idle) = (create(&control).await, create(&control).await);
    control.check_in(IpAddr::V4(busy.container.address), "3");
    for stranger in ["10.9.0.1", "192.0.2.1", "::1"] {
        control.check_in(stranger.parse().unwrap(), "3");
    }
    until("it shows", || control.find(&id(&busy)).unwrap().view().active() == "3").await;
    assert_eq!(control.find(&id(&idle)).unwrap().view().active(), "0");
    stopped(&control, &idle).await;
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(status(&control, &id(&busy)), Status::Running);
    control.check_in(IpAddr::V4(busy.container.address), "0");
    let took = stopped(&control, &busy).await;
    assert!(took.as_secs() <= 3602, "two looks at most: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn open_connections_and_bytes_are_use() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let target = bench.ports.target(50_001);
    let open = connect(&target);
    assert_eq!(control.find(&id(&view)).unwrap().view().active(), "1");
    tokio::time::sleep(5 * HOUR).await;
    assert_eq!(status(&control, &id(&view)), Status::Running);
    drop(open);
    for _ in 0..12 {
        tokio::time::sleep(HOUR / 4).await;
        use_it(&target);
        assert_eq!(
            control.find(&id(&view)).unwrap().view().active(),
            "1",
            "never 0 while a look would say active"
        );
    }
    assert_eq!(status(&control, &id(&view)), Status::Running);
    let took = stopped(&control, &view).await;
    assert!(took.as_secs() <= 3 * 1800 + 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_moves_nothing_keeps_it_running_unless_its_policy_says_otherwise() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let (kept, let_go) = (create(&control).await, create(&control).await);
    let mut amendment = Amendment::default();
    amendment.say(Term::StopWithConnections, "true").unwrap();
    control.find(&id(&let_go)).unwrap().say_policy(amendment).await.unwrap();
    let open = |view: &View| connect(&bench.ports.target(view.container.app_host_port().unwrap()));
    let _open = (open(&kept), open(&let_go));
    let took = stopped(&control, &let_go).await;
    // That it was opened was a use, which the first look found: two more find it idle.
    assert!((10_799..=10_802).contains(&took.as_secs()), "{took:?}");
    tokio::time::sleep(5 * HOUR).await;
    assert_eq!(status(&control, &id(&kept)), Status::Running);
}

#[tokio::test(start_paused = true)]
async fn starting_a_running_one_moves_no_look() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let due = next_look(&control, &view);
    tokio::time::sleep(HOUR).await;
    control.find(&id(&view)).unwrap().start().await.unwrap();
    assert_eq!(next_look(&control, &view), due);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_stops_nothing_early() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    tokio::time::sleep(2 * HOUR + Duration::from_secs(60)).await;
    bench.jump(5 * HOUR);
    let took = stopped(&control, &view).await;
    assert!((3538..=3541).contains(&took.as_secs()), "its last look became a first one: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_drifts_back_forgets_no_use() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    tokio::time::sleep(HOUR).await;
    use_it(&bench.ports.target(50_001));
    tokio::time::sleep(HOUR - Duration::from_millis(2_500)).await;
    bench.wall.fetch_sub(1_500, std::sync::atomic::Ordering::Relaxed);
    let took = stopped(&control, &view).await;
    assert!(took.as_secs() >= 3600, "the first look was active: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_used_before_a_restart_was_used() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    tokio::time::sleep(HOUR).await;
    use_it(&bench.ports.target(50_001));
    tokio::time::sleep(HOUR / 4).await;
    control.shut_down().await;
    let control = bench.launch().await;
    until("it is known", || control.find(&id(&view)).unwrap().view().active() == "1").await;
    let took = stopped(&control, &view).await;
    // Its first look was to come in three quarters of an hour, and found it used: two more find it idle.
    assert!((6299..=6303).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_last_activity_is_when_bytes_last_moved() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let last = || control.find(&id(&view)).unwrap().view().last_activity();
    let begun = last();
    tokio::time::sleep(HOUR).await;
    use_it(&bench.ports.target(50_001));
    tokio::time::sleep(2 * HOUR).await;
    let after = last().since(begun).as_secs();
    assert!((3600..=3602).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn looks_survive_a_restart_and_those_that_are_past_are_made_at_once() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let due = next_look(&control, &view);
    control.shut_down().await;
    let again = bench.launch().await;
    assert_eq!(next_look(&again, &view), due);
    tokio::time::sleep(2 * HOUR + Duration::from_secs(1)).await;
    assert_ne!(next_look(&again, &view), due, "its first look is past");
    again.shut_down().await;
    bench.jump(24 * HOUR);
    let third = bench.launch().await;
    assert!(stopped(&third, &view).await < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_changes_moves_every_look_and_survives_a_restart() {
    let mut bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let begun = view.container.created_at;
    let due = |control: &Control| next_look(control, &view).map(|at| at.since(begun).as_secs());
    let shown = || control.find(&id(&view)).unwrap().view().policy.clone();
    tokio::time::sleep(HOUR).await;
    let mut policy = bench.policy.clone();
    policy.initial_timeout_interval = 3 * HOUR;
    control.set_policy(policy.clone()).await;
    until("its look is later", || due(&control) == Some(3 * 3600)).await;
    assert_eq!(*shown(), policy);

    policy.disable_timeouts = true;
    control.set_policy(policy.clone()).await;
    until("no look is to come", || due(&control).is_none()).await;
    tokio::time::sleep(10 * HOUR).await;
    assert_eq!(status(&control, &id(&view)), Status::Running);

    policy = model::IdlePolicy { disable_timeouts: false, initial_timeout_interval: HOUR, ..policy };
    control.set_policy(policy.clone()).await;
    until("a first look is to come", || due(&control) == Some(12 * 3600)).await;
    control.shut_down().await;
    bench.policy = model::IdlePolicy { initial_timeout_interval: 2 * HOUR, ..policy };
    let again = bench.launch().await;
    until("a restart under another policy moves it too", || due(&again) == Some(13 * 3600)).await;
}

#[tokio::test(start_paused = true)]
async fn an_interval_that_is_over_already_means_a_look_at_once_and_no_stop() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let (view, used) = (create(&control).await, create(&control).await);
    tokio::time::sleep(HOUR).await;
    use_it(&bench.ports.target(used.container.app_host_port().unwrap()));
    let minute = Duration::from_secs(60);
    let policy = model::IdlePolicy {
        initial_timeout_interval: minute,
        timeout_interval: minute,
        ..bench.policy.clone()
    };
    control.set_policy(policy.clone()).await;
    let took = stopped(&control, &view).await;
    assert!((60..=62).contains(&took.as_secs()), "looked at at once, and once more: {took:?}");
    assert_eq!(status(&control, &id(&used)), Status::Running, "it moved bytes before its first look");
    let took = stopped(&control, &used).await;
    assert!((59..=61).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn disable_timeouts_never_looks() {
    let mut bench = Bench::inline();
    bench.policy.disable_timeouts = true;
    let control = bench.launch().await;
    let view = create(&control).await;
    assert_eq!(next_look(&control, &view), None);
    tokio::time::sleep(100 * HOUR).await;
    assert_eq!(status(&control, &id(&view)), Status::Running);
}

/// The daemon's pulse tells one container after another that the clock jumped, and writes meanwhile.
#[tokio::test(start_paused = true)]
async fn a_container_that_wakes_in_the_moment_of_a_jump_is_not_stopped_by_the_new_clock() {
    // Its store is written to in real time, while the paused clock runs on.
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    let last_look = |control: &Control| {
        let view = control.find(&id(&view)).unwrap().view();
        matches!(&view.container.phase, model::Phase::Running { looks: Some(looks), .. } if looks.stage == model::Stage::Last)
    };
    // While one look is written down, the next may come due on this clock, and stop it: from its start on again, then.
    while !last_look(&control) {
        if status(&control, &id(&view)) == Status::Stopped {
            control.find(&id(&view)).unwrap().start().await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    bench.jump(5 * HOUR);
    let before = next_look(&control, &view);
    while next_look(&control, &view) == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
        for _ in 0..10 {
            control.check_in(view.container.address.into(), "0");
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(status(&control, &id(&view)), Status::Running);
    assert!(!last_look(&control), "the next look counts as a first one");
}

#[tokio::test(start_paused = true)]
async fn a_check_in_that_says_the_same_again_is_a_use_all_the_same() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let last = || control.find(&id(&view)).unwrap().view().last_activity();
    let begun = last();
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        control.check_in(IpAddr::V4(view.container.address), "3");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let recorded = last().since(begun).as_secs();
    assert!((50..=60).contains(&recorded), "within 10 s: {recorded}");
}

#[tokio::test(start_paused = true)]
async fn of_check_ins_in_a_row_the_last_one_counts() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let active = || control.find(&id(&view)).unwrap().view().active().into_owned();
    for values in [["3", "0", "3"], ["0", "3", "0"], ["3", "0", "1"]] {
        for value in values {
            control.check_in(IpAddr::V4(view.container.address), value);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(active(), values[2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_in_after_a_new_start_counts_although_it_says_the_same() {
    let bench = Bench::inline();
    let control = bench.launch().await;
    let view = create(&control).await;
    let active = || control.find(&id(&view)).unwrap().view().active().into_owned();
    for _ in 0..2 {
        control.check_in(IpAddr::V4(view.container.address), "3");
        until("it shows", || active() == "3").await;
        let handle = control.find(&id(&view)).unwrap();
        handle.stop().await.unwrap();
        until("it is stopped", || status(&control, &id(&view)) == Status::Stopped).await;
        control.check_in(IpAddr::V4(view.container.address), "3");
        handle.start().await.unwrap();
        assert_eq!(active(), "0");
    }
}
