//! Random lives.

use super::*;
use proptest::prelude::*;

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

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![Just(Ending::ByItself), Just(Ending::ByHand), Just(Ending::Unseen)]
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
