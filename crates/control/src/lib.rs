//! One supervisor per container: the only place where state changes.

pub mod endpoints;
pub mod traffic;

pub use endpoints::{Endpoints, Target};
pub use traffic::Traffic;
