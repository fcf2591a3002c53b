//! Deletion where its policy asks for it, judged from outside: never before its time, in time, and not untold.

use crate::policies::Policies;
use crate::world::World;
use control::Control;
use model::{Container, Event, EventKind, IdlePolicy, Key, Phase};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// By how much a drifting wall clock may move what is due.
const SLACK: Duration = Duration::from_secs(20);
/// What came so shortly before may not be on record.
const UNRECORDED: Duration = Duration::from_secs(13);
/// How late it may be: the minute after a start in which nothing expires, and calls that are tried again.
const LATE: Duration = Duration::from_secs(120);

#[derive(Default)]
pub struct Expiries {
    lives: BTreeMap<Key, Life>,
    /// Whose owner was told that it will be.
    told: BTreeSet<Key>,
    /// Those that expired, until their owners were seen to be told.
    untold: BTreeSet<Key>,
    launched: Duration,
}

/// From its making to its end.
#[derive(Clone, Copy)]
struct Life {
    since: Duration,
    /// When it was last used beyond doubt, if that is known.
    used: Option<Duration>,
    /// When its policy was last changed.
    put_off: Duration,
    /// When it last did something, if only that it started in vain.
    ran: Duration,
    /// Its times are of a clock that was moved.
    doubted: bool,
}

impl Expiries {
    pub fn begun(&mut self, key: &Key, now: Duration) {
        self.lives
            .insert(key.clone(), Life { since: now, used: None, put_off: now, ran: now, doubted: false });
    }

    pub fn used(&mut self, key: &Key, now: Duration) {
        self.lives.entry(key.clone()).and_modify(|life| life.used = Some(now));
    }

    /// Something is due at another time from now on.
    pub fn put_off(&mut self, key: Option<&Key>, now: Duration, policies: &Policies) {
        let these = self.lives.iter_mut().filter(|(its, _)| key.is_none_or(|key| key == *its));
        for (key, life) in these {
            life.put_off = now;
            // A use that was not on record yet counts as the policy of now has it.
            let counts = policies.of(key).activity.traffic();
            life.used = life.used.filter(|at| counts || *at + UNRECORDED < now);
        }
    }

    pub fn clock_moved(&mut self) {
        self.lives.values_mut().for_each(|life| life.doubted = true);
    }

    /// What of a use was on record nobody knows.
    pub fn restarted(&mut self, now: Duration, doubted: bool) {
        self.launched = now;
        self.untold.clear();
        for life in self.lives.values_mut() {
            life.used = None;
            life.doubted |= doubted;
        }
    }

    /// It does something, or has just done it.
    pub fn ran(&mut self, key: &Key, now: Duration) {
        self.lives.entry(key.clone()).and_modify(|life| life.ran = now);
    }

    /// This is on disk. Who expires is told so before it is told that he is gone.
    pub fn told(&mut self, event: &Event) -> Option<String> {
        match event.kind {
            EventKind::Expiring => {
                self.told.insert(event.key.clone());
                self.untold.remove(&event.key);
                None
            }
            EventKind::Deleted if self.untold.contains(&event.key) => {
                Some(format!("{} was told to be deleted before it was told to expire", event.key))
            }
            _ => None,
        }
    }

    /// Nobody asked for its deletion, and it is being deleted.
    pub fn expires(&mut self, is: &Container, now: Duration, policy: &IdlePolicy) -> Option<String> {
        if !self.told.contains(&is.key) {
            self.untold.insert(is.key.clone());
        }
        let life = self.lives.get(&is.key).filter(|life| !life.doubted)?;
        let is_over = |since: Duration, after: Duration| since + after <= now + SLACK;
        let of_age = policy.expires_after.is_some_and(|after| is_over(life.since, after));
        let of_disuse = policy
            .delete_after_idle
            .is_some_and(|after| is_over(life.used.unwrap_or_default().max(life.since), after));
        (!of_age && !of_disuse).then(|| {
            let (age, after) = (now - life.since, policy.expires_after);
            let (used, idle) = (life.used.map(|at| now - at), policy.delete_after_idle);
            format!(
                "{} is deleted unasked, {age:?} old of {after:?}, last used {used:?} ago of {idle:?}",
                is.key
            )
        })
    }

    pub fn ended(&mut self, key: &Key) {
        self.lives.remove(key);
        self.told.remove(key);
    }

    /// Who should have been deleted; `noisy` is when something was last wrong.
    pub fn overdue(&self, control: &Control, world: &World, noisy: Duration) -> Vec<String> {
        let (now, calm_since) = (world.now(), noisy.max(self.launched));
        let listed = control.list();
        let late = listed.iter().filter(|view| {
            let key = &view.container.key;
            let Some(life) = self.lives.get(key).filter(|life| !life.doubted) else { return false };
            let policy = world.policies.of(key);
            // While it runs, much puts that off.
            let rests = matches!(view.container.phase, Phase::Stopped { .. });
            let of_disuse = policy.delete_after_idle.filter(|_| rests).map(|after| life.ran + after);
            let of_age = policy.expires_after.map(|after| life.since + after);
            let due = of_age.into_iter().chain(of_disuse).min();
            due.is_some_and(|due| due.max(life.put_off).max(calm_since) + LATE < now)
        });
        late.map(|view| format!("{} has expired, and is listed", view.container.key)).collect()
    }

    /// Whose owners were not told.
    pub fn unannounced(&self) -> Vec<String> {
        self.untold
            .iter()
            .map(|key| format!("{key} has expired, and its owner was not told before"))
            .collect()
    }
}
