//! A real Redis on a free port, without persistence. Dropping it ends it.

use crate::until;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running one.
pub struct Redis {
    port: u16,
    server: Child,
    _folder: tempfile::TempDir,
}

impl Redis {
    /// Starts one, and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with more arguments of `redis-server`'s.
    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("some port is free").port();
        // One program under two names; the package that has the other one would start a service.
        let server = Command::new("redis-check-rdb")
            .arg0("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()])
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-tools is installed: scripts/tools does it");
        let redis = Self { port, server, _folder: folder };
        until("Redis answers", Duration::from_secs(10), || {
            redis.run(&[b"PING"]).contains("PONG").then_some(())
        });
        redis
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Runs a command, whose arguments may be any bytes but 0, and gives what it answers.
    pub fn run(&self, command: &[&[u8]]) -> String {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let arguments = command.iter().map(|argument| OsStr::from_bytes(argument));
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(arguments).output();
        String::from_utf8_lossy(&output.expect("redis-tools is installed").stdout).into_owned()
    }

    /// All that it holds, in a form that two may be compared in.
    pub fn everything(&self) -> String {
        let digest: &[&[u8]] = &[b"DEBUG", b"DIGEST"];
        self.run(digest) + &self.run(&[b"DBSIZE"])
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
