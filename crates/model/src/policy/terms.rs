//! The policy's terms: their names, what each is for and what it takes.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// An image says a term of the policy by a label of this and the term's name.
pub const LABEL_PREFIX: &str = "spin-docker.";

macro_rules! terms {
    ($($(#[doc = $help:literal])+ $term:ident = $name:literal, $takes:expr;)+) => {
        /// One term of the policy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Term {
            $($(#[doc = $help])+ $term,)+
        }

        impl Term {
            /// Every one, as the documents list them.
            pub const ALL: &[Self] = &[$(Self::$term,)+];

            /// Its name, wherever it is said.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$term => $name,)+ }
            }

            /// The lines of what it is for.
            pub const fn help_lines(self) -> &'static [&'static str] {
                match self { $(Self::$term => &[$($help),+],)+ }
            }

            /// What it takes, in words.
            pub const fn takes(self) -> &'static str {
                match self { $(Self::$term => $takes,)+ }
            }
        }
    };
}

const A_DURATION: &str = "seconds, or a duration such as 2h, 30m or 1h30m (w, d, h, m and s), more than 0";
const A_DURATION_OR_OFF: &str = "seconds, a duration such as 2h or 30m (w, d, h, m and s), or off";
const A_SWITCH: &str = "true or false";
const ADDRESSES: &str = "addresses or networks, such as 10.0.0.0/8, separated by commas";
const A_PATH: &str = "a path such as /healthz, of at most 256 letters that a URL may have, or off";
const PATTERNS: &str = "patterns, separated by commas, in which * is any text";

terms! {
    /// From a container's start to the first look at its activity: the least time that it runs.
    InitialTimeoutInterval = "initial_timeout_interval", A_DURATION;
    /// From one look to the next.
    TimeoutInterval = "timeout_interval", A_DURATION;
    /// Never stop it for idleness.
    DisableTimeouts = "disable_timeouts", A_SWITCH;
    /// What counts as activity: bytes moved, its own check-ins, or any of both.
    Activity = "activity", "traffic, check-in or any";
    /// A look may stop it although connections are open. Without this it may freeze, but no look stops it.
    StopWithConnections = "stop_with_connections", A_SWITCH;
    /// Freeze it when nothing that counts has happened for so long.
    FreezeAfter = "freeze_after", A_DURATION_OR_OFF;
    /// The share of one core, over the last `freeze_after`, above which it works and stays awake.
    BusyCpu = "busy_cpu", "a share of one core such as 0.02, from 0.001 to 1000, or off";
    /// How long an owed answer keeps it awake: a connection whose last bytes went towards the container.
    OwedFor = "owed_for", A_DURATION;
    /// Traffic below this is keep-alives: it is answered, and keeps nothing awake.
    QuietBelow = "quiet_below", "bytes a time, such as 1KiB/min, 100B/s or 0";
    /// A check-in counts no longer than this.
    CheckInTtl = "check_in_ttl", A_DURATION_OR_OFF;
    /// Frozen with connections open, let it run for a moment now and then, so that its timers fire and an answer that waits for one comes.
    Breathe = "breathe", A_SWITCH;
    /// What starts it when it is stopped: a connection, the first byte of one, or a request of the API alone.
    Wake = "wake", "connect, first-byte or api";
    /// Start it again, before anybody needs it, where it ended while the engine or spin-docker was away, as at a reboot of the host.
    Restart = "restart", A_SWITCH;
    /// How long a connection waits for a start.
    WakeTimeout = "wake_timeout", A_DURATION;
    /// After each start, nobody reaches it before a `GET` of this path, on its HTTP port, is answered with less than 400; for 30 s at most.
    ReadyPath = "ready_path", A_PATH;
    /// Who may wake it. None named means everybody.
    WakeFrom = "wake_from", ADDRESSES;
    /// Who neither wakes it nor keeps it awake.
    IgnoreFrom = "ignore_from", ADDRESSES;
    /// HTTP requests for these paths neither wake it nor keep it awake.
    IgnorePaths = "ignore_paths", PATTERNS;
    /// HTTP requests by these user agents neither wake it nor keep it awake.
    IgnoreAgents = "ignore_agents", PATTERNS;
    /// Delete it so long after its creation.
    ExpiresAfter = "expires_after", A_DURATION_OR_OFF;
    /// Delete it so long after its last activity.
    DeleteAfterIdle = "delete_after_idle", A_DURATION_OR_OFF;
    /// Offer the kernel, when it freezes, the memory that it can take back.
    Reclaim = "reclaim", A_SWITCH;
    /// Begin each connection towards it with a PROXY protocol v2 header, which tells the client's address. By name, and for `ready_path`,
    /// the header is LOCAL and names nobody.
    ProxyProtocol = "proxy_protocol", A_SWITCH;
}

impl Term {
    /// What it is for, in a sentence or two.
    pub fn help(self) -> String {
        self.help_lines().iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// Whether it takes any number of values, with commas between them.
    pub const fn is_list(self) -> bool {
        matches!(self, Self::WakeFrom | Self::IgnoreFrom | Self::IgnorePaths | Self::IgnoreAgents)
    }

    /// Whether it is true or false.
    pub const fn is_switch(self) -> bool {
        matches!(
            self,
            Self::DisableTimeouts
                | Self::StopWithConnections
                | Self::Breathe
                | Self::Restart
                | Self::Reclaim
                | Self::ProxyProtocol
        )
    }

    /// The one whose name is most like this, for whoever misspelt it.
    pub fn nearest(name: &str) -> Self {
        let nearest =
            Self::ALL.iter().max_by(|one, other| one.likeness(name).total_cmp(&other.likeness(name)));
        *nearest.expect("there are terms")
    }

    /// The one that this must be meant for, if it must.
    pub fn meant_by(name: &str) -> Option<Self> {
        Some(Self::nearest(name)).filter(|term| is_meant(term.name(), name))
    }

    fn likeness(self, name: &str) -> f64 {
        strsim::jaro_winkler(self.name(), name)
    }
}

/// Whether a name is so like one that is known that this must be meant.
pub fn is_meant(known: &str, name: &str) -> bool {
    strsim::jaro_winkler(known, name) > 0.9
}

impl FromStr for Term {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|term| term.name() == name).copied().ok_or(())
    }
}

impl Serialize for Term {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|()| serde::de::Error::custom(format!("{name} is no term of the idle policy")))
    }
}
