//! What the engine shows: at any time, and at first.

use super::*;

#[test]
fn what_the_engine_shows() {
    use After::{Remove, Start, Stay};
    let exited = || Phase::Stopped { reason: StopReason::Exited };
    let table = vec![
        (running(), seen_running(), running()),
        (running(), seen_frozen(), asleep(FROZEN)),
        (asleep(FROZEN), seen_frozen(), asleep(FROZEN)),
        (asleep(FROZEN), seen_running(), running()),
        (asleep(FROZEN), seen_exited(Ending::ByItself), exited()),
        (STOPPED, seen_frozen(), asleep(FROZEN)),
        (asleep(Sleep::Freezing), seen_running(), asleep(Sleep::Freezing)),
        (asleep(THAWING), seen_frozen(), asleep(THAWING)),
        (running(), seen_exited(Ending::ByItself), exited()),
        (running(), seen_exited(Ending::Unseen), exited()),
        (running(), seen_exited(Ending::ByHand), STOPPED),
        (running(), Observation::Missing, LOST),
        (STOPPED, seen_running(), running()),
        (STOPPED, seen_exited(Ending::ByItself), STOPPED),
        (STOPPED, Observation::Missing, LOST),
        (LOST, Observation::Missing, LOST),
        (LOST, seen_exited(Ending::ByItself), exited()),
        (LOST, seen_running(), running()),
        // While a call of ours is under way, its result is what counts.
        (starting(false, Stay), seen_exited(Ending::ByItself), starting(false, Stay)),
        (stopping(Start), seen_exited(Ending::ByItself), stopping(Start)),
        (stopping(Remove), Observation::Missing, stopping(Remove)),
    ];
    for (before, seen, expected) in table {
        let (after, called) = step(&container(before.clone()), Input::Observed(seen.clone()), NOW, &POLICY);
        assert_eq!((after.phase, called), (expected, None), "{before:?} {seen:?}");
    }
}

#[test]
fn a_restart_of_the_daemon_takes_up_what_was_under_way() {
    use After::{Remove, Start, Stay, Stop};
    let table = vec![
        (starting(true, Stay), seen_exited(Ending::ByItself), Phase::Removing, Some(Effect::Remove)),
        (starting(true, Stay), seen_running(), running(), None),
        (starting(false, Stay), seen_exited(Ending::ByItself), starting(false, Stay), Some(Effect::Start)),
        (starting(false, Stay), seen_frozen(), asleep(FROZEN), None),
        (starting(false, Stop), seen_exited(Ending::ByItself), STOPPED, None),
        (starting(false, Stop), seen_running(), stopping(Stay), Some(Effect::Stop)),
        (starting(false, Remove), seen_exited(Ending::ByItself), Phase::Removing, Some(Effect::Remove)),
        (stopping(Start), seen_running(), stopping(Start), Some(Effect::Stop)),
        (stopping(Stay), seen_exited(Ending::ByItself), stopping(Stay), Some(Effect::Stop)),
        (Phase::Removing, seen_running(), Phase::Removing, Some(Effect::Remove)),
        (running(), seen_running(), running(), None),
        (running(), seen_frozen(), asleep(FROZEN), None),
        (asleep(FROZEN), seen_running(), running(), None),
        (asleep(Sleep::Freezing), seen_running(), running(), None),
        (asleep(THAWING), seen_frozen(), asleep(FROZEN), None),
        (running(), seen_exited(Ending::ByItself), Phase::Stopped { reason: StopReason::Exited }, None),
        (STOPPED, seen_running(), running(), None),
        (running(), Observation::Missing, LOST, None),
        (STOPPED, Observation::Missing, LOST, None),
        (starting(false, Stay), Observation::Missing, LOST, None),
        (stopping(Start), Observation::Missing, LOST, None),
        (starting(true, Stay), Observation::Missing, Phase::Gone, None),
        (stopping(Remove), Observation::Missing, Phase::Gone, None),
        (Phase::Removing, Observation::Missing, Phase::Gone, None),
    ];
    for (before, seen, expected, effect) in table {
        let (after, called) = step(&container(before.clone()), Input::Resumed(seen.clone()), NOW, &POLICY);
        assert_eq!((after.phase, called), (expected, effect), "{before:?} {seen:?}");
    }
}

#[test]
fn a_restart_removes_by_its_labels_what_was_half_made() {
    for phase in [Phase::Creating, Phase::Removing] {
        let half_made = Container { container_id: None, engine_id: None, ..container(phase) };
        let (after, called) = step(&half_made, Input::Resumed(Observation::Missing), NOW, &POLICY);
        assert_eq!((after.phase, called), (Phase::Removing, Some(Effect::Remove)));
    }
}

#[test]
fn only_what_ran_and_ended_unseen_is_started_again_and_only_where_the_policy_says_so() {
    let restart = IdlePolicy { restart: true, ..IdlePolicy::DEFAULT };
    let of = container;
    let (unseen, seen) = (seen_exited(Ending::Unseen), seen_exited(Ending::ByItself));
    assert!(of(running()).restarts_after(&unseen, &restart));
    assert!(of(asleep(FROZEN)).restarts_after(&unseen, &restart));
    assert!(!of(running()).restarts_after(&unseen, &IdlePolicy::DEFAULT));
    for phase in [STOPPED, Phase::Stopped { reason: StopReason::Exited }, LOST] {
        assert!(!of(phase).restarts_after(&unseen, &restart), "it rested already");
    }
    for other in [seen, seen_exited(Ending::ByHand), seen_running(), Observation::Missing] {
        assert!(!of(running()).restarts_after(&other, &restart), "{other:?}");
    }
}

#[test]
fn a_wish_that_shows_after_the_end_makes_it_a_stop() {
    let exited = Container {
        failure: Some("it ended by itself".into()),
        ..container(Phase::Stopped { reason: StopReason::Exited })
    };
    let (after, effect) = step(&exited, Input::StoppedByHand, NOW, &POLICY);
    assert_eq!((after, effect), (container(STOPPED), None));
    for phase in [running(), Phase::Stopped { reason: StopReason::Idle }, LOST, stopping(After::Start)] {
        let before = container(phase);
        assert_eq!(step(&before, Input::StoppedByHand, NOW, &POLICY), (before.clone(), None));
    }
}

#[test]
fn a_rename_is_learnt_whatever_the_phase() {
    for phase in [running(), STOPPED, stopping(After::Stay)] {
        let (after, _) = step(&container(phase), Input::Observed(seen_running()), NOW, &POLICY);
        assert_eq!(after.name, "/b");
    }
}

#[test]
fn a_lost_body_is_named_and_its_owner_told_what_to_do() {
    let before = Container { check_in: "4".into(), ..container(running()) };
    let (after, _) = step(&before, Input::Observed(Observation::Missing), NOW, &POLICY);
    assert!(after.is_listed());
    assert_eq!(after.check_in, NO_CHECK_IN);
    let failure = after.failure.expect("it says why");
    assert!(failure.contains("no container a any more") && failure.contains("DELETE it"), "{failure}");
}
