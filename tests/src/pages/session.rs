//! One shell for a page, beside a daemon: aliases, variables and the folder stay from command to command.

use crate::{Daemon, program};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// A bash that is told what to run. It ends when this is dropped.
pub(super) struct Session {
    bash: Child,
    input: Option<ChildStdin>,
    folder: tempfile::TempDir,
}

/// What a command did.
pub(super) struct Ran {
    pub(super) status: i32,
    /// Both its outputs, as they came.
    pub(super) output: String,
}

impl Session {
    /// In a folder of its own, where `spin-docker` has the daemon's settings.
    pub(super) fn beside(daemon: &Daemon) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        stand_ins(folder.path());
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-s"])
            .current_dir(folder.path().join("home"))
            .env("PATH", format!("{}:{path}", folder.path().join("bin").display()))
            .env("HOME", folder.path().join("home"))
            .envs([("TERM", "dumb"), ("LC_ALL", "C.UTF-8"), ("PAGER", "cat"), ("PSQLRC", "/dev/null")])
            .env("DOCKER_BUILDKIT", "0")
            .envs(daemon.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        let mut bash = command.spawn().expect("bash is there");
        let mut input = bash.stdin.take();
        let begun = input.as_mut().map(|input| writeln!(input, "shopt -s expand_aliases"));
        begun.expect("it is piped").expect("bash has begun");
        Self { bash, input, folder }
    }

    /// Runs a command to its end, or until what it said is `enough`, and gives an error where either takes too long.
    pub(super) fn run(
        &mut self,
        command: &str,
        typed: &str,
        within: Duration,
        enough: impl Fn(&str) -> bool,
    ) -> Result<Ran, String> {
        let [file, input, said, status, written] =
            ["command", "typed", "said", "status", "status.new"].map(|name| self.folder.path().join(name));
        std::fs::remove_file(&status).or_else(missing).map_err(|error| error.to_string())?;
        std::fs::write(&file, format!("{command}\n")).map_err(|error| error.to_string())?;
        std::fs::write(&input, typed).map_err(|error| error.to_string())?;
        let [file, input, said_to, status_to, written] =
            [&file, &input, &said, &status, &written].map(|path| path.display().to_string());
        let line = format!(". {file} <{input} >{said_to} 2>&1; echo $? >{written}; mv {written} {status_to}");
        let bash = self.input.as_mut().ok_or("the shell has ended")?;
        writeln!(bash, "{line}").map_err(|error| format!("the shell has ended: {error}"))?;
        let begun = Instant::now();
        loop {
            let ended = std::fs::read_to_string(&status).ok();
            let output = std::fs::read(&said).unwrap_or_default();
            let output = String::from_utf8_lossy(&output).into_owned();
            if let Some(status) = ended {
                let status = status.trim().parse().map_err(|error| format!("{status:?}: {error}"))?;
                return Ok(Ran { status, output });
            }
            if enough(&output) {
                self.interrupt();
            } else if begun.elapsed() > within {
                return Err(format!("after {within:?} it has not ended; it said:\n{output}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What Ctrl-C does to the programs that the shell waits for.
    fn interrupt(&self) {
        let pid = self.bash.id();
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let pids = children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        for pid in pids {
            // One that is gone meanwhile needs none.
            kill_process(pid, Signal::INT).ok();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.input.take();
        // It may be in the midst of a loop that a page has: the end of its input is not enough.
        self.interrupt();
        self.bash.kill().expect("it is our child");
        self.bash.wait().expect("it is our child");
    }
}

fn missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Programs that a reader's machine has otherwise: our own, an ssh that has met nobody yet, and a curl that, as at a terminal, shows no meter.
fn stand_ins(folder: &Path) {
    let original = std::env::var("PATH").unwrap_or_default();
    let hosts = folder.join("known_hosts");
    let ssh = format!(
        "PATH={original} exec ssh -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={} -o LogLevel=ERROR \"$@\"",
        hosts.display()
    );
    let programs = [
        ("ssh", ssh),
        ("spin-docker", format!("exec {} \"$@\"", program().display())),
        ("sudo", "exec \"$@\"".to_owned()),
    ];
    for name in ["bin", "home"] {
        std::fs::create_dir(folder.join(name)).expect("the folder is ours");
    }
    for (name, script) in programs {
        let path = folder.join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the folder is ours");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("the file is ours");
    }
    std::fs::write(folder.join("home/.curlrc"), "no-progress-meter\nfail-with-body\n")
        .expect("the folder is ours");
}
