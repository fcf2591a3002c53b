//! A program that goes on running and answers line by line: a shell at the other end of an SSH session, a database's client.

use crate::{Daemon, text};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// It runs until this is dropped, a minute at most.
pub struct Dialogue {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Dialogue {
    /// Starts it; what it says of errors goes where the test's own go.
    pub fn with(program: &[&str]) -> Self {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "60"]).args(program).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}"));
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, input, output }
    }

    /// A shell of this container's root, by the daemon's own key, with these options of ssh's.
    pub fn over_ssh(daemon: &Daemon, container: &Value, options: &[&str]) -> Self {
        let key = daemon.ssh_key();
        let key = key.to_str().expect("a path that is text");
        let quiet = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"];
        let whom = ["-i", key, "-p", text(container, "ssh_port"), "root@127.0.0.1", "sh"];
        Self::with(&[&["ssh"], &quiet[..], options, &whom].concat())
    }

    /// Says a line and gives the next one that it says, or the test fails.
    pub fn ask(&mut self, line: &str) -> String {
        let input = self.input.as_mut().expect("it is piped");
        writeln!(input, "{line}").unwrap_or_else(|error| panic!("it ended before {line:?}: {error}"));
        self.hear()
    }

    /// The next line that it says by itself, or the test fails.
    pub fn hear(&mut self) -> String {
        let mut said = String::new();
        self.output.read_line(&mut said).expect("a line of text");
        assert!(said.ends_with('\n'), "it ended, having said {said:?}");
        said.trim_end().to_owned()
    }
}

impl Drop for Dialogue {
    /// All of them end with their input.
    fn drop(&mut self) {
        self.input.take();
        self.child.wait().expect("it is our child");
    }
}
