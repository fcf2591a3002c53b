//! The idle policy: when to look, what counts as activity, how deep to sleep, what wakes. One set of names, wherever it is said: in a
//! request, by an image's labels (`spin-docker.NAME`), in the settings. The request wins over the image, the image over the settings.
//!
//! [`IdlePolicy`] is what a container lives under; [`Said`] is what one place says of it, by name; `values` reads and writes each.

mod said;
mod terms;
mod values;

pub use said::{Amendment, Said};
pub use terms::{LABEL_PREFIX, Term, is_meant};
pub use values::{Mistake, duration, switch};

use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// What a container lives under, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdlePolicy {
    /// From a start to the first look: the least time that a container runs.
    pub initial_timeout_interval: Duration,
    /// From one look to the next.
    pub timeout_interval: Duration,
    /// Never look.
    pub disable_timeouts: bool,
    /// What counts.
    pub activity: Counts,
    /// A look may stop it although connections are open.
    pub stop_with_connections: bool,
    /// When it freezes.
    pub freeze_after: FreezeAfter,
    /// The share of one core, in thousandths, above which it works and stays awake; none does not ask.
    pub busy_cpu: Option<u32>,
    /// How long an owed answer keeps it awake.
    pub owed_for: Duration,
    /// Traffic of no more bytes a minute is keep-alives: answered, and no use.
    pub quiet_below: u64,
    /// A check-in counts no longer than this; none for ever.
    pub check_in_ttl: Option<Duration>,
    /// What starts a stopped one.
    pub wake: WakeOn,
    /// How long a connection waits for a start.
    pub wake_timeout: Duration,
    /// Started again, before anybody needs it, where it ended while the engine or the daemon was away.
    pub restart: bool,
    /// After a start, a `GET` of it tells whether its HTTP port can serve.
    pub ready_path: Option<String>,
    /// Who may wake it; nobody named means everybody.
    pub wake_from: Vec<IpNet>,
    /// Who neither wakes it nor keeps it awake.
    pub ignore_from: Vec<IpNet>,
    /// Requests for these paths neither wake it nor keep it awake: patterns in which `*` is any text.
    pub ignore_paths: Vec<String>,
    /// Requests by these user agents do not either: patterns as above.
    pub ignore_agents: Vec<String>,
    /// Deleted so long after its creation.
    pub expires_after: Option<Duration>,
    /// Deleted so long after its last activity.
    pub delete_after_idle: Option<Duration>,
    /// Frozen with connections open, it runs for a moment now and then, so that its timers fire.
    pub breathe: bool,
    /// Memory that the kernel can take back is offered to it on freezing.
    pub reclaim: bool,
    /// Connections towards it begin with a PROXY protocol v2 header.
    pub proxy_protocol: bool,
}

/// What counts as activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Bytes moved, and connections.
    Traffic,
    /// What it reports itself.
    CheckIn,
    /// Either.
    Any,
}

impl Counts {
    /// Whether bytes and connections count.
    pub fn traffic(self) -> bool {
        self != Self::CheckIn
    }

    /// Whether its own reports count.
    pub fn check_ins(self) -> bool {
        self != Self::Traffic
    }
}

/// When a container freezes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreezeAfter {
    /// Nobody says: after [`FreezeAfter::UNSAID`], unless it reports for itself, and not before somebody has connected or the first look.
    Unsaid,
    /// Never.
    Off,
    /// When nothing that counts has happened for so long.
    After(Duration),
}

impl FreezeAfter {
    /// Where nobody says otherwise.
    pub const UNSAID: Duration = Duration::from_secs(60);
}

/// What starts a stopped container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeOn {
    /// A connection.
    Connect,
    /// The first byte of one: neither a bare connect nor a port scan does.
    FirstByte,
    /// A request of the API alone.
    Api,
}

impl Default for IdlePolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const HOUR: Duration = Duration::from_secs(3600);

impl IdlePolicy {
    /// Where nobody says otherwise.
    pub const DEFAULT: Self = Self {
        initial_timeout_interval: Duration::from_secs(7200),
        timeout_interval: Duration::from_secs(1800),
        disable_timeouts: false,
        activity: Counts::Any,
        stop_with_connections: false,
        freeze_after: FreezeAfter::Unsaid,
        busy_cpu: Some(20),
        owed_for: HOUR,
        quiet_below: 1024,
        check_in_ttl: None,
        wake: WakeOn::Connect,
        wake_timeout: Duration::from_secs(60),
        restart: false,
        ready_path: None,
        wake_from: Vec::new(),
        ignore_from: Vec::new(),
        ignore_paths: Vec::new(),
        ignore_agents: Vec::new(),
        expires_after: None,
        delete_after_idle: None,
        breathe: true,
        reclaim: false,
        proxy_protocol: false,
    };

    /// Whether whoever connects from here neither wakes it nor keeps it awake.
    pub fn ignores(&self, peer: IpAddr) -> bool {
        self.ignore_from.iter().any(|network| network.contains(&peer.to_canonical()))
    }

    /// Whether whoever connects from here may wake it.
    pub fn admits(&self, peer: IpAddr) -> bool {
        let named = self.wake_from.iter().any(|network| network.contains(&peer.to_canonical()));
        (named || self.wake_from.is_empty()) && !self.ignores(peer)
    }

    /// This one, with what others say put over it, the last winning. What is not understood was refused where it was said.
    pub fn with<'a>(&self, said: impl IntoIterator<Item = &'a Said>) -> Self {
        let mut policy = self.clone();
        for (term, text) in said.into_iter().flat_map(Said::iter) {
            // A text that an older version took, and this one does not, says nothing.
            policy.set(term, text).unwrap_or_default();
        }
        policy
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
