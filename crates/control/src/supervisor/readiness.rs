//! Whether an application can serve: asked at growing intervals, in the way that its image names.

use crate::control::Shared;
use backon::{ExponentialBuilder, Retryable};
use model::{Container, EngineId, IdlePolicy, Ready};
use std::time::Duration;

/// How long connections are held for an application that says it cannot serve yet.
const WITHIN: Duration = Duration::from_secs(30);
const FIRST_ASK: Duration = Duration::from_millis(10);
const LONGEST_ASK: Duration = Duration::from_millis(250);

/// Comes back when it can, when it runs no more, or when it took too long: then connections go through all the same.
pub(super) async fn wait(
    shared: &Shared,
    body: &EngineId,
    (container, policy): (&Container, &IdlePolicy),
    ready: &Ready,
) {
    let ask = || ask(shared, body, (container, policy), ready);
    let pause = ExponentialBuilder::default().with_min_delay(FIRST_ASK).with_max_delay(LONGEST_ASK);
    if tokio::time::timeout(WITHIN, ask.retry(pause.without_max_times())).await.is_err() {
        tracing::warn!(%body, ?ready, within = ?WITHIN, "not ready in time; forwarding all the same");
    }
}

/// An error is worth another try.
async fn ask(
    shared: &Shared,
    body: &EngineId,
    (container, policy): (&Container, &IdlePolicy),
    ready: &Ready,
) -> Result<(), ()> {
    let command = match ready {
        Ready::Path { path, port } => {
            return shared
                .endpoints
                .answers(container.way_to(*port), path, policy)
                .await
                .then_some(())
                .ok_or(());
        }
        Ready::Shell(line) => &engine::shell(line)[..],
        Ready::Command(command) => command,
    };
    match shared.engine.exec(body, command, WITHIN).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(()),
        Err(error) if error.is_retryable() => Err(()),
        // It runs no more, or there is no such program in it: that ends the asking.
        Err(_) => Ok(()),
    }
}
