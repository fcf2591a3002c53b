//! When it is looked at, and what comes of that.

use super::*;
use crate::idle::Stage;
use proptest::prelude::*;

#[test]
fn a_look_before_its_time_decides_nothing() {
    let looks = Looks { stage: Stage::Last, since: NOW, next: NOW.plus(Duration::from_secs(10)) };
    let before = container(running_until(Some(looks)));
    assert_eq!(step(&before, Input::Look(Evidence::default()), NOW, &POLICY), (before.clone(), None));
    let (due, effect) = step(&before, Input::Look(Evidence::default()), looks.next, &POLICY);
    assert_eq!(due.phase, Phase::Stopping { reason: StopReason::Idle, after: After::Stay });
    assert_eq!(effect, Some(Effect::Stop));
}

#[test]
fn a_use_after_the_first_look_is_not_forgotten_by_a_restart() {
    let at = |stage, next| running_until(Some(Looks { stage, since: NOW, next }));
    let next = NOW.plus(POLICY.timeout_interval);
    let idle = container(at(Stage::Last, next));
    let (kept, _) = step(&idle, Input::Resumed(seen_running()), NOW, &POLICY);
    assert_eq!(kept.phase, at(Stage::Last, next));
    let (used, _) =
        step(&idle, Input::Used(NOW.plus(Duration::from_secs(1))), NOW.plus(Duration::from_secs(1)), &POLICY);
    let (kept, _) = step(&used, Input::Resumed(seen_running()), NOW.plus(Duration::from_secs(2)), &POLICY);
    assert_eq!(kept.phase, at(Stage::First, next));
}

#[test]
fn looks_survive_a_restart_and_follow_a_changed_setting() {
    let never = IdlePolicy { disable_timeouts: true, ..POLICY };
    let later = NOW.plus(Duration::from_secs(60));
    let (kept, _) = step(&container(running()), Input::Resumed(seen_running()), later, &POLICY);
    assert_eq!(kept.phase, running());
    let (disabled, _) = step(&kept, Input::Resumed(seen_running()), later, &never);
    assert_eq!(disabled.phase, running_until(None));
    let (enabled, _) = step(&disabled, Input::Resumed(seen_running()), later, &POLICY);
    assert_eq!(enabled.phase, running_until(POLICY.first_look(later)));
    let sooner = IdlePolicy { initial_timeout_interval: Duration::from_secs(90), ..POLICY };
    let (moved, _) = step(&container(running()), Input::Resumed(seen_running()), later, &sooner);
    assert_eq!(moved.phase, running_until(sooner.first_look(NOW)));
}

#[test]
fn a_changed_policy_moves_the_look_of_a_running_one_and_nothing_else() {
    let later = NOW.plus(Duration::from_secs(60));
    let sooner = IdlePolicy { initial_timeout_interval: Duration::from_secs(90), ..POLICY };
    for (before, expected) in [
        (running(), running_until(sooner.first_look(NOW))),
        (STOPPED, STOPPED),
        (starting(false, After::Stop), starting(false, After::Stop)),
        (stopping(After::Stay), stopping(After::Stay)),
    ] {
        let (after, effect) = step(&container(before.clone()), Input::PolicyChanged, later, &sooner);
        assert_eq!((after, effect), (container(expected), None), "{before:?}");
    }
}

#[test]
fn a_shifted_clock_keeps_the_distance_and_begins_the_looks_anew() {
    let looks = Looks { stage: Stage::Last, since: NOW, next: NOW.plus(Duration::from_secs(10)) };
    let before = container(running_until(Some(looks)));
    let hour = 3_600_000;
    let (after, _) = step(&before, Input::ClockShifted(hour), NOW, &POLICY);
    let expected =
        Looks { stage: Stage::First, since: looks.since.shifted(hour), next: looks.next.shifted(hour) };
    assert_eq!(after.phase, running_until(Some(expected)));
    let (back, _) = step(&after, Input::ClockShifted(-hour), NOW, &POLICY);
    assert_eq!(back.phase, running_until(Some(Looks { stage: Stage::First, ..looks })));
}

#[test]
fn a_clock_that_was_set_back_while_nobody_watched_delays_no_look() {
    let earlier = NOW.shifted(-1_000_000);
    let looks = Looks { stage: Stage::Last, ..POLICY.another_look(NOW).unwrap() };
    let before = container(running_until(Some(looks)));
    let (after, _) = step(&before, Input::Resumed(seen_running()), earlier, &POLICY);
    assert_eq!(after.phase, running_until(POLICY.another_look(earlier)));
    assert_eq!(after.last_activity, earlier);
}

proptest! {
    /// Time goes on from look to look. An idle stop needs two looks in a row, an interval apart, that found nothing; a
    /// container to which nothing more happens is stopped.
    #[test]
    fn only_what_nobody_used_for_two_looks_is_stopped(
        deeds in prop::collection::vec((any_deed(), 0_u64..100), 0..40),
    ) {
        let mut container = container(running_until(POLICY.first_look(NOW)));
        let (mut now, mut idle_looks, mut used) = (NOW, 0, false);
        let quiet = std::iter::repeat_n((None, 0), 3);
        for (deed, percent) in deeds.into_iter().chain(quiet) {
            let Phase::Running { looks: Some(looks), .. } = container.phase else { break };
            // Somewhere on the way to the next look, and then the look.
            now = now.plus(looks.next.since(now) * u32::try_from(percent).unwrap() / 100);
            let before = container.clone();
            container = match deed {
                None => before,
                Some(Deed::CheckIn(some)) => {
                    step(&before, Input::CheckIn(u8::from(some).to_string()), now, &POLICY).0
                }
                Some(Deed::Use) => { used = true; step(&before, Input::Used(now), now, &POLICY).0 }
                Some(Deed::Shift(by)) => {
                    (now, idle_looks) = (now.shifted(by), 0);
                    step(&before, Input::ClockShifted(by), now, &POLICY).0
                }
                // The counters of traffic end with the daemon; what was recorded stays.
                Some(Deed::Restart) => {
                    used = false;
                    step(&before, Input::Resumed(seen_running()), now, &POLICY).0
                }
            };
            let Phase::Running { looks: Some(looks), .. } = container.phase else { panic!("it runs: {container:?}") };
            now = looks.next.max(now);
            let checked_in = container.check_in != NO_CHECK_IN;
            let evidence = Evidence { checked_in, used: std::mem::take(&mut used), connections: 0 };
            let (next, effect) = step(&container, Input::Look(evidence), now, &POLICY);
            idle_looks = if evidence.is_active() { 0 } else { idle_looks + 1 };
            let used_lately = container.last_activity.plus(POLICY.timeout_interval) > now;
            if effect == Some(Effect::Stop) {
                prop_assert!(idle_looks >= 2 && !checked_in && !used_lately, "{container:?} at {now:?}");
            }
            container = next;
        }
        let stopped = Phase::Stopping { reason: StopReason::Idle, after: After::Stay };
        prop_assert!(container.phase == stopped || container.check_in != NO_CHECK_IN, "{container:?}");
    }
}

/// What may happen to a running container between two looks.
#[derive(Clone, Copy, Debug)]
enum Deed {
    CheckIn(bool),
    Use,
    Shift(i64),
    Restart,
}

fn any_deed() -> impl Strategy<Value = Option<Deed>> {
    prop_oneof![
        4 => Just(None),
        1 => any::<bool>().prop_map(|some| Some(Deed::CheckIn(some))),
        1 => Just(Some(Deed::Use)),
        1 => (-10_000_000_i64..10_000_000).prop_map(|by| Some(Deed::Shift(by))),
        1 => Just(Some(Deed::Restart)),
    ]
}
