//! So many connections ask for containers by name at once, and whoever is one too many is told to come back.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use axum::body::Body;
use axum::response::Response;
use bench::{Bench, until};
use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::body::Incoming;
use server::{Client, Limits, Names, Pages};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Every name is a container's.
struct Somebody;

impl Pages for Somebody {
    fn answer(&self, _: String, _: Request<Incoming>, _: Client) -> BoxFuture<'static, Response<Body>> {
        Box::pin(async { Response::new(Body::from("here\n")) })
    }
}

/// What a new connection that asks this host is told, to the end of the body; the connection stays open.
async fn ask(address: SocketAddr, host: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let mut read = 0;
    while !answer[..read].ends_with(b"\n") || answer[..read].ends_with(b"\r\n") {
        let more = stream.read(&mut answer[read..]).await.unwrap();
        assert!(more > 0, "it was closed");
        read += more;
    }
    (String::from_utf8_lossy(&answer[..read]).into_owned(), stream)
}

#[tokio::test]
async fn one_more_by_name_than_there_are_places_is_503_and_the_api_goes_on() {
    let bench = Bench::new().await;
    let names = Names::below("localhost", "", 2, Arc::new(Somebody));
    let address = bench.listen(Limits::API, Some(names)).await;
    let mut open = Vec::new();
    for host in ["a.localhost", "b.localhost"] {
        let (answer, stream) = ask(address, host).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("here\n"), "{answer}");
        open.push(stream);
    }
    let (refused, _stream) = ask(address, "a.localhost").await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(refused.ends_with("Too many connections to containers are open; try again\n"), "{refused}");
    assert!(ask(address, "localhost").await.0.ends_with("alive\n"));
    open.pop();
    until("there is a place again", async || ask(address, "b.localhost").await.0.ends_with("here\n")).await;
}
