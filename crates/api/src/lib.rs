//! The wire: version 1 bodies to the letter of 2014, our own fields beside them, and problem documents.
//!
//! Shared by the server and by clients. Translates and decides nothing; no HTTP, no I/O.

mod container;
mod problem;
mod requests;

pub use container::{ContainerBody, EndpointBody, PolicyBody};
pub use problem::{Kind, Problem};
pub use requests::{ChangeContainer, CheckIn, CreateContainer, InvalidCheckIn, Scalar};
