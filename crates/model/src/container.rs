//! A container: what a user asked for and owns. This is what the store keeps; everything else is derived from it.

use crate::freezer::Freezer;
use crate::idle::Looks;
use crate::ids::{ContainerId, EngineId, Key};
use crate::image::{Protocol, SSH_PORT};
use crate::policy::{IdlePolicy, Said, Term, WakeOn};
use crate::ready::Ready;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// The most endpoints that one container may have.
pub const MAX_ENDPOINTS: usize = 32;
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

/// One stable address of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The port inside the container.
    pub container_port: u16,
    /// Its transport.
    pub protocol: Protocol,
    /// Ours for the container's life; none for what is not forwarded.
    pub host_port: Option<u16>,
    /// Where the engine publishes this port for us alone, for the container's life, since the container's own address is out of our
    /// reach. None where we connect to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<SocketAddrV4>,
}

/// Where a container stands. Each state in which an engine call is under way says what comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The intent is on disk; the engine may or may not have made the body.
    Creating,
    /// The engine's start is under way. `first` until it has run once.
    Starting {
        /// Nobody has been told of this container yet.
        first: bool,
        /// What was asked for meanwhile.
        after: After,
    },
    /// It runs.
    Running {
        /// When we look at it next; none with `disable_timeouts`.
        looks: Option<Looks>,
        /// Whether its processes run.
        #[serde(default)]
        sleep: Sleep,
    },
    /// The engine's stop is under way.
    Stopping {
        /// Who wanted it.
        reason: StopReason,
        /// What was asked for meanwhile.
        after: After,
    },
    /// Nothing but disk.
    Stopped {
        /// Why.
        reason: StopReason,
    },
    /// Deleted by its owner; the engine still has to let go of it.
    Removing,
    /// No more: the store forgets it, its ports and its address rest.
    Gone,
}

/// Whether the processes of a running container run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sleep {
    /// They do.
    #[default]
    Awake,
    /// A freeze is under way.
    Freezing,
    /// They do not; connections stay open.
    Frozen {
        /// What holds them.
        by: Freezer,
    },
    /// They do for a moment, so that timers that ran out fire; then they are frozen again.
    Breathing {
        /// What held them.
        by: Freezer,
    },
    /// A thaw is under way, or comes after the freeze that is.
    Thawing {
        /// What held them; none while the freeze has not ended.
        by: Option<Freezer>,
    },
}

impl Sleep {
    /// What holds its processes.
    pub fn freezer(self) -> Option<Freezer> {
        match self {
            Self::Frozen { by } | Self::Breathing { by } => Some(by),
            Self::Thawing { by } => by,
            Self::Awake | Self::Freezing => None,
        }
    }

    /// Frozen, but for a breath that it may take.
    pub fn is_frozen(self) -> bool {
        matches!(self, Self::Frozen { .. } | Self::Breathing { .. })
    }
}

/// How deep a container sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Its processes run.
    Awake,
    /// They are held, with memory and connections kept.
    Frozen,
    /// Nothing but disk.
    Stopped,
}

impl Depth {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awake => "awake",
            Self::Frozen => "frozen",
            Self::Stopped => "stopped",
        }
    }
}

/// What follows the engine call that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// Nothing.
    Stay,
    /// A stop, if it was starting.
    Stop,
    /// A start, if it was stopping.
    Start,
    /// Its removal.
    Remove,
}

/// Why a container is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A person said so, here or through the docker CLI.
    Asked,
    /// Two looks in a row found it idle.
    Idle,
    /// The host was short of memory, and it had slept longest.
    Pressure,
    /// It ended by itself, or the host or the engine went down under it.
    Exited,
    /// The engine could not start it.
    Failed,
    /// The engine knows its body no more: somebody removed it behind our back, and its data with it.
    Lost,
}

impl StopReason {
    /// As logs and metrics tell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Idle => "idle",
            Self::Pressure => "pressure",
            Self::Exited => "exited",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// Whether a connection wakes what was stopped so. What a person stopped only a person starts.
    pub fn wakes(self) -> bool {
        !matches!(self, Self::Asked | Self::Lost)
    }
}

/// The four words of the seed's `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A create or a start is under way.
    Starting,
    /// It runs.
    Running,
    /// A stop is under way.
    Stopping,
    /// It does not run.
    Stopped,
}

impl Status {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// When a container is deleted if nothing happens until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// When.
    pub at: Timestamp,
    /// Which term of its policy says so.
    pub term: Term,
    /// How long after its creation, or its last use.
    pub after: Duration,
}

/// The most that an owner is told before.
const WARNING: Duration = Duration::from_secs(600);

impl Expiry {
    /// From when on its owner may be told: ten minutes before, or half of what the term says.
    pub fn warned_from(&self) -> Timestamp {
        let before = u64::try_from(WARNING.min(self.after / 2).as_millis()).unwrap_or_default();
        Timestamp::from_millis(self.at.as_millis().saturating_sub(before))
    }
}

/// What a connection to an endpoint meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The port is ours and refuses.
    Refuse,
    /// Accepted, and the container is woken.
    Wake,
    /// Accepted, and the container is woken once the client has sent something.
    WakeOnByte,
    /// Accepted and held; nothing may be sent to the container's address yet.
    Hold,
    /// Forwarded.
    Forward,
}

impl Phase {
    /// The word for it on the wire.
    pub fn status(&self) -> Status {
        match self {
            Self::Starting { after: After::Stop | After::Remove, .. } => Status::Stopping,
            Self::Stopping { after: After::Start, .. } => Status::Starting,
            Self::Creating | Self::Starting { .. } => Status::Starting,
            Self::Running { .. } => Status::Running,
            Self::Stopping { .. } | Self::Removing => Status::Stopping,
            Self::Stopped { .. } | Self::Gone => Status::Stopped,
        }
    }

    /// Why it stops or is stopped.
    pub fn cause(&self) -> Option<StopReason> {
        match self {
            Self::Stopping { reason, .. } | Self::Stopped { reason } => Some(*reason),
            _ => None,
        }
    }

    /// How deep it sleeps.
    pub fn depth(&self) -> Depth {
        match self {
            Self::Running { sleep: Sleep::Thawing { .. }, .. } => Depth::Frozen,
            Self::Running { sleep, .. } if sleep.is_frozen() => Depth::Frozen,
            Self::Running { .. } | Self::Stopping { .. } => Depth::Awake,
            _ => Depth::Stopped,
        }
    }

    /// What a connection meets, where this wakes a stopped one. A frozen one is reached: its kernel accepts.
    pub fn reach(&self, wake: WakeOn) -> Reach {
        match self {
            Self::Running { .. } => Reach::Forward,
            Self::Starting { after: After::Stay, .. } | Self::Stopping { after: After::Start, .. } => {
                Reach::Hold
            }
            Self::Stopped { reason } | Self::Stopping { reason, after: After::Stay } if reason.wakes() => {
                match wake {
                    WakeOn::Connect => Reach::Wake,
                    WakeOn::FirstByte => Reach::WakeOnByte,
                    WakeOn::Api => Reach::Refuse,
                }
            }
            _ => Reach::Refuse,
        }
    }

    /// Deleted by its owner: it is on no list any more.
    pub fn is_doomed(&self) -> bool {
        match self {
            Self::Removing | Self::Gone => true,
            Self::Starting { after, .. } | Self::Stopping { after, .. } => *after == After::Remove,
            _ => false,
        }
    }

    /// No call of the engine's is under way: what was asked for has happened, or has failed.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Running { sleep, .. } => matches!(sleep, Sleep::Awake | Sleep::Frozen { .. }),
            _ => matches!(self, Self::Stopped { .. } | Self::Gone),
        }
    }
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

    /// When it is deleted if nothing happens until then; none where nobody asked for that. `policy` is what it lives under.
    pub fn expires_at(&self, policy: &IdlePolicy) -> Option<Timestamp> {
        self.expiry(policy).map(|expiry| expiry.at)
    }

    /// The same, with the term that says so.
    pub fn expiry(&self, policy: &IdlePolicy) -> Option<Expiry> {
        let expiry = |term, since: Timestamp, after| Expiry { at: since.plus(after), term, after };
        let lives_since = self.lives_since.unwrap_or(self.created_at);
        let of_age = policy.expires_after.map(|after| expiry(Term::ExpiresAfter, lives_since, after));
        let of_disuse = policy
            .delete_after_idle
            .and_then(|after| Some(expiry(Term::DeleteAfterIdle, self.used_until(policy)?, after)));
        of_age.into_iter().chain(of_disuse).min_by_key(|expiry| expiry.at)
    }

    /// When its last activity ends, as far as that is known: while its last check-in counts, it is in use. None if that is for
    /// ever.
    fn used_until(&self, policy: &IdlePolicy) -> Option<Timestamp> {
        if !self.reports_use(policy) {
            return Some(self.last_activity);
        }
        let reported = self.checked_in_at.unwrap_or_default().plus(policy.check_in_ttl?);
        Some(self.last_activity.max(reported))
    }

    /// Whether its last check-in says that it is in use, under a policy that counts check-ins.
    fn reports_use(&self, policy: &IdlePolicy) -> bool {
        let runs = matches!(self.phase, Phase::Running { .. });
        runs && self.check_in != NO_CHECK_IN && policy.activity.check_ins()
    }

    /// Where connections to one of its ports go: to its own address, or to where the engine publishes the port.
    pub fn way_to(&self, container_port: u16) -> SocketAddrV4 {
        let published = self.tcp_endpoint(container_port).and_then(|endpoint| endpoint.published);
        published.unwrap_or(SocketAddrV4::new(self.address, container_port))
    }

    /// The ports that the engine publishes for it, which no other container gets as long as it lives.
    pub fn published_ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.endpoints.iter().filter_map(|endpoint| Some(endpoint.published?.port()))
    }

    /// All that it has of our range of ports.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.host_ports().chain(self.published_ports())
    }

    /// Whether the engine's own proxy stands between it and us, and accepts in its place.
    pub fn is_published(&self) -> bool {
        self.published_ports().next().is_some()
    }

    /// The host ports, which are ours as long as it lives.
    pub fn host_ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.endpoints.iter().filter_map(|endpoint| endpoint.host_port)
    }

    /// The host port of SSH, if the image exposes 22.
    pub fn ssh_host_port(&self) -> Option<u16> {
        self.host_port_of(SSH_PORT)
    }

    /// The host port of the application, if the image exposes one.
    pub fn app_host_port(&self) -> Option<u16> {
        self.app_port.and_then(|port| self.host_port_of(port))
    }

    fn host_port_of(&self, port: u16) -> Option<u16> {
        self.tcp_endpoint(port)?.host_port
    }

    fn tcp_endpoint(&self, port: u16) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.container_port == port && e.protocol == Protocol::Tcp)
    }
}
