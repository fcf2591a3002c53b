//! An upgraded connection: two sockets and what was read of them already, then bytes both ways.

use super::Client;
use crate::lane;
use bytes::Bytes;
use control::{Flow, Target};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How long both sides may take to let go of their sockets.
const LET_GO_WITHIN: Duration = Duration::from_secs(10);

/// Forwards until both sides have ended.
pub(super) async fn forward<C: Client>(
    client: OnUpgrade,
    container: OnUpgrade,
    target: &Target,
    flow: &Flow,
) {
    let both = tokio::time::timeout(LET_GO_WITHIN, async { tokio::try_join!(client, container) });
    let (client, container) = match both.await {
        Ok(Ok((client, container))) => (C::take_over(client), take_over(container)),
        Ok(Err(error)) => return tracing::debug!(%error, "a connection was not upgraded"),
        Err(_) => return tracing::debug!("a connection was not upgraded in time"),
    };
    let (Some((mut client, early)), Some((mut container, late))) = (client, container) else {
        return tracing::error!("an upgraded connection is held by somebody else");
    };
    if !flow.inward(early.len())
        && let Err(error) = target.wake(flow).await
    {
        return tracing::debug!(%error, "an upgraded connection did not wake its container");
    }
    flow.outward(late.len());
    let passed = async { tokio::try_join!(container.write_all(&early), client.write_all(&late)) };
    if let Err(error) = passed.await {
        return tracing::debug!(%error, "an upgraded connection broke off");
    }
    if let Err(cut) = lane::forward(&client, &container, flow, target).await {
        tracing::debug!(%cut, "an upgraded connection broke off");
        crate::connection::reset(&client);
        crate::connection::reset(&container);
    }
}

fn take_over(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf))
}
