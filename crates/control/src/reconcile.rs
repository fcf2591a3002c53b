//! Keeps what we know true to what the engine does: subscribe to its events, list, compare, then follow the events. An
//! event is a hint; what an inspect then shows is what counts. When the stream breaks, the same again. Whatever the list says
//! as we know it is not inspected then: ten thousand inspects would take the engine a minute.
//!
//! Containers that carry our labels and that the store does not know are reported, once each, and never touched: a
//! label alone proves nothing, since `docker commit` copies it into images.

use crate::control::Shared;
use crate::handle::{Command, Handle, Need};
use crate::network;
use backon::{ExponentialBuilder, Retryable};
use engine::{EngineError, Event, EventKind, Listed};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use model::EngineId;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

const AT_ONCE: usize = 16;
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(2);

type Events = BoxStream<'static, Result<Event, EngineError>>;

/// What the reconciliation remembers.
#[derive(Debug, Default)]
pub(crate) struct Reconciler {
    following: AtomicBool,
    away: AtomicBool,
    silent: AtomicBool,
    /// Somebody should look at the engine's networks.
    pub(crate) networks: Notify,
    reported: Mutex<BTreeSet<String>>,
}

impl Reconciler {
    /// Whether the event stream stands.
    pub(crate) fn is_following(&self) -> bool {
        self.following.load(Ordering::Relaxed)
    }

    /// Whether it answered when it was last asked for nothing but that.
    pub(crate) fn answers(&self) -> bool {
        !self.silent.load(Ordering::Relaxed)
    }

    /// Whether that is news.
    pub(crate) fn hears(&self, answers: bool) -> bool {
        self.silent.swap(!answers, Ordering::Relaxed) == answers
    }

    /// Whether nobody answered when the engine was last asked for its events.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Whether this one was not reported before.
    fn is_news(&self, entry: &Listed) -> bool {
        self.reported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(entry.engine_id.as_str().to_owned())
    }
}

/// Compares everything once, and follows the engine from then on.
pub(crate) async fn begin(shared: &Arc<Shared>) -> Result<(), EngineError> {
    let events = subscribe(shared).await?;
    let following = Arc::clone(shared);
    shared.run_to_the_end(async move { follow_for_good(&following, events).await });
    Ok(())
}

/// Looks at every container's side of the engine.
pub(crate) async fn audit(shared: &Shared) -> Result<(), EngineError> {
    look_around(shared).await?;
    compare(shared, BTreeMap::new()).await;
    Ok(())
}

/// What the engine has of this instance. What of it is not ours is seen to.
async fn look_around(shared: &Shared) -> Result<Vec<Listed>, EngineError> {
    let listed = shared.engine.list(&shared.settings.instance).await?;
    let strangers: Vec<&Listed> = listed.iter().filter(|entry| !is_ours(shared, entry)).collect();
    report(shared, &strangers);
    restore_network(shared, &strangers).await;
    know_neighbours(shared).await?;
    Ok(listed)
}

/// Compares every container with the engine, or with what a list says of it.
async fn compare(shared: &Shared, mut said: BTreeMap<EngineId, Listed>) {
    let compares = shared.registry.all().into_iter().map(|handle: Handle| {
        let listed = handle.view().container.engine_id.as_ref().and_then(|body| said.remove(body));
        async move { handle.compare(listed).await }
    });
    stream::iter(compares).buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn follow_for_good(shared: &Shared, mut events: Events) {
    loop {
        follow(shared, events).await;
        shared.reconciler.following.store(false, Ordering::Relaxed);
        for handle in shared.registry.all() {
            handle.send_waiting(Command::Unfollowed).await;
        }
        let again = || subscribe(shared);
        let complain = |error: &EngineError, _| {
            shared.reconciler.away.store(error.is_away(), Ordering::Relaxed);
            tracing::warn!(error = %crate::chain(error), "the engine cannot be followed; trying again");
        };
        match again.retry(patiently()).notify(complain).await {
            Ok(anew) => events = anew,
            Err(error) => {
                return tracing::error!(error = %crate::chain(&error), "the engine is followed no more");
            }
        }
        tracing::info!("the engine is back, and every container was compared with it");
    }
}

fn patiently() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_RETRY)
        .with_max_delay(LONGEST_RETRY)
        .without_max_times()
}

/// Events first: what happens while we compare is in the stream.
async fn subscribe(shared: &Shared) -> Result<Events, EngineError> {
    let events = shared.engine.events(&shared.settings.instance).await?;
    let listed = look_around(shared).await?;
    compare(shared, listed.into_iter().map(|entry| (entry.engine_id.clone(), entry)).collect()).await;
    shared.reconciler.away.store(false, Ordering::Relaxed);
    shared.reconciler.following.store(true, Ordering::Relaxed);
    Ok(events)
}

/// No call of ours stands between one event and the next: whoever is about to run a command in a frozen container waits for nobody.
async fn follow(shared: &Shared, events: Events) {
    tokio::select! {
        biased;
        () = take_each(shared, events) => {}
        never = look_at_networks(shared) => match never {},
    }
}

async fn take_each(shared: &Shared, mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            Ok(Event { kind: EventKind::Networks, .. }) => shared.reconciler.networks.notify_one(),
            Ok(event) => apply(shared, &event),
            Err(error) => {
                return tracing::warn!(error = %crate::chain(&error), "the engine's events broke off");
            }
        }
    }
    tracing::warn!("the engine's events ended");
}

/// Another spin-docker may have come, or our check-ins be left behind. Our own network is made again when it is needed.
async fn look_at_networks(shared: &Shared) -> Infallible {
    loop {
        shared.reconciler.networks.notified().await;
        let look = || async {
            know_neighbours(shared).await?;
            shared.keep_redirect().await
        };
        let complain = |error: &EngineError, _| {
            tracing::warn!(error = %crate::chain(error), "the engine's networks, or the redirect of check-ins, are not seen to yet; trying again");
        };
        // It is tried until it is done.
        look.retry(patiently()).notify(complain).await.unwrap_or_default();
    }
}

async fn know_neighbours(shared: &Shared) -> Result<(), EngineError> {
    let asked = shared.neighbours.ask();
    let mut subnets = shared.engine.our_subnets().await?;
    // Pruned, it comes back with the same.
    subnets.push(shared.ground.now().subnet);
    shared.neighbours.answered(asked, subnets);
    Ok(())
}

fn apply(shared: &Shared, event: &Event) {
    let Some(handle) = shared.registry.by_body(&event.engine_id) else { return };
    let command = match event.kind {
        EventKind::Killed => Command::Killed,
        EventKind::Stopped => Command::StoppedByHand,
        EventKind::Started => Command::Started,
        EventKind::Signalled => Command::Needed(Need::Signal),
        EventKind::Exec => Command::Needed(Need::Exec),
        EventKind::Networks => return,
        EventKind::Changed => Command::Compare(None),
    };
    if let Err(error) = handle.send(command) {
        tracing::warn!(container = handle.view().container.name, %error, "an event was not taken");
    }
}

/// A copy carries the labels of its original, and is another body.
fn is_ours(shared: &Shared, entry: &Listed) -> bool {
    entry.owner == shared.owner && shared.registry.may_be_body_of(&entry.engine_id, &entry.key)
}

/// What of others stands on our network keeps its address. Without a network, containers that run still do.
async fn restore_network(shared: &Shared, strangers: &[&Listed]) {
    match network::restore(shared).await {
        Ok(network) => {
            let running =
                network.taken.into_iter().filter(|taken| shared.registry.by_address(*taken).is_none());
            let sleeping = strangers.iter().filter_map(|stranger| stranger.address);
            shared.ledger.avoid(running.chain(sleeping).collect());
        }
        Err(error) => {
            tracing::error!(error = %crate::chain(&error), "the network cannot be had");
            // What is owed to it is looked at again.
            shared.reconciler.networks.notify_one();
        }
    }
}

fn report(shared: &Shared, strangers: &[&Listed]) {
    for entry in strangers {
        if shared.reconciler.is_news(entry) {
            tracing::warn!(name = %entry.name, engine_id = %entry.engine_id,
                "a container carries this instance's label and is not in the store; it is left alone");
        }
    }
}
