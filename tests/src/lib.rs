//! What the whole-product tests share: the built program, a real engine, and the clients that a user would have.
//!
//! Nothing here waits for luck: [`until`] waits for a condition, with a deadline. Every daemon has an instance of its own
//! whose name begins with `t-`, and takes everything of it off the engine when it is dropped, also by a panic.

mod browser;
mod daemon;
mod dialogue;
mod disk;
mod docker;
mod dockerd;
mod door;
pub mod freezer;
mod http;
mod misbehaving;
pub mod pages;
mod podman;
mod ports;
mod postgres;
pub mod raw;
mod redis;
mod rootless;
mod scale;
mod tools;
mod websocket;

pub use browser::Browser;
pub use daemon::{Daemon, Settings, program};
pub use dialogue::Dialogue;
pub use disk::Disk;
pub use docker::{docker, docker_quietly, impatient_image, protocol_image, test_image, web_image};
pub use dockerd::{Dockerd, hide_control_groups, move_apart};
pub use door::Door;
pub use http::{Answer, Client};
pub use misbehaving::{Act, Misbehaving};
pub use podman::Podman;
pub use postgres::Postgres;
pub use redis::Redis;
pub use rootless::Rootless;
pub use scale::Scale;
pub use tools::{succeeds, tool};
pub use websocket::{WebSocket, echo, websocket};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Waits until `condition` gives something, and fails with `what` after `within`.
pub fn until<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < within, "waited {within:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Looks again and again that it is so, all the while.
pub fn throughout(time: Duration, mut look: impl FnMut()) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        look();
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A text field of a container, or the test fails.
pub fn text<'a>(container: &'a serde_json::Value, field: &str) -> &'a str {
    container[field].as_str().unwrap_or_else(|| panic!("no text {field} in {container}"))
}

/// A connection to a port of this host, whose reads give up after half a minute.
pub fn connect(port: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Sends a line to a port of this host and reads the line that comes back.
pub fn ask(port: &str, line: &str) -> std::io::Result<String> {
    ask_over(&connect(port)?, line)
}

/// The same over an open connection, which stays open.
pub fn ask_over(mut stream: &TcpStream, line: &str) -> std::io::Result<String> {
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

/// Raises this test's limit of descriptors, and that of what it starts from then on, as far as it may be, and gives it.
pub fn raise_the_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .expect("it may be raised to the hard limit");
    limit.maximum.unwrap_or(u64::MAX)
}
