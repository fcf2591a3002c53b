//! The wire: version 1 bodies to the letter of 2014, our own fields beside them, and problem documents.
//!
//! Shared by the server and by clients. Translates and decides nothing; no HTTP, no I/O. Each body says its own schema, for
//! the OpenAPI document.

mod container;
mod event;
mod fields;
mod policy;
mod problem;
mod requests;
mod schema;
mod why;

pub use container::{ContainerBody, EndpointBody};
pub use event::EventBody;
pub use fields::{Body, unknown_field, unknown_in_a_form};
pub use policy::{InvalidPolicy, PolicyBody, PolicyRequest};
pub use problem::{Kind, Problem};
pub use requests::{
    ChangeContainer, ChangeForm, CheckIn, CreateContainer, CreateForm, InvalidCheckIn, POLICY_IN_A_FORM,
    Scalar,
};
pub use schema::history::{event_list, last_event, streamed_event, why_frozen};
pub use schema::{container as example_container, problems};
pub use why::{FactBody, NextBody, WhyBody};
