//! One connection: held until the container's port accepts, waking it where that is needed, then forwarded. What the client
//! sent first stays in its socket meanwhile, so nothing of it is lost.

use crate::dial::{Unreached, dial, is_out_of_ports};
use crate::proxy_header::proxy_header;
use crate::{Course, lane};
use control::{Flow, GaveUp, Target, WakeError};
use model::Reach;
use socket2::{SockRef, Socket};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

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

/// A client that was accepted.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Towards the container: made when the client was accepted, so that whoever got one descriptor has the other.
    pub(crate) spare: Option<Socket>,
    pub(crate) flow: Flow,
    pub(crate) target: Target,
}

/// Serves one client to its end. What a connection holds for as long as it lives is little: the way to the container is in a box
/// that is gone once it is there, and an async fn would hold its arguments twice.
pub(crate) fn attend(
    mut client: Client,
    course: watch::Receiver<Course>,
    wake_timeout: Duration,
) -> impl Future<Output = ()> + Send {
    let spare = client.spare.take();
    async move {
        let served = match Box::pin(reach(&client, spare, course, wake_timeout)).await {
            Ok(container) => {
                let ended = lane::forward(&client.stream, &container, &client.flow, &client.target).await;
                ended.inspect_err(|_| reset(&container))
            }
            Err(cut) => Err(cut),
        };
        if let Err(cut) = served {
            if let Cut::Unreachable(error) = &cut {
                unreached(&client.target, &client.flow, error);
            }
            report(&cut, &client);
            reset(&client.stream);
        }
    }
}

/// A connection to the container within the wake timeout, or as long as the client stays.
async fn reach(
    client: &Client,
    mut spare: Option<Socket>,
    mut course: watch::Receiver<Course>,
    wake_timeout: Duration,
) -> Result<TcpStream, Cut> {
    // Frozen meanwhile, its application would come up all the later.
    client.flow.awaits(true);
    let connecting = connect(client, &mut spare, &mut course, wake_timeout);
    let connected = tokio::select! {
        biased;
        connected = tokio::time::timeout(wake_timeout, connecting) => connected,
        () = lane::broken(&client.stream) => return Err(Cut::Broken(ErrorKind::ConnectionReset.into())),
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
    client: &Client,
    spare: &mut Option<Socket>,
    course: &mut watch::Receiver<Course>,
    early_for: Duration,
) -> Result<TcpStream, Cut> {
    loop {
        let now = course.borrow_and_update().clone();
        let step = async {
            match (now.reach, &now.target) {
                (Reach::Refuse, _) | (_, None) => return Err(Cut::Stopped),
                (Reach::Forward, Some(target)) => {
                    let container = dial(target, &client.flow, &now, early_for, spare).await?;
                    begin(client, &container)?;
                    return Ok(Some(container));
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
async fn first_byte(client: &TcpStream) -> Result<(), Cut> {
    match client.peek(&mut [0]).await? {
        0 => Err(Cut::Broken(ErrorKind::UnexpectedEof.into())),
        _ => Ok(()),
    }
}

/// What comes before the first byte: the port that is ours, and who the client is. A new connection takes the whole header.
fn begin(client: &Client, container: &TcpStream) -> Result<(), Cut> {
    client.flow.reaches_from(container.local_addr()?.port());
    client.flow.awaits(false);
    if client.target.proxy_protocol() {
        let header = proxy_header(client.flow.peer(), client.stream.local_addr()?);
        if lane::send(container, &header)? < header.len() {
            return Err(Cut::Unreachable(ErrorKind::WriteZero.into()));
        }
    }
    Ok(())
}

fn report(why: &Cut, client: &Client) {
    let (peer, target) = (client.flow.peer(), client.target.address);
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
pub(crate) fn reset(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a connection is closed in order instead");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With what the runtime adds to a task, so many bytes are 512; the next size is a quarter more.
    const FITS: usize = 384;

    fn size_of_its_future<F>(_: impl Fn(Client, watch::Receiver<Course>, Duration) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_at_rest_is_small() {
        assert!(size_of_its_future(attend) <= FITS, "{} bytes", size_of_its_future(attend));
    }
}
