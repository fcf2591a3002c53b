//! One connection until it is forwarded: held until the container's port accepts, waking it where that is needed. What the client
//! sent first stays in its socket meanwhile, so nothing of it is lost.

use crate::Course;
use crate::connections::Connections;
use crate::dial::{Unreached, dial, is_out_of_ports};
use crate::lane::{self, Lane, Pair};
use crate::proxy_header::proxy_header;
use control::{Flow, GaveUp, Target, WakeError};
use model::Reach;
use socket2::{SockRef, Socket};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream as Waiting;
use tokio::sync::watch;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Why a connection did not come to its own end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the connection to the container failed: {0}")]
    Unreachable(io::Error),
    #[error("the container did not wake: {0}")]
    Asleep(#[from] WakeError),
    #[error("the container was stopped")]
    Stopped,
    #[error("its port did not accept within the wake timeout")]
    TooLate,
    #[error("one side reset it: {0}")]
    Broken(#[from] io::Error),
}

impl From<Unreached> for Cut {
    fn from(why: Unreached) -> Self {
        match why {
            Unreached::Asleep(error) => Self::Asleep(error),
            Unreached::Unreachable(error) => Self::Unreachable(error),
        }
    }
}

/// A client that was accepted, and where it goes.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    pub(crate) flow: Arc<Flow>,
    pub(crate) target: Target,
}

/// Those among whom a connection is counted: some are cut off with it, and the gateway ends after it.
pub(crate) type Among = (Arc<Connections>, TaskTrackerToken);

impl Client {
    /// With its connection to the container: what is to be forwarded from now on. None where it is broken already.
    pub(crate) fn begin(self, container: TcpStream, among: Among) -> Option<Pair> {
        match begin(&self, &container) {
            Ok(()) => Some(Pair::new(self.stream, container, (self.flow, self.target), among)),
            Err(cut) => {
                self.is_cut(&cut);
                None
            }
        }
    }

    /// Has it wait until the container's port accepts, and forwarded by the lane then. The first attempt takes the `spare` socket.
    pub(crate) async fn attend(
        self,
        spare: Option<Socket>,
        (course, wake_timeout): (watch::Receiver<Course>, Duration),
        (lane, among): (Lane, Among),
    ) {
        let reached = match self.waiting() {
            Ok(client) => client.reach(spare, course, wake_timeout).await,
            Err(cut) => return tracing::warn!(%cut, "a client could not be waited for"),
        };
        if let Some((client, container)) = reached
            && let Some(pair) = client.begin(container, among)
        {
            lane.forward(pair);
        }
    }

    fn waiting(self) -> Result<Client<Waiting>, Cut> {
        let Self { stream, flow, target } = self;
        Ok(Client { stream: Waiting::from_std(stream)?, flow, target })
    }

    fn is_cut(&self, why: &Cut) {
        report(why, self.flow.peer(), self.target.address);
        reset(&self.stream);
    }
}

impl Client<Waiting> {
    /// Waits for nobody any more.
    fn back(self) -> Result<Client, Cut> {
        let Self { stream, flow, target } = self;
        Ok(Client { stream: stream.into_std()?, flow, target })
    }

    /// With a connection to the container, once there is one; none where there will be none, which is said.
    async fn reach(
        self,
        spare: Option<Socket>,
        course: watch::Receiver<Course>,
        wake_timeout: Duration,
    ) -> Option<(Client, TcpStream)> {
        let reached = reach(&self, spare, course, wake_timeout).await;
        let client = self.back().inspect_err(|cut| tracing::warn!(%cut, "a client was lost")).ok()?;
        match reached.and_then(|container| Ok(container.into_std()?)) {
            Ok(container) => Some((client, container)),
            Err(cut) => {
                if let Cut::Unreachable(error) = &cut {
                    unreached(&client.target, &client.flow, error);
                }
                client.is_cut(&cut);
                None
            }
        }
    }
}

/// A connection to the container within the wake timeout, or as long as the client stays.
async fn reach(
    client: &Client<Waiting>,
    mut spare: Option<Socket>,
    mut course: watch::Receiver<Course>,
    wake_timeout: Duration,
) -> Result<Waiting, Cut> {
    // Frozen meanwhile, its application would come up all the later.
    client.flow.awaits(true);
    let connecting = connect(client, &mut spare, &mut course, wake_timeout);
    let connected = tokio::select! {
        biased;
        connected = tokio::time::timeout(wake_timeout, connecting) => connected,
        () = broken(&client.stream) => return Err(Cut::Broken(ErrorKind::ConnectionReset.into())),
    };
    connected.unwrap_or_else(|_| {
        let reach = course.borrow().reach;
        client.target.gave_up(&client.flow, gave_up(reach, &client.flow, wake_timeout));
        Err(Cut::TooLate)
    })
}

/// What a connection waited for in vain.
pub(crate) fn gave_up(reach: Reach, flow: &Flow, waited: Duration) -> GaveUp {
    let is_awake = reach == Reach::Forward && !flow.is_asleep();
    if is_awake { GaveUp::NotAccepted(waited) } else { GaveUp::NotAwake(waited) }
}

/// Tells what kept a connection from a container that is awake, where its owner can do something about it.
pub(crate) fn unreached(target: &Target, flow: &Flow, why: &io::Error) {
    if is_out_of_ports(why) {
        target.gave_up(flow, GaveUp::OutOfPorts);
    } else if why.kind() == ErrorKind::ConnectionRefused {
        target.gave_up(flow, GaveUp::Closed);
    }
}

/// Follows the course until the container accepts, or will not.
async fn connect(
    client: &Client<Waiting>,
    spare: &mut Option<Socket>,
    course: &mut watch::Receiver<Course>,
    early_for: Duration,
) -> Result<Waiting, Cut> {
    loop {
        let now = course.borrow_and_update().clone();
        let step = async {
            match (now.reach, &now.target) {
                (Reach::Refuse, _) | (_, None) => return Err(Cut::Stopped),
                (Reach::Forward, Some(target)) => {
                    return Ok(Some(dial(target, &client.flow, &now, early_for, spare).await?));
                }
                (Reach::Hold, Some(_)) => {}
                (Reach::Wake, Some(target)) => target.wake(&client.flow).await?,
                (Reach::WakeOnByte, Some(target)) => {
                    first_byte(&client.stream).await?;
                    target.wake(&client.flow).await?;
                }
            }
            Ok(None)
        };
        tokio::select! {
            biased;
            stepped = step => match stepped? {
                Some(container) => return Ok(container),
                // The course says what comes next.
                None => course.changed().await,
            },
            changed = course.changed() => changed,
        }
        .map_err(|_| Cut::Stopped)?;
    }
}

/// Whoever only looks whether the port is open says nothing.
async fn first_byte(client: &Waiting) -> Result<(), Cut> {
    match client.peek(&mut [0]).await? {
        0 => Err(Cut::Broken(ErrorKind::UnexpectedEof.into())),
        _ => Ok(()),
    }
}

/// Comes back when the client's side is broken. A client that only closed its sending side still waits for an answer.
async fn broken(client: &Waiting) {
    if let Err(error) = client.ready(Interest::ERROR).await {
        tracing::debug!(%error, "a client's socket cannot be watched");
    }
}

/// What comes before the first byte: the port that is ours, and who the client is. A new connection takes the whole header.
fn begin(client: &Client, container: &TcpStream) -> Result<(), Cut> {
    client.flow.reaches_from(container.local_addr()?.port());
    client.flow.awaits(false);
    if client.target.proxy_protocol() {
        let header = proxy_header(client.flow.peer(), client.stream.local_addr()?);
        if lane::send(container, &header, false)? < header.len() {
            return Err(Cut::Unreachable(ErrorKind::WriteZero.into()));
        }
    }
    Ok(())
}

/// Says of a connection that did not come to its own end why.
pub(crate) fn report(why: &Cut, peer: SocketAddr, target: SocketAddrV4) {
    match why {
        Cut::Broken(_) => tracing::debug!(%peer, %target, %why, "a connection was reset"),
        Cut::Unreachable(error) if is_out_of_ports(error) => tracing::warn!(
            %peer,
            %target,
            "no local port is left towards a container, and a connection was closed; net.ipv4.tcp_tw_reuse=1 lets ports in TIME_WAIT be used again"
        ),
        _ => tracing::info!(%peer, %target, %why, "a connection was closed"),
    }
}

/// The other side's next read says that the connection was reset, instead of a clean end that never was.
pub(crate) fn reset(stream: &impl AsFd) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection is closed in order instead");
    }
}
