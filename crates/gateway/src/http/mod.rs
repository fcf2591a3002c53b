//! HTTP by name: a reverse proxy to each container's HTTP port.
//!
//! hyper frames on both sides, so that no two readings of a request exist: what is forwarded was parsed whole, hop by hop
//! (`headers`), and is sent anew (`proxy`). A request wakes its container and is held meanwhile, unless a browser asks: it gets a page that asks
//! again by itself (`page`). Connections to a container rest between requests, apart for each container (`site`), and one that turns
//! out to be dead costs nobody an answer where the request may be sent again (`exchange`). Whether a container exists, sleeps or is
//! ready is the control's to say; nobody is authenticated here.

mod body;
mod exchange;
mod headers;
mod ignored;
mod page;
mod probe;
mod proxy;
mod reach;
mod site;
mod upgrade;

pub use body::{Body, Outward};
pub use headers::Trusted;
pub(crate) use probe::answers;
pub use proxy::Proxy;
pub(crate) use site::Sites;

use async_trait::async_trait;
use bytes::Bytes;
use control::Control;
use hyper::header::HeaderValue;
use hyper::upgrade::Upgraded;
use model::{IdlePolicy, Status};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// So much of what a container wrote is shown while it comes up.
const LINES: usize = 20;

/// Who knows the containers.
#[async_trait]
pub trait Upstreams: Send + Sync + 'static {
    /// The one that goes by this label of a host name.
    fn find(&self, label: &str) -> Option<Upstream>;

    /// What it last wrote, a few lines, for whoever may see them.
    async fn lines(&self, label: &str) -> Vec<String>;
}

/// A container, as the proxy needs to know it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// What its users call it.
    pub name: String,
    /// The port of ours that leads to its HTTP port; none where its image exposes none.
    pub port: Option<u16>,
    /// What to say while it comes up.
    pub status: Status,
    /// Which requests neither wake it nor keep it awake.
    pub policy: Arc<IdlePolicy>,
}

#[async_trait]
impl Upstreams for Arc<Control> {
    fn find(&self, label: &str) -> Option<Upstream> {
        let view = self.find_by_label(label)?.view();
        let container = &view.container;
        Some(Upstream {
            name: container.name.trim_start_matches('/').to_owned(),
            port: container.app_host_port(),
            status: container.phase.status(),
            policy: Arc::clone(&view.policy),
        })
    }

    async fn lines(&self, label: &str) -> Vec<String> {
        let Some(handle) = self.find_by_label(label) else { return Vec::new() };
        let lines = Control::lines(self, &handle.view(), LINES).await;
        lines.unwrap_or_else(|error| vec![control::chain(&error)])
    }
}

/// The connection that a request came by.
pub trait Client: Send + Unpin + 'static {
    /// Where it comes from.
    fn peer(&self) -> SocketAddr;

    /// The address of that, as text.
    fn address(&self) -> HeaderValue;

    /// Whether the request carries credentials of the API's.
    fn is_admin(&self) -> bool;

    /// Ready once the client is gone. Polled by the task that answers.
    fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()>;

    /// The socket of an upgraded connection, and what was read from it already.
    fn take_over(upgraded: Upgraded) -> Option<(TcpStream, Bytes)>;
}
