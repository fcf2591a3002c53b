//! What is acknowledged is on disk: the daemon's system calls show that each answer is written after the sync of all that
//! the request wrote.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tests::{Daemon, test_image, text, until};

const CALLS: &str = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync";

/// strace on all threads of a daemon. Dropping it lets go of them.
struct Trace {
    strace: Child,
    calls: tempfile::NamedTempFile,
}

/// One system call: whole, or its beginning or its end.
#[derive(Clone, Debug)]
struct Call {
    line: String,
}

impl Trace {
    fn of(daemon: &Daemon) -> Self {
        let calls = tempfile::NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace")
            .args(["-f", "-y", "-s", "80", "-e", CALLS, "-o"])
            .arg(calls.path())
            .args(["-p", &daemon.pid().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is installed: scripts/tools does it");
        let mut attached = BufReader::new(strace.stderr.take().unwrap()).lines();
        assert!(attached.next().unwrap().unwrap().contains("attached"), "strace may trace the daemon");
        std::thread::spawn(move || attached.for_each(drop));
        Self { strace, calls }
    }

    /// From the last call that reads the one to the first after it that writes the other, once both are there.
    fn between(&self, from: &str, to: &str) -> Vec<Call> {
        until(&format!("{from:?} and {to:?} are traced"), Duration::from_secs(20), || {
            let calls = read(self.calls.path());
            let begin = calls.iter().rposition(|call| call.line.contains(from))?;
            let end =
                begin + calls[begin..].iter().position(|call| call.writes() && call.line.contains(to))?;
            Some(calls[begin..=end].to_vec())
        })
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let pid = i32::try_from(self.strace.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        drop(self.strace.wait());
    }
}

fn read(path: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| Call { line: line.to_owned() }).collect()
}

impl Call {
    fn thread(&self) -> &str {
        self.line.split_whitespace().next().unwrap_or_default()
    }

    fn writes(&self) -> bool {
        ["write(", "writev(", "sendto(", "sendmsg("].iter().any(|call| self.line.contains(call))
    }

    fn writes_to_the_journal(&self) -> bool {
        self.line.contains("pwrite64(") && self.line.contains("spin-docker.db-wal")
    }

    /// It asks for a sync of the journal, here or in a line before which its end stands.
    fn begins_to_sync(&self) -> bool {
        let syncs = self.line.contains("fdatasync(") || self.line.contains("fsync(");
        syncs && self.line.contains("spin-docker.db-wal")
    }

    fn has_synced(&self, calls: &[Self], begun: usize) -> Option<usize> {
        if self.line.ends_with("= 0") {
            return Some(begun);
        }
        let ends = |call: &Self| {
            call.thread() == self.thread()
                && call.line.contains("sync resumed>")
                && call.line.ends_with("= 0")
        };
        calls.iter().skip(begun).position(ends).map(|after| begun + after)
    }
}

/// Something was written to the journal, and all of it was synced before the last of these calls, the answer.
fn is_on_disk(calls: &[Call], what: &str) {
    let answer = calls.len() - 1;
    let shown = || calls.iter().map(|call| call.line.as_str()).collect::<Vec<_>>().join("\n");
    let written = calls.iter().rposition(Call::writes_to_the_journal);
    let written = written.unwrap_or_else(|| panic!("{what}: nothing was written:\n{}", shown()));
    let begun = written + calls[written..].iter().position(Call::begins_to_sync).unwrap_or(calls.len());
    let synced = calls.get(begun).and_then(|call| call.has_synced(calls, begun));
    assert!(
        synced.is_some_and(|synced| synced < answer),
        "{what}: not synced before it was answered:\n{}",
        shown()
    );
}

#[test]
fn what_is_acknowledged_is_on_disk() {
    let daemon = Daemon::start(&[("log", "info")]);
    // The check-in door is tried by the first container; that is over before anything is traced.
    daemon.client.create(test_image());
    let trace = Trace::of(&daemon);

    let container = daemon.client.create(test_image());
    let create = trace.between("\"POST /v1/containers ", "\"HTTP/1.1 201");
    is_on_disk(&create, "the create");
    let started = create.iter().rposition(|call| !call.writes() && call.line.contains("\"HTTP/1.1 204"));
    let started = started.unwrap_or_else(|| panic!("the engine's start returned:\n{create:#?}"));
    is_on_disk(&create[started..], "that it runs");

    // By its name, so that no other PATCH of this test is taken for it.
    let by_name = format!("/v1/containers{}", text(&container, "name"));
    let policy = ("application/json", r#"{"policy": {"freeze_after": "1h"}}"#);
    let answer = daemon.client.send("PATCH", &by_name, &[], Some(policy));
    assert_eq!((answer.status, &answer.json()["policy"]["freeze_after"]), (200, &3600.into()));
    is_on_disk(&trace.between(&format!("\"PATCH {by_name} "), "\"HTTP/1.1 200"), "the policy");

    let uri = text(&container, "uri");
    assert_eq!(daemon.client.patch(uri, "status=stopped").status, 200);
    is_on_disk(&trace.between("\"PATCH /v1/containers/", "\"HTTP/1.1 200"), "the stop");
    until("it is stopped", Duration::from_secs(20), || {
        (daemon.client.show(uri)["status"] == "stopped").then_some(())
    });

    assert_eq!(daemon.client.patch(uri, "status=running").status, 200);
    let start = trace.between("\"PATCH /v1/containers/", "\"HTTP/1.1 200");
    is_on_disk(&start, "the start");

    assert_eq!(daemon.client.delete(uri).status, 204);
    is_on_disk(&trace.between("\"DELETE /v1/containers/", "\"HTTP/1.1 204"), "the delete");
}
