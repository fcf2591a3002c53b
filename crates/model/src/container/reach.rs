//! What a connection meets at a container's ports.

use super::{After, Phase};
use crate::policy::WakeOn;

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
}
