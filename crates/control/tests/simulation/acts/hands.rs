//! What people do with the docker CLI, behind our back, and what happens inside containers.

use super::Act;
use crate::life::Session;
use crate::unsteady::at_once;
use crate::world::{INSTANCE, World};
use engine::{Engine, NetworkSpec};
use ipnet::Ipv4Net;
use model::{EngineId, Freezer};

/// Another spin-docker's network.
const NEIGHBOUR: &str = "spin-docker-other";

pub fn neighbours_subnet() -> Ipv4Net {
    "10.88.0.0/24".parse().expect("it is one")
}

impl Session {
    pub(super) fn by_hand(&self, act: Act) {
        let bodies: Vec<EngineId> = self.world.bodies().into_iter().map(|(id, _)| id).collect();
        let Some(body) = self.world.pick(&bodies).filter(|_| !self.world.weather.is_away()) else { return };
        self.world.say(format_args!("by hand: {}", body.as_str().trim_start_matches('0')));
        // Frozen, its program does nothing, and so does not end.
        if act == Act::Exit && self.world.is_frozen(&body) {
            return;
        }
        if act != Act::HandRename {
            self.world.oracle().clients.behind_our_back(&body);
        }
        let fake = &self.world.fake;
        match act {
            Act::HandStop => fake.stop_by_hand(&body),
            Act::HandStart => fake.start_by_hand(&body),
            Act::HandRemove => fake.remove_by_hand(&body),
            Act::HandRename => fake.rename(&body, &format!("/renamed_{}", self.world.below(1_000))),
            _ => fake.exit(&body, i64::try_from(self.world.below(3)).expect("it is small")),
        }
    }

    /// What happens in one that runs.
    pub(super) fn inside(&self, act: Act) {
        let Some(body) = self.running() else { return };
        match act {
            Act::Work => self.world.work(&body),
            Act::Mail => self.world.mail(&body),
            _ if self.world.weather.is_away() => {}
            Act::Exec => self.world.exec(&body),
            Act::ExecEnds => self.world.end_exec(&body),
            _ => self.world.fake.signal_by_hand(&body),
        }
    }

    fn running(&self) -> Option<EngineId> {
        let running = self.world.bodies().into_iter().filter(|(_, running)| *running);
        self.world.pick(&running.map(|(body, _)| body).collect::<Vec<_>>())
    }

    pub(super) fn of_sleep_by_hand(&self, act: Act) {
        if act == Act::ThawAll {
            return self.world.thaw_all();
        }
        let Some(body) = self.running().filter(|_| !self.world.weather.is_away()) else { return };
        let now = self.world.now();
        if act == Act::Pause {
            self.world.program(&body);
            self.world.fake.pause_by_hand(&body);
            self.world.oracle().sleeps.paused(&body, now);
        } else if self.world.fake.look(&body).freezer() == Some(Freezer::Engine) {
            self.world.fake.unpause_by_hand(&body);
            self.world.oracle().sleeps.thawed(&body, now);
        }
    }

    /// As `docker network prune`, which takes what nobody running stands on.
    pub(super) fn prune_network(&self) {
        let used = self.world.bodies().iter().any(|(_, running)| *running);
        if !used && !self.world.weather.is_away() {
            at_once(self.world.fake.remove_network(&format!("spin-docker-{INSTANCE}"))).unwrap_or_default();
            if self.world.weather.unrest {
                self.world.fake.change_networks();
            }
        }
    }

    /// Another spin-docker comes to the engine, or goes.
    pub(super) fn neighbour(&self) {
        let fake = &self.world.fake;
        if self.world.weather.is_away() {
            return;
        }
        if self.world.has_neighbour() {
            at_once(fake.remove_network(NEIGHBOUR)).unwrap_or_default();
        } else {
            let subnet = Some(neighbours_subnet());
            let (instance, owner) = ("other".to_owned(), "another".to_owned());
            at_once(fake.network(&NetworkSpec { name: NEIGHBOUR.to_owned(), instance, owner, subnet })).ok();
        }
        fake.change_networks();
    }

    /// As `docker run` of an image that `docker commit` made of one of ours.
    pub(super) fn copy_labels(&self) {
        let ids = self.world.oracle().clients.ids();
        let Some(handle) = self.world.pick(&ids).and_then(|id| self.control.find(&id).ok()) else { return };
        let owner = self.world.pick(&[self.world.oracle().owner().to_owned(), "somebody".to_owned()]);
        let stranger = self.world.fake.add_stranger(
            INSTANCE,
            &owner.unwrap_or_default(),
            handle.view().container.key.as_str(),
        );
        let runs = self.world.chance(500);
        if runs {
            self.world.fake.start_by_hand(&stranger);
        }
        self.world.oracle().add_stranger(stranger, runs);
    }
}

impl World {
    pub fn has_neighbour(&self) -> bool {
        at_once(self.fake.our_subnets()).is_ok_and(|subnets| subnets.contains(&neighbours_subnet()))
    }
}
