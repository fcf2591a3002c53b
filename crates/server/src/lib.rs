//! The HTTP API: routes, authentication, and the one place where an error gets its status.
//!
//! Everything is asked of the control; nothing here touches an engine, a store or an endpoint.

mod auth;
mod body;
mod check_in;
mod client;
mod containers;
mod docs;
mod error;
mod events;
mod head;
mod health;
mod host;
mod images;
mod input;
mod listen;
mod log;
mod lull;
mod metrics;
mod names;
mod openapi;
mod origin;
mod places;
mod problems;
mod reference;
mod routes;
mod unread;
mod visit;
mod written;

pub use auth::Password;
pub use client::Client;
pub use host::Hosts;
pub use listen::{Limits, Listening};
pub use metrics::{keep_records, metrics_reference, record};
pub use names::{Names, Pages};
pub use openapi::openapi;
pub use reference::api_reference;
pub use routes::{Routes, api, check_in_only};
pub use written::LastList;

use control::Control;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio_util::sync::CancellationToken;

/// What the routes share.
pub struct App {
    /// Who is asked.
    pub control: Arc<Control>,
    /// Of `admin`.
    pub password: Password,
    /// What users reach the host by.
    pub public_host: String,
    /// Whether errors show their cause chain.
    pub show_causes: AtomicBool,
    /// The list that was written last.
    pub last_list: LastList,
    /// Cancelled when the program ends, and with it whatever streams.
    pub ending: CancellationToken,
}
