//! An upgraded connection: two sockets and what was read of them already, then bytes both ways.

use super::Client;
use crate::connection::Cut;
use bytes::Bytes;
use control::{Flow, Target};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::net;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How long both sides may take to let go of their sockets.
const LET_GO_WITHIN: Duration = Duration::from_secs(10);

/// The client's socket and the container's, with nothing left to pass on but what comes; none where there is no such connection any more.
pub(super) async fn sockets<C: Client>(
    client: OnUpgrade,
    container: OnUpgrade,
    target: &Target,
    flow: &Flow,
) -> Option<(net::TcpStream, net::TcpStream)> {
    let both = tokio::time::timeout(LET_GO_WITHIN, async { tokio::try_join!(client, container) });
    let (client, container) = match both.await {
        Ok(Ok((client, container))) => (C::take_over(client), take_over(container)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection was not upgraded");
            return None;
        }
        Err(_) => {
            tracing::debug!("a connection was not upgraded in time");
            return None;
        }
    };
    let (Some(client), Some(container)) = (client, container) else {
        tracing::error!("an upgraded connection is held by somebody else");
        return None;
    };
    let begun = begin(client, container, target, flow).await;
    begun.inspect_err(|why| tracing::debug!(%why, "an upgraded connection broke off")).ok()
}

/// Passes on what was read already.
async fn begin(
    (mut client, early): (TcpStream, Bytes),
    (mut container, late): (TcpStream, Bytes),
    target: &Target,
    flow: &Flow,
) -> Result<(net::TcpStream, net::TcpStream), Cut> {
    if !flow.inward(early.len()) {
        target.wake(flow).await?;
    }
    flow.outward(late.len());
    tokio::try_join!(container.write_all(&early), client.write_all(&late))?;
    Ok((client.into_std()?, container.into_std()?))
}

fn take_over(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf))
}
