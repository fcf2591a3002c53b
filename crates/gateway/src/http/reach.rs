//! A new connection to a container: as soon as it may be had, or for as long as whoever asks will wait.

use super::exchange::Route;
use super::page::{Asked, Trouble};
use super::site::{Link, Site};
use crate::connection::{gave_up, unreached};
use crate::dial::{Unreached, dial};
use crate::proxy_header::OUR_OWN;
use crate::{Course, Gateway};
use control::{Flow, Target};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use model::Reach;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long a browser is held before it gets a page: most containers are there by then.
const BROWSERS_WAIT: Duration = Duration::from_millis(700);

/// For the request that goes this way. A browser is told to come back, and meanwhile the container is waited for on its behalf.
pub(super) async fn connect(
    gateway: &Gateway,
    route: &Route,
    asked: Asked,
    deadline: Instant,
) -> Result<Link, Trouble> {
    let attempt = Attempt {
        site: Arc::clone(&route.site),
        gateway: gateway.clone(),
        target: route.target.clone(),
        flow: Arc::clone(&route.flow),
        wake_timeout: route.upstream.policy.wake_timeout,
        deadline,
    };
    let mut connected = Box::pin(attempt.run());
    if !asked.is_browser {
        return connected.await;
    }
    match tokio::time::timeout(BROWSERS_WAIT, &mut connected).await {
        Ok(connected) => connected,
        Err(_) => {
            if route.site.await_once() {
                let site = Arc::clone(&route.site);
                gateway.spawn(async move {
                    if let Ok(link) = connected.await {
                        site.rest(link);
                    }
                    site.awaited_no_more();
                });
            }
            Err(Trouble::ComingUp(route.upstream.clone()))
        }
    }
}

/// All that it takes to go on when nobody waits any more.
struct Attempt {
    site: Arc<Site>,
    gateway: Gateway,
    target: Target,
    flow: Arc<Flow>,
    wake_timeout: Duration,
    deadline: Instant,
}

impl Attempt {
    async fn run(self) -> Result<Link, Trouble> {
        let in_time = tokio::time::timeout_at(self.deadline, self.reach());
        let stream = self.site.released.run_until_cancelled(in_time).await.ok_or(Trouble::Unknown)?;
        let stream = stream.map_err(|_| self.is_too_late())??;
        self.handshake(stream).await
    }

    fn is_too_late(&self) -> Trouble {
        let reach = self.site.course.borrow().reach;
        self.target.gave_up(&self.flow, gave_up(reach, &self.flow, self.wake_timeout));
        Trouble::TooLate
    }

    /// Follows the course until the container accepts, or will not.
    async fn reach(&self) -> Result<TcpStream, Trouble> {
        let mut course = self.site.course.clone();
        loop {
            let now = course.borrow_and_update().clone();
            let step = async {
                match now.reach {
                    Reach::Refuse => return Err(Trouble::Stopped),
                    Reach::Forward => return self.dial(&now).await.map(Some),
                    Reach::Hold => {}
                    Reach::Wake | Reach::WakeOnByte => self.wake().await?,
                }
                Ok(None)
            };
            tokio::select! {
                biased;
                stepped = step => match stepped? {
                    Some(stream) => return Ok(stream),
                    // The course says what comes next.
                    None => course.changed().await,
                },
                changed = course.changed() => changed,
            }
            .map_err(|_| Trouble::Unknown)?;
        }
    }

    async fn dial(&self, course: &Course) -> Result<TcpStream, Trouble> {
        let dialled = dial(&self.target, &self.flow, course, self.wake_timeout, &mut None).await;
        dialled.map_err(|why| match why {
            Unreached::Asleep(error) => Trouble::NotAwake(error),
            Unreached::Unreachable(error) => {
                unreached(&self.target, &self.flow, &error);
                Trouble::Unreachable(error.to_string())
            }
        })
    }

    async fn wake(&self) -> Result<(), Trouble> {
        self.target.wake(&self.flow).await.map_err(Trouble::NotAwake)
    }

    /// What goes over it is many clients', each named by its request: it begins as ours, where it has to begin with a header.
    async fn handshake(&self, mut stream: TcpStream) -> Result<Link, Trouble> {
        let begun = async {
            if self.target.proxy_protocol() {
                stream.write_all(OUR_OWN).await?;
            }
            let from = stream.local_addr()?.port();
            let (sender, connection) = http1::Builder::new()
                .writev(false)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            Ok((Link::new(sender, from), connection))
        };
        let (link, connection) =
            begun.await.map_err(|error: io::Error| Trouble::Unreachable(error.to_string()))?;
        let released = self.site.released.clone();
        self.gateway.spawn(async move {
            if let Some(Err(error)) = released.run_until_cancelled(connection.with_upgrades()).await {
                tracing::debug!(%error, "a connection to a container broke off");
            }
        });
        Ok(link)
    }
}
