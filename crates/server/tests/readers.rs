//! Those who follow the events and never read: their places are for others. Those who read or send slowly, and those who say nothing.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use axum::body::Body;
use axum::response::Response;
use bench::{Bench, until};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use server::{Client, Limits, Names, Pages};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

const HEAD_WITHIN: Duration = Duration::from_millis(500);
const LIMITS: Limits = Limits { untaken: Duration::from_secs(2), head_within: HEAD_WITHIN, ..Limits::API };
/// Long, and more of them than the kernel holds for a reader.
const PAGE: &str = "/v1/openapi.json";
const MANY: usize = 60;

/// The bench's API on a port, with little patience.
async fn serve(bench: &Bench) -> SocketAddr {
    bench.listen(LIMITS, None).await
}

/// Asks for all events, and reads nothing.
async fn follower(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address).await;
    ask(&mut stream, "/v1/events", "Last-Event-ID: 0\r\n").await;
    stream
}

/// Its kernel takes little on its behalf.
async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

async fn ask(stream: &mut TcpStream, path: &str, lines: &str) {
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWRtaW46cA==\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

async fn status(stream: &mut TcpStream) -> String {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    String::from_utf8_lossy(&start[9..]).into_owned()
}

#[tokio::test]
async fn a_follower_that_never_reads_loses_its_place_and_one_that_does_keeps_it() {
    let bench = Bench::new().await;
    let address = serve(&bench).await;
    let uri = bench.create().await.body["uri"].as_str().unwrap().to_owned();
    // More than the sockets hold.
    for _ in 0..90 {
        for depth in ["frozen", "awake"] {
            assert_eq!(bench.send("PATCH", &uri, &format!("depth={depth}")).await.status, 200);
        }
    }
    let mut reads = follower(address).await;
    assert_eq!(status(&mut reads).await, "200");
    let reading = tokio::spawn(async move {
        let mut read = 0;
        while read < 50_000 {
            read += reads.read(&mut [0; 4096]).await.unwrap();
        }
        reads
    });
    let mut never = Vec::new();
    for _ in 1..64 {
        never.push(follower(address).await);
    }
    until("all places are taken", async || status(&mut follower(address).await).await == "429").await;
    let mut reads = reading.await.unwrap();
    until("there is room again", async || status(&mut follower(address).await).await == "200").await;
    bench.send("PATCH", &uri, "depth=frozen").await;
    until("whoever reads is told of what comes", async || {
        let mut some = [0; 4096];
        let read = reads.read(&mut some).await.unwrap();
        assert!(read > 0, "it was closed");
        String::from_utf8_lossy(&some[..read]).contains("\"id\":183,")
    })
    .await;
}

#[tokio::test]
async fn whoever_reads_an_answer_slowly_has_all_of_it_and_asks_again_and_whoever_then_says_nothing_is_closed()
{
    let bench = Bench::new().await;
    let address = serve(&bench).await;
    let mut answer = Vec::new();
    let mut stream = connect(address).await;
    ask(&mut stream, PAGE, "Connection: close\r\n").await;
    stream.read_to_end(&mut answer).await.unwrap();

    let mut stream = connect(address).await;
    for _ in 0..MANY {
        ask(&mut stream, PAGE, "").await;
    }
    tokio::time::sleep(3 * HEAD_WITHIN).await;
    let (mut read, mut some) = (0, [0; 65536]);
    while read < (MANY - 1) * answer.len() {
        let count = stream.read(&mut some).await.unwrap();
        assert!(count > 0, "cut off after {read} bytes");
        read += count;
    }
    ask(&mut stream, PAGE, "Connection: close\r\n").await;
    stream.read_to_end(&mut Vec::new()).await.unwrap();

    let mut silent = connect(address).await;
    let begun = std::time::Instant::now();
    assert_eq!(silent.read(&mut some).await.unwrap(), 0);
    assert!(begun.elapsed() >= HEAD_WITHIN);
}

/// Answers at once, and reads what comes after that.
struct Hasty(mpsc::UnboundedSender<usize>);

impl Pages for Hasty {
    fn answer(&self, _: String, request: Request<Incoming>, _: Client) -> BoxFuture<'static, Response<Body>> {
        let (head, mut body) = request.into_parts();
        let read = self.0.clone();
        tokio::spawn(async move {
            let _goes_with_the_body = head.extensions;
            let mut whole = 0;
            // hyper may not say more of the end of a body that outlasts its answer.
            while !body.is_end_stream() {
                let Some(Ok(frame)) = body.frame().await else { break };
                whole += frame.into_data().unwrap().len();
            }
            read.send(whole).unwrap();
        });
        Box::pin(async { Response::new(Body::from("taken")) })
    }
}

#[tokio::test]
async fn a_body_that_comes_slowly_after_its_answer_comes_whole() {
    let (read, mut whole) = mpsc::unbounded_channel();
    let names = Names::below("localhost", "", 1, Arc::new(Hasty(read)));
    let mut stream = connect(Bench::new().await.listen(LIMITS, Some(names)).await).await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 6\r\n\r\n").await.unwrap();
    assert_eq!(status(&mut stream).await, "200");
    for _ in 0..6 {
        tokio::time::sleep(HEAD_WITHIN / 2).await;
        stream.write_all(b".").await.unwrap();
    }
    assert_eq!(whole.recv().await.unwrap(), 6);
}
