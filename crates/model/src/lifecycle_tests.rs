//! The lifecycle as a table, and as properties over random lives.

use super::*;
use crate::container::{Depth, Reach, Status};
use crate::idle::{Looks, Stage};
use crate::policy::WakeOn;
use crate::specimen::specimen;
use proptest::prelude::*;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const POLICY: IdlePolicy = IdlePolicy::DEFAULT;

fn container(phase: Phase) -> Container {
    specimen(phase, NOW)
}

fn running() -> Phase {
    running_until(POLICY.first_look(NOW))
}

fn starting(first: bool, after: After) -> Phase {
    Phase::Starting { first, after }
}

fn stopping(after: After) -> Phase {
    stopping_for(StopReason::Asked, after)
}

fn stopping_idle(after: After) -> Phase {
    stopping_for(StopReason::Idle, after)
}

fn stopping_for(reason: StopReason, after: After) -> Phase {
    Phase::Stopping { reason, after }
}

const STOPPED: Phase = Phase::Stopped { reason: StopReason::Asked };
const RESTS: Phase = Phase::Stopped { reason: StopReason::Idle };
const BY: Freezer = Freezer::Cgroup;
const FROZEN: Sleep = Sleep::Frozen { by: BY };
const THAWING: Sleep = Sleep::Thawing { by: Some(BY) };
const BREATHING: Sleep = Sleep::Breathing { by: BY };
const WANTED: Sleep = Sleep::Thawing { by: None };
const LOST: Phase = Phase::Stopped { reason: StopReason::Lost };

fn running_until(looks: Option<Looks>) -> Phase {
    Phase::Running { looks, sleep: Sleep::Awake }
}

fn asleep(sleep: Sleep) -> Phase {
    Phase::Running { looks: POLICY.first_look(NOW), sleep }
}

fn seen_running() -> Observation {
    Observation::Running { name: "/b".into(), frozen: None }
}

fn seen_frozen() -> Observation {
    Observation::Running { name: "/b".into(), frozen: Some(BY) }
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

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![Just(Ending::ByItself), Just(Ending::ByHand), Just(Ending::Unseen)]
}

fn seen_exited(ending: Ending) -> Observation {
    Observation::Exited { name: "/b".into(), code: 3, out_of_memory: false, ending }
}

#[test]
fn commands_and_results() {
    use After::{Remove, Start, Stay, Stop};
    let failed = || "why".to_owned();
    let rest = |reason| Phase::Stopped { reason };
    let by = Freezer::Cgroup;
    let relook = Phase::Running { looks: POLICY.another_look(NOW), sleep: Sleep::Thawing { by: Some(by) } };
    let table: Vec<(Phase, Input, Phase, Option<Effect>)> = vec![
        // A start.
        (STOPPED, Input::Start, starting(false, Stay), Some(Effect::Start)),
        (running(), Input::Start, running(), None),
        (starting(true, Stop), Input::Start, starting(true, Stay), None),
        (stopping(Stay), Input::Start, stopping(Start), None),
        (stopping(Remove), Input::Start, stopping(Remove), None),
        (starting(true, Stay), Input::Started, running(), None),
        (starting(false, Stop), Input::Started, stopping(Stay), Some(Effect::Stop)),
        (starting(false, Remove), Input::Started, stopping(Remove), Some(Effect::Stop)),
        (starting(true, Stay), Input::StartFailed(failed()), Phase::Removing, Some(Effect::Remove)),
        (starting(false, Stay), Input::StartFailed(failed()), rest(StopReason::Failed), None),
        (
            starting(false, Stop),
            Input::StartFailed(failed()),
            stopping_for(StopReason::Asked, Stay),
            Some(Effect::Stop),
        ),
        (starting(false, Remove), Input::StartFailed(failed()), Phase::Removing, Some(Effect::Remove)),
        (LOST, Input::Start, LOST, None),
        // A stop.
        (running(), Input::Stop, stopping(Stay), Some(Effect::Stop)),
        (STOPPED, Input::Stop, STOPPED, None),
        (LOST, Input::Stop, LOST, None),
        (starting(false, Stay), Input::Stop, starting(false, Stop), None),
        (stopping(Start), Input::Stop, stopping(Stay), None),
        (stopping(Stay), Input::Stopped, STOPPED, None),
        (stopping(Start), Input::Stopped, starting(false, Stay), Some(Effect::Start)),
        (stopping(Remove), Input::Stopped, Phase::Removing, Some(Effect::Remove)),
        (stopping(Stay), Input::StopFailed(failed()), relook, Some(Effect::Thaw(by))),
        (stopping(Remove), Input::StopFailed(failed()), Phase::Removing, Some(Effect::Remove)),
        // A delete.
        (running(), Input::Delete, stopping(Remove), Some(Effect::Stop)),
        (STOPPED, Input::Delete, Phase::Removing, Some(Effect::Remove)),
        (LOST, Input::Delete, Phase::Removing, Some(Effect::Remove)),
        (starting(false, Stay), Input::Delete, starting(false, Remove), None),
        (stopping(Start), Input::Delete, stopping(Remove), None),
        (Phase::Removing, Input::Delete, Phase::Removing, None),
        (Phase::Removing, Input::Removed, Phase::Gone, None),
        // A create.
        (Phase::Creating, Input::CreateFailed(failed()), Phase::Removing, Some(Effect::Remove)),
        // Freeze and thaw, and what comes in between.
        (running(), Input::Freeze, asleep(Sleep::Freezing), Some(Effect::Freeze)),
        (asleep(Sleep::Freezing), Input::Froze(BY), asleep(FROZEN), None),
        (asleep(Sleep::Freezing), Input::NotFrozen("why".into()), running(), None),
        (asleep(Sleep::Freezing), Input::Wake(Waker::Need), asleep(WANTED), Some(Effect::EndFreeze)),
        (asleep(WANTED), Input::Froze(BY), asleep(THAWING), Some(Effect::Thaw(BY))),
        (asleep(WANTED), Input::Thawed, running(), None),
        (asleep(WANTED), Input::NotFrozen("why".into()), running(), None),
        (asleep(FROZEN), Input::Freeze, asleep(FROZEN), None),
        (asleep(FROZEN), Input::Wake(Waker::Request), asleep(THAWING), Some(Effect::Thaw(BY))),
        (asleep(THAWING), Input::Wake(Waker::Connection), asleep(THAWING), None),
        (asleep(THAWING), Input::Freeze, asleep(THAWING), None),
        (asleep(THAWING), Input::Thawed, running(), None),
        (asleep(THAWING), Input::ThawFailed(failed()), asleep(FROZEN), None),
        (asleep(FROZEN), Input::Stop, stopping(Stay), Some(Effect::Stop)),
        // A breath, and what comes in between.
        (asleep(FROZEN), Input::Breathe, asleep(BREATHING), Some(Effect::Breathe(BY))),
        (running(), Input::Breathe, running(), None),
        (asleep(THAWING), Input::Breathe, asleep(THAWING), None),
        (asleep(BREATHING), Input::Froze(BY), asleep(FROZEN), None),
        (asleep(BREATHING), Input::NotFrozen("why".into()), running(), None),
        (asleep(BREATHING), Input::ThawFailed(failed()), asleep(FROZEN), None),
        (asleep(BREATHING), Input::Wake(Waker::Connection), asleep(THAWING), Some(Effect::EndFreeze)),
        (asleep(BREATHING), Input::Freeze, asleep(BREATHING), None),
        (asleep(BREATHING), Input::Stop, stopping(Stay), Some(Effect::Stop)),
        (asleep(BREATHING), Input::Observed(seen_running()), asleep(BREATHING), None),
        (asleep(BREATHING), Input::Pressure, asleep(BREATHING), None),
        (asleep(Sleep::Freezing), Input::Delete, stopping(Remove), Some(Effect::Stop)),
        (asleep(FROZEN), Input::Start, asleep(FROZEN), None),
        // What a connection wakes, and what it does not.
        (RESTS, Input::Wake(Waker::Connection), starting(false, Stay), Some(Effect::Start)),
        (RESTS, Input::Wake(Waker::Need), RESTS, None),
        (RESTS, Input::Wake(Waker::Request), RESTS, None),
        (STOPPED, Input::Wake(Waker::Connection), STOPPED, None),
        (LOST, Input::Wake(Waker::Connection), LOST, None),
        (stopping_idle(Stay), Input::Wake(Waker::Connection), stopping_idle(Start), None),
        (stopping(Stay), Input::Wake(Waker::Connection), stopping(Stay), None),
        (asleep(FROZEN), Input::Pressure, stopping_for(StopReason::Pressure, Stay), Some(Effect::Stop)),
        (running(), Input::Pressure, running(), None),
        (STOPPED, Input::Pressure, STOPPED, None),
        // Late results of calls that no longer matter.
        (stopping(Stay), Input::Froze(BY), stopping(Stay), None),
        (STOPPED, Input::Thawed, STOPPED, None),
        (running(), Input::Stopped, running(), None),
        (STOPPED, Input::Started, STOPPED, None),
    ];
    for (before, input, expected, effect) in table {
        let (after, called) = step(&container(before.clone()), input.clone(), NOW, &POLICY);
        assert_eq!((after.phase, called), (expected, effect), "{before:?} {input:?}");
    }
}

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
fn what_its_owner_says_is_kept_whatever_the_phase_and_moves_nothing_by_itself() {
    let mut amendment = Amendment::default();
    amendment.say(crate::Term::TimeoutInterval, "5").unwrap();
    amendment.take_back(crate::Term::FreezeAfter);
    let mut said = container(running());
    said.owner_says.say(crate::Term::FreezeAfter, "1").unwrap();
    for phase in [running(), STOPPED, starting(false, After::Stop), stopping(After::Stay)] {
        let before = Container { phase, ..said.clone() };
        let (after, effect) = step(&before, Input::PolicySaid(amendment.clone()), NOW, &POLICY);
        assert_eq!((&after.owner_says, effect), (&amendment.alone(), None));
        assert_eq!(Container { owner_says: before.owner_says.clone(), ..after }, before);
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
fn a_clock_that_was_set_back_while_nobody_watched_delays_no_look() {
    let earlier = NOW.shifted(-1_000_000);
    let looks = Looks { stage: Stage::Last, ..POLICY.another_look(NOW).unwrap() };
    let before = container(running_until(Some(looks)));
    let (after, _) = step(&before, Input::Resumed(seen_running()), earlier, &POLICY);
    assert_eq!(after.phase, running_until(POLICY.another_look(earlier)));
    assert_eq!(after.last_activity, earlier);
}

#[test]
fn a_birth_gives_the_identity_that_stays() {
    let unborn = Container { container_id: None, engine_id: None, ..container(Phase::Creating) };
    assert!(!unborn.is_listed());
    let input = Input::Created { engine_id: EngineId::new("b".repeat(64)), name: "/n".into() };
    let (born, effect) = step(&unborn, input, NOW, &POLICY);
    assert_eq!(effect, Some(Effect::Start));
    assert_eq!(born.container_id.as_ref().map(ContainerId::as_str), Some("b".repeat(64).as_str()));
    assert!(born.is_listed());
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

#[test]
fn a_start_forgets_the_check_in_and_the_failure() {
    let before = Container { check_in: "4".into(), failure: Some("why".into()), ..container(STOPPED) };
    let (after, _) = step(&before, Input::Start, NOW, &POLICY);
    assert_eq!((after.check_in.as_str(), after.failure), (NO_CHECK_IN, None));
}

/// As an entrypoint does that reports once and then becomes its application.
#[test]
fn a_check_in_before_the_start_has_returned_counts() {
    let (told, _) = step(&container(starting(false, After::Stay)), Input::CheckIn("3".into()), NOW, &POLICY);
    let (runs, _) = step(&told, Input::Started, NOW, &POLICY);
    assert_eq!((runs.phase, runs.check_in.as_str()), (running(), "3"));
    let (failed, _) = step(&told, Input::StartFailed("why".into()), NOW, &POLICY);
    assert_eq!(failed.check_in, NO_CHECK_IN);
}

/// sd-postgres reports its connections every minute, and says that only bytes count.
#[test]
fn a_report_that_does_not_count_is_no_use() {
    let deaf = IdlePolicy { activity: crate::policy::Counts::Traffic, ..POLICY };
    let later = NOW.plus(Duration::from_secs(60));
    let used =
        |policy| step(&container(running()), Input::CheckIn("3".into()), later, policy).0.last_activity;
    assert_eq!((used(&deaf), used(&POLICY)), (container(running()).last_activity, later));
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
fn a_look_before_its_time_decides_nothing() {
    let looks = Looks { stage: Stage::Last, since: NOW, next: NOW.plus(Duration::from_secs(10)) };
    let before = container(running_until(Some(looks)));
    assert_eq!(step(&before, Input::Look(Evidence::default()), NOW, &POLICY), (before.clone(), None));
    let (due, effect) = step(&before, Input::Look(Evidence::default()), looks.next, &POLICY);
    assert_eq!(due.phase, Phase::Stopping { reason: StopReason::Idle, after: After::Stay });
    assert_eq!(effect, Some(Effect::Stop));
}

#[test]
fn the_words_on_the_wire() {
    use Depth::{Awake, Frozen, Stopped};
    let table = [
        (starting(true, After::Stay), Status::Starting, Stopped, Reach::Hold),
        (running(), Status::Running, Awake, Reach::Forward),
        (asleep(Sleep::Freezing), Status::Running, Awake, Reach::Forward),
        (asleep(FROZEN), Status::Running, Frozen, Reach::Forward),
        (asleep(THAWING), Status::Running, Frozen, Reach::Forward),
        (asleep(BREATHING), Status::Running, Frozen, Reach::Forward),
        (stopping(After::Stay), Status::Stopping, Awake, Reach::Refuse),
        (stopping_idle(After::Stay), Status::Stopping, Awake, Reach::Wake),
        (stopping_idle(After::Remove), Status::Stopping, Awake, Reach::Refuse),
        (stopping(After::Start), Status::Starting, Awake, Reach::Hold),
        (starting(false, After::Stop), Status::Stopping, Stopped, Reach::Refuse),
        (starting(false, After::Remove), Status::Stopping, Stopped, Reach::Refuse),
        (STOPPED, Status::Stopped, Stopped, Reach::Refuse),
    ];
    for (phase, status, depth, reach) in table {
        let said = (phase.status(), phase.depth(), phase.reach(WakeOn::Connect));
        assert_eq!(said, (status, depth, reach), "{phase:?}");
    }
}

#[test]
fn what_was_stopped_and_does_a_connection_wake_it() {
    use StopReason::{Asked, Exited, Failed, Idle, Lost, Pressure};
    for (reason, wakes) in
        [(Asked, false), (Lost, false), (Idle, true), (Exited, true), (Failed, true), (Pressure, true)]
    {
        let reach = |wake| Phase::Stopped { reason }.reach(wake);
        let expected = |reach| if wakes { reach } else { Reach::Refuse };
        assert_eq!(reach(WakeOn::Connect), expected(Reach::Wake), "{reason:?}");
        assert_eq!(reach(WakeOn::FirstByte), expected(Reach::WakeOnByte), "{reason:?}");
        assert_eq!(reach(WakeOn::Api), Reach::Refuse, "{reason:?}");
    }
    let policy = IdlePolicy { wake: WakeOn::Api, ..POLICY };
    assert_eq!(step(&container(RESTS), Input::Wake(Waker::Connection), NOW, &policy).1, None);
    let thawed = step(&container(asleep(FROZEN)), Input::Wake(Waker::Connection), NOW, &policy);
    assert_eq!(thawed.1, Some(Effect::Thaw(BY)), "an open connection is answered whatever starts it");
}

fn any_input() -> impl Strategy<Value = Input> {
    let observation = prop_oneof![
        Just(seen_running()),
        Just(seen_frozen()),
        ending().prop_map(seen_exited),
        Just(Observation::Missing),
    ];
    prop_oneof![
        Just(Input::Start),
        Just(Input::Stop),
        Just(Input::Delete),
        observation.prop_map(Input::Observed),
        Just(Input::CheckIn("1".into())),
        any::<u32>().prop_map(|n| Input::Look(Evidence { connections: n % 2, ..Evidence::default() })),
        (-100_000_i64..100_000).prop_map(Input::ClockShifted),
        Just(Input::PolicyChanged),
        Just(Input::Freeze),
        Just(Input::Breathe),
        Just(Input::Pressure),
        prop_oneof![Just(Waker::Connection), Just(Waker::Need)].prop_map(Input::Wake),
    ]
}

/// The engine's answer to the call that is under way.
fn answer(effect: Effect, ok: bool) -> Input {
    match (effect, ok) {
        (Effect::Start, true) => Input::Started,
        (Effect::Start, false) => Input::StartFailed("why".into()),
        (Effect::Stop, true) => Input::Stopped,
        (Effect::Stop, false) => Input::StopFailed("why".into()),
        (Effect::Remove, _) => Input::Removed,
        (Effect::Freeze | Effect::Breathe(_), true) | (Effect::EndFreeze, false) => Input::Froze(BY),
        (Effect::Freeze | Effect::Breathe(_), false) => Input::NotFrozen("why".into()),
        (Effect::Thaw(_) | Effect::EndFreeze, true) => Input::Thawed,
        (Effect::Thaw(_), false) => Input::ThawFailed("why".into()),
    }
}

/// Nothing waits for a freeze or a thaw.
fn gives_way(effect: Effect) -> bool {
    matches!(effect, Effect::Freeze | Effect::Breathe(_) | Effect::EndFreeze | Effect::Thaw(_))
}

proptest! {
    #[test]
    fn one_call_at_a_time_and_every_deleted_one_ends(
        inputs in prop::collection::vec((any_input(), any::<bool>(), any::<bool>()), 0..60),
    ) {
        let mut container = container(STOPPED);
        let mut under_way: Option<Effect> = None;
        let mut deleted = false;
        for (input, answered, ok) in inputs {
            let input = match under_way {
                Some(effect) if answered => { under_way = None; answer(effect, ok) }
                _ => input,
            };
            deleted |= input == Input::Delete && container.phase != Phase::Gone;
            let (next, effect) = step(&container, input, NOW, &POLICY);
            let waits = under_way.filter(|call| !gives_way(*call));
            prop_assert!(effect.is_none() || waits.is_none(), "two calls at once");
            let goes_on = |_: &Effect| waits.is_some() || matches!(next.phase, Phase::Running { .. });
            under_way = effect.or(under_way.filter(goes_on));
            container = next;
            prop_assert!(!deleted || container.phase.is_doomed(), "deleted, and back");
            prop_assert_eq!(under_way.is_none(), container.phase.is_settled(), "{:?}", container.phase);
        }
        while let Some(effect) = under_way {
            let (next, effect) = step(&container, answer(effect, true), NOW, &POLICY);
            container = next;
            under_way = effect;
        }
        prop_assert!(!deleted || container.phase == Phase::Gone);
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

fn mortal(expires_after: u64, delete_after_idle: u64) -> IdlePolicy {
    let term = |seconds| (seconds > 0).then(|| Duration::from_secs(seconds));
    IdlePolicy { expires_after: term(expires_after), delete_after_idle: term(delete_after_idle), ..POLICY }
}

#[test]
fn it_expires_at_the_earlier_of_age_and_disuse_and_only_where_asked() {
    let after = |seconds| Some(NOW.plus(Duration::from_secs(seconds)));
    let used = Container { last_activity: after(50).unwrap(), ..container(running()) };
    for (policy, expires) in [
        (mortal(0, 0), None),
        (mortal(100, 0), after(100)),
        (mortal(0, 100), after(150)),
        (mortal(100, 100), after(100)),
        (mortal(200, 100), after(150)),
    ] {
        assert_eq!(used.expires_at(&policy), expires);
    }
}

#[test]
fn what_expires_is_deleted_and_not_before_its_time() {
    use After::{Remove, Stay};
    let policy = mortal(10, 0);
    let due = NOW.plus(Duration::from_secs(10));
    for (phase, expected, effect) in [
        (running(), stopping(Remove), Some(Effect::Stop)),
        (STOPPED, Phase::Removing, Some(Effect::Remove)),
        (LOST, Phase::Removing, Some(Effect::Remove)),
        (starting(false, Stay), starting(false, Remove), None),
        (stopping(Stay), stopping(Remove), None),
    ] {
        let before = container(phase);
        let early = due.shifted(-1);
        assert_eq!(step(&before, Input::Expired, early, &policy), (before.clone(), None));
        assert_eq!(step(&before, Input::Expired, due, &POLICY), (before.clone(), None));
        let (after, called) = step(&before, Input::Expired, due, &policy);
        assert_eq!((after.phase, called), (expected, effect), "{before:?}");
    }
}

/// A clock is set to what it should be as often as to what it should not: nobody's data goes for that.
#[test]
fn a_clock_that_is_set_postpones_an_expiry_and_brings_none_forward() {
    let policy = mortal(7 * 86_400, 3 * 86_400);
    let year = 365 * 86_400_000_i64;
    let before = container(STOPPED);
    let had = before.expires_at(&policy).unwrap();
    for by in [2_000, year, -2_000, -year, 60 * year] {
        let now = NOW.plus(Duration::from_secs(60 * 365 * 86_400)).shifted(by);
        let (after, _) = step(&before, Input::ClockShifted(by), now, &policy);
        let has = after.expires_at(&policy).unwrap();
        assert!(has >= had && has.since(now) <= Duration::from_secs(3 * 86_400), "{by}: {has:?}");
        let left = had.since(now.shifted(-by));
        assert!(has.since(now) >= left, "{by}: {left:?} were left, and {:?} are", has.since(now));
    }
    // The host came up in 1970, and its clock was set.
    let now = Timestamp::from_millis(500).shifted(year);
    let (after, _) = step(&before, Input::ClockShifted(year), now, &policy);
    assert_eq!(after.expires_at(&policy), Some(now.plus(Duration::from_secs(3 * 86_400))));
}

proptest! {
    /// Whatever is done to the clock, nothing is deleted that has not lived as long, by a clock that nobody sets.
    #[test]
    fn no_clock_makes_anything_expire_early(
        hours in prop::collection::vec((0_u64..50, -1_000_i64..1_000), 0..20),
    ) {
        let policy = mortal(100 * 3600, 0);
        let (mut container, mut now, mut lived) = (container(STOPPED), NOW.plus(Duration::from_secs(1 << 32)), 0);
        container.created_at = now;
        for (passed, jump) in hours {
            lived += passed;
            let by = jump * 3_600_000;
            now = now.plus(Duration::from_secs(passed * 3600)).shifted(by);
            container = step(&container, Input::ClockShifted(by), now, &policy).0;
            let (after, _) = step(&container, Input::Expired, now, &policy);
            prop_assert!(after == container || lived >= 100, "gone after {lived} hours");
        }
    }
}

#[test]
fn one_that_reports_use_does_not_expire_for_disuse_and_is_in_use_until_that_ends() {
    let policy = mortal(0, 10);
    let later = NOW.plus(Duration::from_secs(3600));
    let before = Container { check_in: "3".into(), ..container(running()) };
    assert_eq!(before.expires_at(&policy), None);
    assert_eq!(step(&before, Input::Expired, later, &policy).0, before);
    for end in [Input::CheckIn("0".into()), Input::Stop, Input::Observed(seen_exited(Ending::ByItself))] {
        let (after, _) = step(&before, end, later, &policy);
        assert_eq!(after.expires_at(&policy), Some(later.plus(Duration::from_secs(10))));
    }
    let short = IdlePolicy { check_in_ttl: Some(Duration::from_secs(60)), ..policy.clone() };
    let reported = Container { checked_in_at: Some(NOW), ..before.clone() };
    assert_eq!(
        reported.expires_at(&short),
        Some(NOW.plus(Duration::from_secs(70))),
        "a report counts so long"
    );
    let deaf = IdlePolicy { activity: crate::policy::Counts::Traffic, ..policy };
    assert_eq!(before.expires_at(&deaf), Some(NOW.plus(Duration::from_secs(10))));
}
