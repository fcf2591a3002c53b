//! What holds the processes of a frozen container.

use serde::{Deserialize, Serialize};

/// What froze it, and with it what thaws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Freezer {
    /// Its cgroup, which we wrote ourselves. To the engine it is running; a thaw takes 0.2 ms.
    Cgroup,
    /// The engine's pause, ours or somebody's. A thaw takes the engine some 15 ms.
    Engine,
}
