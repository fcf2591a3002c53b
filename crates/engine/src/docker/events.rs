//! What happens to our containers, pumped from the moment of the call: bollard sends its request only when the stream is
//! first polled, and Docker replays no more than its last 256 events since a given time.

use super::{Docker, QUICK, errors};
use crate::{Event, EventKind, INSTANCE_LABEL, Result};
use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use model::EngineId;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// How many events may wait for whoever reads them.
const WAITING: usize = 4096;
/// The signals that are sent to end a program: INT, QUIT, ABRT, KILL, TERM. Others rotate its logs or reload its settings.
const ENDING: [&str; 5] = ["2", "3", "6", "9", "15"];

impl Docker {
    /// An engine that comes back first ends what still ran, as if somebody had asked it to. That is over once it answers, and
    /// only what comes after is asked for.
    pub(super) async fn subscribe(&self, instance: &str) -> Result<BoxStream<'static, Result<Event>>> {
        self.call("answer", QUICK, self.client.ping()).await?;
        Ok(self.pump(instance))
    }

    fn pump(&self, instance: &str) -> BoxStream<'static, Result<Event>> {
        let (sender, events) = mpsc::channel(WAITING);
        let (docker, messages) = (self.clone(), self.messages(instance));
        let pump = AbortOnDropHandle::new(tokio::spawn(async move {
            let mut messages = std::pin::pin!(messages);
            while let Some(event) = messages.next().await {
                if let Ok(Event {
                    engine_id,
                    kind: EventKind::Killed | EventKind::Signalled | EventKind::Exec,
                }) = &event
                {
                    docker.thaw_at_once(engine_id);
                }
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        }));
        // The pump ends with the stream.
        stream::unfold((events, pump), |(mut events, pump)| async {
            Some((events.recv().await?, (events, pump)))
        })
        .boxed()
    }

    fn messages(&self, instance: &str) -> impl Stream<Item = Result<Event>> + Send + use<> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
        let label = format!("{INSTANCE_LABEL}={instance}");
        let of_containers = self.told(&since, &[("type", "container"), ("label", &label)]);
        // Networks' events carry no labels.
        let of_networks =
            self.told(&since, &[("type", "network"), ("event", "create"), ("event", "destroy")]);
        // The end of either is the end: both are told by one engine.
        let (of_containers, of_networks) = (ending(of_containers), ending(of_networks));
        let both = stream::select(of_containers, of_networks);
        both.take_while(|event| std::future::ready(event.is_some())).filter_map(std::future::ready)
    }

    fn told(&self, since: &str, wanted: &[(&str, &str)]) -> impl Stream<Item = Result<Event>> + Send + use<> {
        let mut filters: HashMap<String, Vec<String>> = HashMap::new();
        for (by, what) in wanted {
            filters.entry((*by).to_owned()).or_default().push((*what).to_owned());
        }
        let options = EventsOptions { since: Some(since.to_owned()), until: None, filters: Some(filters) };
        let at = self.at.clone();
        self.client.events(Some(options)).filter_map(move |message| {
            let event = match message {
                Ok(message) => translate(message).map(Ok),
                Err(error) => Some(Err(errors::translate("tell what happens", &at, error))),
            };
            std::future::ready(event)
        })
    }
}

/// Each of it, and then nothing, once.
fn ending<T: Send>(stream: impl Stream<Item = T> + Send) -> impl Stream<Item = Option<T>> + Send {
    stream.map(Some).chain(stream::once(std::future::ready(None)))
}

/// A `stop` comes after the `die` that it led to, and tells that it was asked for, whatever the image's stop signal.
fn translate(message: EventMessage) -> Option<Event> {
    let actor = message.actor?;
    let signal = actor.attributes.unwrap_or_default().remove("signal").unwrap_or_default();
    let engine_id = EngineId::new(actor.id?);
    if message.typ == Some(EventMessageTypeEnum::NETWORK) {
        return Some(Event { engine_id, kind: EventKind::Networks });
    }
    let kind = match message.action?.as_str() {
        "kill" if ENDING.contains(&signal.as_str()) => EventKind::Killed,
        "kill" => EventKind::Signalled,
        // As Podman says it.
        "exec" => EventKind::Exec,
        // As Docker says it, with the command behind it.
        action if action.starts_with("exec_create") => EventKind::Exec,
        "stop" => EventKind::Stopped,
        "start" => EventKind::Started,
        // The last in Podman's word.
        "die" | "oom" | "rename" | "pause" | "unpause" | "destroy" | "remove" => EventKind::Changed,
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
        let event = |action: &str, signal: Option<&str>| {
            let attributes = signal.map(|signal| HashMap::from([("signal".to_owned(), signal.to_owned())]));
            let actor = EventActor { id: Some("a".into()), attributes };
            let message =
                EventMessage { action: Some(action.into()), actor: Some(actor), ..Default::default() };
            translate(message).map(|event| event.kind)
        };
        for (signal, expected) in
            [("15", EventKind::Killed), ("9", EventKind::Killed), ("1", EventKind::Signalled)]
        {
            assert_eq!(event("kill", Some(signal)), Some(expected), "{signal}");
        }
        assert_eq!(event("stop", None), Some(EventKind::Stopped));
        assert_eq!(event("start", None), Some(EventKind::Started));
        for action in ["die", "rename", "destroy", "remove"] {
            assert_eq!(event(action, None), Some(EventKind::Changed));
        }
        assert_eq!(event("exec_create: sh -c x", None), Some(EventKind::Exec));
        assert_eq!(event("exec", None), Some(EventKind::Exec));
        for action in ["exec_start: sh -c x", "exec_die", "exec_died", "cleanup", "attach", "top"] {
            assert_eq!(event(action, None), None, "{action}");
        }
        assert_eq!(translate(EventMessage::default()), None);
    }
}
