//! Plain types and pure decisions: what a container is, how its state moves, when it is idle, which port it gets.
//!
//! Nothing here does I/O, reads a clock or draws a random number: whoever calls says what time it is. That is what
//! makes the rules of the product readable in one sitting and testable as tables.

pub mod calm;
pub mod cause;
pub mod container;
pub mod event;
pub mod freezer;
pub mod idle;
pub mod ids;
pub mod image;
pub mod label;
pub mod lifecycle;
pub mod next_fit;
pub mod policy;
pub mod quiet;
pub mod ready;
#[cfg(test)]
mod specimen;
pub mod time;
pub mod why;

pub use calm::{Awake, Beside, Inside, Keeper, Seen};
pub use cause::{Cause, Method, Refusal};
pub use container::{After, Container, Depth, Endpoint, Phase, Reach, Sleep, Status, StopReason};
pub use event::{Event, EventKind};
pub use freezer::Freezer;
pub use idle::{Evidence, Looks, Stage, Verdict};
pub use ids::{ContainerId, EngineId, Key};
pub use image::{Image, PortSpec, Protocol};
pub use label::host_label;
pub use lifecycle::{Effect, Ending, Input, Observation, Waker, step};
pub use next_fit::{NextFit, UsedUp};
pub use policy::{Amendment, Counts, IdlePolicy, Said, Term};
pub use quiet::Meter;
pub use ready::Ready;
pub use time::Timestamp;
pub use why::{Fact, Known, Link, Next, Source, Why, what_next, why};
