//! A Podman of a test's own, speaking as Docker does: in a folder and namespaces of its own, as [`Dockerd`](crate::Dockerd) is.

use crate::dockerd::{START_WITHIN, move_apart, send, service, take_over, unmount_below};
use crate::{docker_quietly, test_image, until};
use rustix::process::Signal;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Child;

/// The runtime and the limits that are to be had where control groups are mixed, and root may not raise its limits; and
/// locks that no other Podman of this host has.
const CONFIG: &str = "[containers]
default_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]
[engine]
runtime = \"runc\"
lock_type = \"file\"
[network]
network_backend = \"netavark\"
";

/// Who has no rights.
const NOBODY: u32 = 65534;

/// `podman system service`. Dropping it ends it and its containers.
pub struct Podman {
    folder: tempfile::TempDir,
    child: Child,
    end: Signal,
}

impl Podman {
    /// Starts one that knows the test image, from this thread's own namespaces.
    pub fn start() -> Self {
        let image = test_image();
        move_apart();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let podman = Self::serving(folder, Signal::TERM, "podman", &[]);
        podman.load(image);
        podman
    }

    /// Starts a rootless one, which knows no image: enough to be asked what it is.
    pub fn start_rootless() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("tests run as root");
        let user = NOBODY.to_string();
        // It leaves processes behind, which end with their namespace. A shell holds that: a change of user
        // would forget with whom to end.
        let apart = ["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", "\"$@\"; exit", "sh"];
        let as_user = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "podman"];
        Self::serving(folder, Signal::KILL, "unshare", &[&apart[..], &as_user].concat())
    }

    fn serving(folder: tempfile::TempDir, end: Signal, program: &str, before: &[&str]) -> Self {
        let child = serve(folder.path(), program, before);
        let podman = Self { folder, child, end };
        until("the test's Podman answers", START_WITHIN, || podman.docker_quietly(&["version"]).ok());
        podman
    }

    /// For the setting `engine_host`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// Runs `docker ARGS` against it, where failing is an answer too.
    pub fn docker_quietly(&self, args: &[&str]) -> Result<String, String> {
        docker_quietly(&[&["--host", &self.host()], args].concat())
    }

    /// Takes the image over from the shared engine.
    pub fn load(&self, image: &str) {
        take_over(image, &self.host());
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("Podman's log:\n{log}");
        }
        for id in self.docker_quietly(&["ps", "-aq"]).unwrap_or_default().split_whitespace() {
            drop(self.docker_quietly(&["rm", "-fv", id]));
        }
        send(self.child.id(), self.end);
        drop(self.child.wait());
        unmount_below(self.folder.path());
    }
}

fn serve(folder: &Path, program: &str, before: &[&str]) -> Child {
    let config = folder.join("containers.conf");
    std::fs::write(&config, CONFIG).expect("the folder is ours");
    let mut command = service(folder, program);
    command.args(before).env("HOME", folder).env("XDG_RUNTIME_DIR", folder);
    for (argument, name) in
        [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp"), ("--network-config-dir", "networks")]
    {
        command.args([argument.as_ref(), folder.join(name).as_os_str()]);
    }
    command.args([
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "file",
        "system",
        "service",
        "--time",
        "0",
    ]);
    command.arg(format!("unix://{}", folder.join("socket").display())).env("CONTAINERS_CONF", config);
    command.spawn().expect("podman and setpriv are installed")
}
