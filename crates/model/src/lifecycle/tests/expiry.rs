//! When it is deleted because its policy says so.

use super::*;
use proptest::prelude::*;

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

fn mortal(expires_after: u64, delete_after_idle: u64) -> IdlePolicy {
    let term = |seconds| (seconds > 0).then(|| Duration::from_secs(seconds));
    IdlePolicy { expires_after: term(expires_after), delete_after_idle: term(delete_after_idle), ..POLICY }
}
