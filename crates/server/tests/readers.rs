//! Those who follow the events and never read: their places are for others.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, until};
use control::Neighbours;
use server::{Hosts, Limits, Listening};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The bench's API on a port, with little patience.
async fn serve(bench: &Bench) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { untaken: Duration::from_secs(2), ..Limits::API };
    let (routes, hosts, refused) = (bench.routes.clone(), Hosts::any(), Neighbours::default());
    let listening = Listening { listener, routes, limits, hosts, names: None, refused, threads: Vec::new() };
    tokio::spawn(listening.serve(bench.app.ending.clone(), Duration::from_secs(1)));
    address
}

/// Asks for all events, and reads nothing. Its kernel takes little on its behalf.
async fn follower(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWRtaW46cA==\r\nLast-Event-ID: 0\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
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
