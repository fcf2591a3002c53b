//! What runs in a container, and what is seen of it.

use crate::bench::Bench;
use engine::{EngineError, Event, EventKind, Socket};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use model::{EngineId, Freezer, Observation};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub async fn frozen(bench: &Bench, id: &EngineId) -> Option<Freezer> {
    match bench.engine.inspect(id).await.unwrap() {
        Observation::Running { frozen, .. } => frozen,
        other => panic!("it runs: {other:?}"),
    }
}

pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What is told of it next.
pub async fn next(events: &mut BoxStream<'static, Result<Event, EngineError>>, id: &EngineId) -> EventKind {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        let event = event.expect("an event comes").expect("the stream goes on").unwrap();
        if event.engine_id == *id {
            return event.kind;
        }
    }
}

pub const SERVER: &str = "$l = IO::Socket::INET->new(Listen => 64, LocalPort => 8000) or die;
    while ($c = $l->accept) { sysread($c, $b, 5); syswrite($c, 'answer'); push @open, $c }";

/// Starts a program inside that nobody waits for.
pub fn run_inside(bench: &Bench, id: &EngineId, program: &[&str]) {
    bench.docker_cli(&[&["exec", "-d", id.as_str()], program].concat());
}

/// The host's id of the process inside whose command line has this in it.
pub async fn process_inside(id: &EngineId, part: &str) -> String {
    let mut found = None;
    until("the program runs", async || {
        found = processes_of(id).find(|pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(part)
        });
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// By their control groups: not every engine answers `docker top`.
fn processes_of(id: &EngineId) -> impl Iterator<Item = String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter_map(|entry| entry.file_name().into_string().ok());
    all.filter(move |pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .is_ok_and(|groups| groups.contains(id.as_str()))
    })
}

/// Nanoseconds on a CPU.
pub fn worked(pid: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

pub fn unread(sockets: &[Socket], port: u16, peer: Option<SocketAddr>) -> Option<u32> {
    let mut there = sockets.iter().filter(|socket| socket.local.port() == port && socket.peer == peer);
    there.next().map(|socket| socket.unread)
}
