//! The only place where a container's state changes: one supervisor task per container, a registry of them, the store
//! that outlives them, and the reconciliation that repairs what happened while nobody looked.
//!
//! The rules are `model`'s; this crate performs them. It knows no HTTP and no sockets: the server and the gateway stand
//! above it, and what it needs of them is the trait [`Endpoints`].

mod admission;
mod adopt;
mod check_in;
mod clock;
mod control;
mod create;
mod doorbell;
pub mod endpoints;
mod events;
pub mod flow;
mod footing;
mod gate;
mod handle;
mod heartbeat;
mod ledger;
mod mailbox;
mod measured;
mod measures;
mod neighbours;
mod network;
mod policy;
mod pressure;
mod pulse;
pub mod purge;
mod reconcile;
mod registry;
pub mod room;
mod settings;
mod starts;
pub mod store;
mod supervisor;
pub mod traffic;
mod why;

use std::sync::atomic;

pub use admission::TooMany;
pub use adopt::{Adopted, Adopter};
pub use check_in::{DOOR_PORT, Door};
pub use clock::Clock;
pub use control::{Control, LaunchError, Parts, mint};
pub use create::{CreateError, CreateRequest};
pub use endpoints::{Caller, Endpoints, GaveUp, Target, Wake, WakeError};
pub use engine::EngineError;
pub use events::Follower;
pub use flow::Flow;
pub use handle::{CommandError, Handle, MissingPort, View};
pub use ledger::LedgerError;
pub use measures::{METRICS, Metric, MetricKind};
pub use neighbours::Neighbours;
pub use registry::FindError;
pub use room::{NoRoom, Reserves, Room, Unmeasured};
pub use settings::Settings;
pub use store::{EVENTS, EVENTS_OF_ONE, Sqlite, Store, StoreError, Wanted, Writing};
pub use traffic::Traffic;

/// An error and what caused it, in one line, as logs print it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
