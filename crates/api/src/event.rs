//! What happened to a container, as it stands on the wire.

use crate::container::rfc3339;
use crate::schema;
use model::Event;
use serde::Serialize;
use utoipa::ToSchema;

/// One thing that happened to a container.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Event, example = json!(schema::history::last_event()))]
pub struct EventBody {
    /// Ascending over all containers and restarts.
    pub id: u64,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub time: String,
    /// Whose; null of one that was never made.
    pub container_id: Option<String>,
    /// By which name it went then, with Docker's leading slash.
    pub name: String,
    /// What: the table of `docs/events.md`.
    pub kind: &'static str,
    /// What and why, to be read.
    pub sentence: String,
    /// Why, to be parsed: `by` names it; null where that is not known.
    #[schema(value_type = Option<Object>)]
    pub cause: Option<serde_json::Value>,
    /// How often, of what comes often and is told together.
    pub times: u32,
}

impl From<&Event> for EventBody {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id,
            time: rfc3339(event.at),
            container_id: event.container_id.as_ref().map(ToString::to_string),
            name: event.name.clone(),
            kind: event.kind.name(),
            sentence: event.to_string(),
            cause: event.cause.as_ref().and_then(|cause| serde_json::to_value(cause).ok()),
            times: event.times,
        }
    }
}
