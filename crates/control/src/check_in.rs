//! Check-ins: who speaks is told by the source address, which on our bridge the kernel vouches for, or by a token that the container
//! alone was given, where the engine stands between. And the door that they come through, which is tried from inside once: a
//! firewall in the way would look like idleness.

use crate::control::{Control, Shared};
use crate::handle::Handle;
use crate::measures;
use engine::{EngineError, Inside, Network};
use model::{Container, EngineId, Key};
use std::net::{IpAddr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Where the listener stands unless another program holds it: a port of its own, so that a firewall's rule may name it.
pub const DOOR_PORT: u16 = 48_080;
const TRY_WITHIN: Duration = Duration::from_secs(2);

/// Where check-ins arrive, once somebody listens.
#[derive(Debug, Default)]
pub(crate) struct CheckInDoor {
    door: OnceLock<Door>,
    tried: AtomicBool,
    redirect: Mutex<Option<Redirect>>,
    /// Held while it is moved: several starts may find a new network at once.
    moving: tokio::sync::Mutex<()>,
}

/// The redirect that check-ins need.
#[derive(Clone, Debug)]
struct Redirect {
    from: u16,
    to: u16,
    /// The network that it stands on, once it does: one that was made again has another bridge.
    on: Option<Network>,
}

impl CheckInDoor {
    fn redirect(&self) -> MutexGuard<'_, Option<Redirect>> {
        self.redirect.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two ports at the gateway's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// The one that containers speak to.
    pub inside: u16,
    /// The one that the listener holds. Another than `inside` where our bridge redirects.
    pub listening: u16,
}

impl Control {
    /// Takes a check-in from this address. Who is not a running container of ours changes nothing, and learns nothing.
    pub fn check_in(&self, source: IpAddr, value: &str) {
        let sender = match source.to_canonical() {
            IpAddr::V4(source) => self.shared.registry.by_address(source),
            IpAddr::V6(_) => None,
        };
        // Out of our reach, an address is somebody else's here.
        self.take_check_in(sender.filter(|sender| !sender.view().container.is_published()), value);
    }

    /// The same from whoever has this token, wherever it comes from.
    pub fn check_in_by(&self, token: &str, value: &str) {
        self.take_check_in(self.shared.registry.by_key(&Key::new(token)), value);
    }

    fn take_check_in(&self, sender: Option<Handle>, value: &str) {
        let Some(handle) = sender else { return measures::check_in("unknown") };
        match handle.report(value, self.shared.clock.now()) {
            Ok(()) => measures::check_in("taken"),
            Err(error) => {
                measures::check_in("refused");
                tracing::warn!(container = handle.view().container.name, %error, "a check-in was not taken");
            }
        }
    }

    /// Sends what containers say to port `from` of their gateway to port `to` there, from now on, wherever their network is. On an
    /// error, nothing of it is left.
    pub async fn redirect_check_ins(&self, from: u16, to: u16) -> Result<(), EngineError> {
        *self.shared.door.redirect() = Some(Redirect { from, to, on: None });
        let redirected = self.shared.keep_redirect().await;
        if redirected.is_err()
            && let Err(error) = self.undo_redirect().await
        {
            tracing::debug!(error = %crate::chain(&error), "nor can a redirect of before be taken back");
        }
        redirected
    }

    /// Takes that back.
    pub async fn undo_redirect(&self) -> Result<(), EngineError> {
        // One that is being moved is taken back where it comes to stand.
        let _moving = self.shared.door.moving.lock().await;
        let on = self.shared.door.redirect().take().and_then(|redirect| redirect.on);
        self.shared.engine.undo_redirect(&on.unwrap_or_else(|| self.network())).await
    }

    /// Says that somebody listens. The first container that runs tries the way.
    pub fn open_door(&self, door: Door) {
        self.shared.door.door.get_or_init(|| door);
        if let Some(view) =
            self.list().iter().find(|view| view.container.phase.status() == model::Status::Running)
        {
            try_once(&self.shared, &view.container);
        }
    }
}

impl Shared {
    /// Has the redirect, if there is to be one, on the network of now.
    pub(crate) async fn keep_redirect(&self) -> Result<(), EngineError> {
        let _moving = self.door.moving.lock().await;
        let now = self.ground.now();
        let Some(Redirect { from, to, on }) = self.door.redirect().clone() else { return Ok(()) };
        if on.as_ref().is_some_and(|on| on.id == now.id) {
            return Ok(());
        }
        if let Some(before) = on {
            self.engine.undo_redirect(&before).await?;
        }
        self.engine.redirect(&now, from, to).await?;
        self.door.redirect().iter_mut().for_each(|redirect| redirect.on = Some(now.clone()));
        Ok(())
    }
}

/// Tries the way in from inside this container, if nobody did before.
pub(crate) fn try_once(shared: &Arc<Shared>, container: &Container) {
    let (Some(door), Some(body)) = (shared.door.door.get().copied(), container.engine_id.clone()) else {
        return;
    };
    if shared.door.tried.swap(true, Ordering::Relaxed) {
        return;
    }
    let trying = Arc::clone(shared);
    shared.tasks.spawn(async move {
        let ending = trying.ending.clone();
        ending.run_until_cancelled(try_door(&trying, &body, door)).await;
    });
}

async fn try_door(shared: &Shared, body: &EngineId, door: Door) {
    let network = shared.ground.now();
    let to = SocketAddrV4::new(network.gateway, door.inside);
    match shared.engine.connect_from_inside(body, to, TRY_WITHIN).await {
        Ok(Inside::Connected) => tracing::debug!(%to, "check-ins arrive"),
        Ok(Inside::NotTried) => tracing::debug!(%to, "the way of check-ins was not tried: no right to"),
        Ok(Inside::Refused | Inside::TimedOut) => tracing::warn!("{}", blocked(&network, door)),
        Err(error) => {
            shared.door.tried.store(false, Ordering::Relaxed);
            tracing::debug!(error = %crate::chain(&error), "the way of check-ins could not be tried");
        }
    }
}

/// What to say when check-ins do not arrive. The firewall sees the port after the redirect.
fn blocked(network: &Network, door: Door) -> String {
    let (bridge, gateway, port) = (&network.bridge, network.gateway, door.listening);
    format!(
        "check-ins from containers do not arrive at {gateway}:{}: a firewall is in the way, and containers will look \
         idle; let them in with `ufw allow in on {bridge} to {gateway} port {port} proto tcp`, or `iptables -I INPUT \
         -i {bridge} -d {gateway} -p tcp --dport {port} -j ACCEPT`",
        door.inside
    )
}

/// Where a container checks in with a token, as it is told: the key, which is random, on no answer of the API, and for its life.
///
/// Where there is none it is empty: an image that was committed from a container may have the container's.
pub(crate) fn way_in(url: Option<&str>, container: &Container) -> String {
    let way = url.map(|url| format!("{url}?token={}", container.key));
    format!("SPIN_DOCKER_CHECK_IN_URL={}", way.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firewalls_rule_names_the_port_that_it_sees() {
        let network = Network {
            name: "n".into(),
            id: "i".into(),
            subnet: "172.18.0.0/16".parse().unwrap(),
            gateway: "172.18.0.1".parse().unwrap(),
            bridge: "br-1".into(),
            taken: Vec::new(),
        };
        let text = blocked(&network, Door { inside: 80, listening: DOOR_PORT });
        assert!(text.contains("ufw allow in on br-1 to 172.18.0.1 port 48080 proto tcp"), "{text}");
        assert!(text.contains("at 172.18.0.1:80:"), "{text}");
    }
}
