//! Commands, and what comes of the calls that they ask for.

use super::*;

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
