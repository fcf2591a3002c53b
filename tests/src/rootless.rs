//! A rootless Docker Engine of a test's own: nobody's, in a folder of its own, as distributions' own script starts it.

use crate::dockerd::{START_WITHIN, move_mounts_apart, run, send, take_over};
use crate::{docker_quietly, test_image, until};
use rustix::process::Signal;
use std::fs::{File, create_dir, write};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Who has no rights.
const NOBODY: u32 = 65534;
/// Where distributions and Docker's own packages put it.
const SCRIPTS: [&str; 2] =
    ["/usr/share/docker.io/contrib/dockerd-rootless.sh", "/usr/bin/dockerd-rootless.sh"];
/// Its own stop gives containers 15 s.
const END_WITHIN: Duration = Duration::from_secs(40);

/// `dockerd-rootless.sh`. Dropping it ends it and its containers.
pub struct Rootless {
    folder: tempfile::TempDir,
    child: Child,
}

impl Rootless {
    /// Starts one that knows the test image, from a mount namespace of this thread's own.
    pub fn start() -> Self {
        let image = test_image();
        let folder = tempfile::tempdir().expect("a temporary folder");
        prepare(folder.path());
        let rootless = Self { child: serve(folder.path()), folder };
        until("the test's rootless engine answers", START_WITHIN, || {
            docker_quietly(&["--host", &rootless.host(), "version", "--format", "{{.Server.Version}}"]).ok()
        });
        rootless.load(image);
        rootless
    }

    /// For the setting `engine_host`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("run/docker.sock").display())
    }

    /// Takes the image over from the shared engine.
    pub fn load(&self, image: &str) {
        take_over(image, &self.host());
    }

    /// Runs `docker ARGS` against it, or the test fails.
    pub fn docker(&self, args: &[&str]) -> String {
        let said = docker_quietly(&[&["--host", &self.host()], args].concat());
        said.unwrap_or_else(|error| panic!("docker {args:?} failed: {error}"))
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(30).collect();
            eprintln!("the end of the engine's log, the last first:\n{}", last.join("\n"));
        }
        for id in
            docker_quietly(&["--host", &self.host(), "ps", "-aq"]).unwrap_or_default().split_whitespace()
        {
            drop(docker_quietly(&["--host", &self.host(), "rm", "-fv", id]));
        }
        send(self.child.id(), Signal::TERM);
        until("the rootless engine has ended", END_WITHIN, || {
            self.child.try_wait().expect("it is our child")
        });
    }
}

/// What a host gives its users: ids to map, and a device for the network. Seen by this thread, and by what it starts.
fn prepare(folder: &Path) {
    move_mounts_apart();
    for file in ["subuid", "subgid"] {
        let ours = folder.join(file);
        write(&ours, "nobody:231072:65536\n").expect("the folder is ours");
        let usual = format!("/etc/{file}");
        File::options().append(true).create(true).open(&usual).expect("uidmap's files can be made");
        run("mount", &["--bind", &ours.display().to_string(), &usual]);
    }
    let tun = folder.join("tun").display().to_string();
    run("mknod", &["-m", "666", &tun, "c", "10", "200"]);
    run("mount", &["--bind", &tun, "/dev/net/tun"]);
    for name in ["run", "data"] {
        create_dir(folder.join(name)).expect("the folder is ours");
        chown(folder.join(name), Some(NOBODY), Some(NOBODY)).expect("tests run as root");
    }
    chown(folder, Some(NOBODY), Some(NOBODY)).expect("tests run as root");
}

fn serve(folder: &Path) -> Child {
    let script =
        SCRIPTS.into_iter().find(|script| Path::new(script).exists()).expect("docker.io is installed");
    let log = File::create(folder.join("log")).expect("the folder is ours");
    let user = NOBODY.to_string();
    Command::new("setpriv")
        .args([
            "--pdeathsig",
            "TERM",
            "--reuid",
            &user,
            "--regid",
            &user,
            "--clear-groups",
            "--",
            "sh",
            script,
        ])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", folder)
        .env("XDG_RUNTIME_DIR", folder.join("run"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a descriptor can be doubled"))
        .stderr(log)
        .spawn()
        .expect("setpriv is installed")
}
