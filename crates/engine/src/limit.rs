//! What an engine cannot do for us, why, and what to do about it.

use std::fmt;

/// One of them. As text it is a full sentence, with the advice behind a semicolon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The engine is not root's.
    Rootless,
    /// It is a Podman, and not root's: we could not keep its containers apart.
    RootlessPodman,
    /// It runs in a virtual machine of Docker Desktop's.
    Desktop,
    /// Containers on our network may reach each other.
    Unfiltered,
    /// Freezes go by the engine's pause, for this reason.
    SlowFreezer(String),
    /// There are no freezes: it puts containers into no control groups of their own.
    NoFreezer,
}

impl Limit {
    /// What is so.
    pub fn finding(&self) -> String {
        match self {
            Self::Rootless => "the engine is rootless: its containers' addresses are out of reach from here".to_owned(),
            Self::RootlessPodman => {
                "Podman is rootless: its containers cannot be kept apart from each other from here".to_owned()
            }
            Self::Desktop => "the engine runs in Docker Desktop's virtual machine: its containers' addresses are out of reach from here"
                .to_owned(),
            Self::Unfiltered => {
                "containers may reach each other: the kernel does not filter bridged traffic".to_owned()
            }
            Self::SlowFreezer(why) => format!(
                "containers are frozen by the engine's pause, so that waking one takes some 15 ms instead of 0.2 ms: {why}"
            ),
            Self::NoFreezer => {
                "containers cannot be frozen, as the engine puts them into no control groups: idle ones are stopped".to_owned()
            }
        }
    }

    /// What helps.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Rootless | Self::Desktop => {
                "it publishes their ports on loopback for us, unless `publish=off`; a Docker Engine of root's on Linux is quicker"
            }
            Self::Unfiltered => {
                "`modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1` puts it right"
            }
            Self::RootlessPodman => "run it as root, or a rootless Docker Engine instead",
            Self::NoFreezer => {
                "on a host with control groups of version 2 and systemd, a rootless engine has them"
            }
            Self::SlowFreezer(_) => {
                "run spin-docker as root on the engine's host, with /sys/fs/cgroup writable"
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.finding(), self.advice())
    }
}
