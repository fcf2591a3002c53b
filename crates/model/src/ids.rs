//! Identities, each a type of its own so that one is never passed for another. Clones share the text: every register of
//! containers holds them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is: whoever mints an id answers for its shape.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(text.as_ref().into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// What we call a container before the engine has given it a body; the engine carries it as the label `spin-docker.id`.
    Key
}
id! {
    /// What the world calls a container, for its whole life: the engine's id at its birth, 64 hex digits.
    ContainerId
}
id! {
    /// The body that the engine runs at present, 64 hex digits. A reset or a move changes it; the [`ContainerId`] stays.
    EngineId
}
