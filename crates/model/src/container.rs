//! A container: what a user asked for and owns. This is what the store keeps; everything else is derived from it.

mod endpoint;
mod expiry;
mod phase;
mod reach;
mod sleep;

pub use endpoint::{Endpoint, MAX_ENDPOINTS};
pub use expiry::Expiry;
pub use phase::{After, Phase, Status, StopReason};
pub use reach::Reach;
pub use sleep::{Depth, Sleep};

use crate::ids::{ContainerId, EngineId, Key};
use crate::policy::{IdlePolicy, Said};
use crate::ready::Ready;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// The check-in that says "nobody is here", and what a container has before its first.
pub const NO_CHECK_IN: &str = "0";

/// One container, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Ours, from the intent on.
    pub key: Key,
    /// Its identity, once the engine has made it.
    pub container_id: Option<ContainerId>,
    /// Its present body.
    pub engine_id: Option<EngineId>,
    /// With Docker's leading slash; empty until the engine has said it.
    pub name: String,
    /// As it was asked for.
    pub image: String,
    /// Its address on our network, for life.
    pub address: Ipv4Addr,
    /// Every port that the image exposes, ascending by container port.
    pub endpoints: Vec<Endpoint>,
    /// The container port that the field `app_port` speaks of.
    pub app_port: Option<u16>,
    /// How to tell that the application can serve, if the image says how: asked where the idle policy names no path.
    #[serde(default)]
    pub ready: Option<Ready>,
    /// What its image says of its idle policy.
    #[serde(default, skip_serializing_if = "Said::is_empty")]
    pub image_says: Said,
    /// What its owner says of it: the request that made it, and those since.
    #[serde(default, skip_serializing_if = "Said::is_empty")]
    pub owner_says: Said,
    /// What is wrong with its image's labels, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From when on its life is counted, where a clock that was set has moved that from its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lives_since: Option<Timestamp>,
    /// When something that counts last happened, as of the last look or check-in.
    pub last_activity: Timestamp,
    /// The value of the last check-in since the start.
    pub check_in: String,
    /// When that was; none where none came since the start.
    #[serde(default)]
    pub checked_in_at: Option<Timestamp>,
    /// Why it is not running although it should be, or what is wrong with it while it runs.
    pub failure: Option<String>,
    /// Where it stands.
    pub phase: Phase,
}

impl Container {
    /// Whether users see it: it has an identity and was not deleted.
    pub fn is_listed(&self) -> bool {
        self.container_id.is_some() && !self.phase.is_doomed()
    }

    /// The idle policy that it lives under, where this is everybody's; none where nobody says otherwise.
    pub fn own_policy(&self, of_all: &IdlePolicy) -> Option<IdlePolicy> {
        let says_nothing = self.image_says.is_empty() && self.owner_says.is_empty();
        (!says_nothing).then(|| of_all.with([&self.image_says, &self.owner_says]))
    }

    /// How to tell that its application can serve, under the policy that it lives under; none takes its word for it.
    pub fn readiness(&self, policy: &IdlePolicy) -> Option<Ready> {
        let path = policy.ready_path.clone().zip(self.app_port);
        path.map(|(path, port)| Ready::Path { path, port }).or_else(|| self.ready.clone())
    }
}
