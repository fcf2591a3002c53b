//! What happens to our containers. Docker replays what happened since a given time, so that the subscription stands from
//! the moment it was asked for, although bollard sends the request only when the stream is first polled.

use super::{Docker, errors};
use crate::{Event, EventKind, INSTANCE_LABEL, Result};
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use model::EngineId;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

impl Docker {
    pub(super) fn subscribe(&self, instance: &str) -> BoxStream<'static, Result<Event>> {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![format!("{INSTANCE_LABEL}={instance}")]),
        ]);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
        let options = EventsOptions { since: Some(since), until: None, filters: Some(filters) };
        let (client, at) = (self.client.clone(), self.at.clone());
        let messages = async_stream(client, options);
        let events = messages.filter_map(move |message| {
            let event = match message {
                Ok(message) => translate(message).map(Ok),
                Err(error) => Some(Err(errors::translate("tell what happens", &at, error))),
            };
            std::future::ready(event)
        });
        events.boxed()
    }
}

/// bollard's stream borrows nothing of the client, which it may as well keep.
fn async_stream(
    client: bollard::Docker,
    options: EventsOptions,
) -> impl futures_util::Stream<Item = std::result::Result<EventMessage, bollard::errors::Error>> + Send + 'static
{
    client.events(Some(options))
}

fn translate(message: EventMessage) -> Option<Event> {
    let engine_id = EngineId::new(message.actor?.id?);
    let kind = match message.action?.as_str() {
        "kill" => EventKind::Killed,
        "start" | "die" | "stop" | "oom" | "rename" | "pause" | "unpause" | "destroy" => EventKind::Changed,
        _ => return None,
    };
    Some(Event { engine_id, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::EventActor;

    #[test]
    fn actions_become_hints() {
        let event = |action: &str| {
            let actor = EventActor { id: Some("a".into()), attributes: None };
            translate(EventMessage { action: Some(action.into()), actor: Some(actor), ..Default::default() })
        };
        assert_eq!(event("kill").unwrap().kind, EventKind::Killed);
        for action in ["start", "die", "rename", "destroy"] {
            assert_eq!(event(action).unwrap().kind, EventKind::Changed);
        }
        assert_eq!(event("exec_create: sh -c x"), None);
        assert_eq!(translate(EventMessage::default()), None);
    }
}
