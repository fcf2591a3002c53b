//! Under which policy each container lives, as those who say so know it: the settings of now, and what its image and its owner say
//! on disk.

use crate::world::{World, lock};
use model::{Amendment, Container, IdlePolicy, Key, Said, Term};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub struct Policies(Mutex<State>);

struct State {
    of_all: Arc<IdlePolicy>,
    said: BTreeMap<Key, [Said; 2]>,
    own: BTreeMap<Key, Arc<IdlePolicy>>,
}

impl State {
    fn reckon(&mut self, key: &Key) {
        let Some(said) = self.said.get(key).filter(|said| said.iter().any(|said| !said.is_empty())) else {
            self.own.remove(key);
            return;
        };
        let policy = self.of_all.with(said);
        self.own.insert(key.clone(), Arc::new(policy));
    }
}

impl Policies {
    pub fn new(of_all: IdlePolicy) -> Self {
        Self(Mutex::new(State {
            of_all: Arc::new(of_all),
            said: BTreeMap::default(),
            own: BTreeMap::default(),
        }))
    }

    /// The settings'.
    pub fn of_all(&self) -> Arc<IdlePolicy> {
        Arc::clone(&lock(&self.0).of_all)
    }

    pub fn of(&self, key: &Key) -> Arc<IdlePolicy> {
        let state = lock(&self.0);
        Arc::clone(state.own.get(key).unwrap_or(&state.of_all))
    }

    /// The settings are others.
    pub fn set_all(&self, policy: IdlePolicy) {
        let mut state = lock(&self.0);
        state.of_all = Arc::new(policy);
        let keys: Vec<Key> = state.said.keys().cloned().collect();
        keys.iter().for_each(|key| state.reckon(key));
    }

    /// This is on disk; whether it says something else than before.
    pub fn wrote(&self, container: &Container) -> bool {
        let said = [container.image_says.clone(), container.owner_says.clone()];
        let mut state = lock(&self.0);
        let before = state.said.insert(container.key.clone(), said.clone());
        state.reckon(&container.key);
        before.is_some_and(|before| before != said)
    }
}

/// What owners say, each term with some of its values.
const SAID: &[(Term, &[&str])] = &[
    (Term::InitialTimeoutInterval, &["30", "100"]),
    (Term::TimeoutInterval, &["20", "45"]),
    (Term::DisableTimeouts, &["true", "false"]),
    (Term::Activity, &["any", "traffic", "check-in"]),
    (Term::StopWithConnections, &["true", "false"]),
    (Term::FreezeAfter, &["off", "2", "12"]),
    (Term::BusyCpu, &["off", "0.02", "0.2"]),
    (Term::OwedFor, &["5", "50"]),
    (Term::QuietBelow, &["0", "1KiB/min", "4KiB/min"]),
    (Term::CheckInTtl, &["off", "20"]),
    (Term::Breathe, &["true", "false"]),
    (Term::Wake, &["connect", "first-byte", "api"]),
    (Term::Restart, &["true", "false"]),
    (Term::ExpiresAfter, &["off", "200", "600"]),
    (Term::DeleteAfterIdle, &["off", "100", "400"]),
    (Term::Reclaim, &["true", "false"]),
];

impl World {
    /// What an owner may say.
    pub fn amendment(&self) -> Amendment {
        let mut amendment = Amendment::default();
        for _ in 0..=self.below(3) {
            let Some((term, values)) = self.pick(SAID) else { break };
            match self.pick(values).filter(|_| !self.chance(300)) {
                Some(value) => amendment.say(term, value).expect("its term takes it"),
                None => amendment.take_back(term),
            }
        }
        amendment
    }

    /// The settings are read again, and are others.
    pub fn change_settings(&self) {
        self.policies.set_all(self.draw_policy());
        let now = self.now();
        self.oracle().policy_changed(None, now, &self.policies);
    }
}
