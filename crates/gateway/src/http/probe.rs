//! A question of our own, to see whether an application can serve. It counts as no use of the container.

use crate::proxy_header::OUR_OWN;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use model::IdlePolicy;
use std::convert::Infallible;
use std::net::SocketAddrV4;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// From the connection to the answer's head.
const WITHIN: Duration = Duration::from_secs(3);

/// Whether a `GET` of this path is answered there, with less than 400.
pub(crate) async fn answers(at: SocketAddrV4, path: &str, policy: &IdlePolicy) -> bool {
    let asked = tokio::time::timeout(WITHIN, ask(at, path, policy)).await;
    asked.is_ok_and(|status| status.is_ok_and(|status| status < 400))
}

async fn ask(
    at: SocketAddrV4,
    path: &str,
    policy: &IdlePolicy,
) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let mut stream = TcpStream::connect(at).await?;
    if policy.proxy_protocol {
        stream.write_all(OUR_OWN).await?;
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(header::HOST, at.to_string())
        .header(header::USER_AGENT, "spin-docker")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    // How it ended shows in the answer, or in that there is none.
    let kept_going = async {
        connection.await.unwrap_or_default();
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = sender.send_request(request) => Ok(answer?.status().as_u16()),
        never = kept_going => match never {},
    }
}
