//! An engine of a test's own, to stop, kill, prune and fill: a dockerd in a network namespace of its own, so that it and
//! the shared engine never meet in an interface, a subnet or a rule of the firewall.
//!
//! Whoever starts one moves into that namespace with it: the test's thread, and whatever it starts from then on.

use crate::{test_image, until};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const START_WITHIN: Duration = Duration::from_secs(60);
/// Its own stop gives containers 15 s.
const END_WITHIN: Duration = Duration::from_secs(40);

/// A dockerd. Dropping it ends it, its containers, and all that it left on the host.
pub struct Dockerd {
    folder: tempfile::TempDir,
    data: PathBuf,
    cgroup: String,
    arguments: Vec<String>,
    /// A service of its own, as packages set it up: it outlives a dockerd that is killed.
    containerd: Child,
    child: Option<Child>,
}

impl Dockerd {
    /// Starts one that knows the test image.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments, such as `--live-restore`.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_over(None, arguments)
    }

    /// The same over control groups of version 2, whatever the host has: its freezer is real. Memory and CPU are limited only where
    /// the host's own hierarchies leave the controllers to it.
    pub fn start_unified() -> Self {
        Self::start_unified_with(&[])
    }

    /// The same with more arguments.
    pub fn start_unified_with(arguments: &[&str]) -> Self {
        move_apart();
        run("mount", &["-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]);
        Self::start_with(arguments)
    }

    /// The same with its data in this folder.
    pub fn start_in(data: &Path) -> Self {
        Self::start_over(Some(data), &[])
    }

    fn start_over(data: Option<&Path>, arguments: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cgroup =
            format!("spin-docker-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let image = test_image();
        move_apart();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let containerd = start_containerd(folder.path());
        let data = data.map_or_else(|| folder.path().join("data"), Path::to_owned);
        let mut dockerd = Self { folder, data, cgroup, arguments, containerd, child: None };
        dockerd.start_again();
        dockerd.load(image);
        dockerd
    }

    /// Starts it again over the same data, and waits until it answers.
    pub fn start_again(&mut self) {
        let mut command = service(self.folder.path(), "dockerd");
        command
            .args(["--bridge", "none"])
            .args(["--containerd".as_ref(), self.path("containerd.sock").as_os_str()])
            .args(["--exec-root".as_ref(), self.path("exec").as_os_str()])
            .args(["--pidfile".as_ref(), self.path("pid").as_os_str()])
            .args(["--host", &self.host(), "--cgroup-parent", &format!("/{}", self.cgroup)])
            .args(["--data-root".as_ref(), self.data.as_os_str()])
            .args(&self.arguments)
            .env_remove("DOCKER_HOST");
        self.child = Some(command.spawn().expect("dockerd and setpriv are installed"));
        until("the test's engine answers", START_WITHIN, || {
            self.docker_quietly(&["version", "--format", "{{.Server.Version}}"]).ok()
        });
    }

    /// Ends it as a service manager does: it stops its containers first, unless it has `--live-restore`.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Ends everything of it as a host that loses its power does: containers, mounts, networks and what stood below `/run`.
    pub fn lose_power(&mut self) {
        self.kill();
        self.end_processes();
        drop(self.containerd.wait());
        self.unmount();
        for state in ["exec", "containerd-state"] {
            drop(std::fs::remove_dir_all(self.path(state)));
        }
        let bridges = Command::new("ip").args(["-o", "link", "show", "type", "bridge"]).output();
        let bridges = String::from_utf8_lossy(&bridges.expect("iproute2 is installed").stdout).into_owned();
        for bridge in bridges.lines().filter_map(|line| line.split(": ").nth(1)) {
            run("ip", &["link", "delete", bridge]);
        }
        self.containerd = start_containerd(self.folder.path());
    }

    /// Until none is left.
    fn end_processes(&self) {
        let begun = Instant::now();
        loop {
            let left = self.processes();
            left.iter().for_each(|pid| send(*pid, Signal::KILL));
            if left.is_empty() || begun.elapsed() > END_WITHIN {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut child) = self.child.take() else { return };
        send(child.id(), signal);
        until("the test's engine has ended", END_WITHIN, || child.try_wait().expect("it is our child"));
    }

    /// For the setting `engine_host`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path("socket").display())
    }

    /// Runs `docker ARGS` against it, or the test fails.
    pub fn docker(&self, args: &[&str]) -> String {
        self.docker_quietly(args).unwrap_or_else(|error| panic!("docker {args:?} failed: {error}"))
    }

    /// The same, where failing is an answer too.
    pub fn docker_quietly(&self, args: &[&str]) -> Result<String, String> {
        crate::docker_quietly(&[&["--host", &self.host()], args].concat())
    }

    /// Takes the image over from the shared engine.
    pub fn load(&self, image: &str) {
        take_over(image, &self.host());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is left when it ended badly: containerd and its shims, which name our folder, and containers.
    fn processes(&self) -> Vec<u32> {
        let folder = self.folder.path().as_os_str().as_encoded_bytes().to_owned();
        let numbered = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(numbered);
        let names_it = |pid: &u32| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.windows(folder.len()).any(|part| part == folder)
        };
        let in_cgroup = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/cgroup"))
                .is_ok_and(|cgroups| cgroups.contains(&format!("/{}/", self.cgroup)))
        };
        all.filter(|pid| names_it(pid) || in_cgroup(pid)).collect()
    }

    fn unmount(&self) {
        unmount(|at| at.starts_with(self.folder.path()) || (at != self.data && at.starts_with(&self.data)));
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(30).collect();
            eprintln!(
                "the end of the engine's log:\n{}",
                last.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        for id in self.docker_quietly(&["ps", "-aq"]).unwrap_or_default().split_whitespace() {
            drop(self.docker_quietly(&["rm", "-fv", id]));
        }
        if let Some(mut child) = self.child.take() {
            send(child.id(), Signal::TERM);
            drop(child.wait());
        }
        send(self.containerd.id(), Signal::TERM);
        drop(self.containerd.wait());
        self.end_processes();
        self.unmount();
        remove_cgroup(&self.cgroup);
    }
}

/// Has the engine at this host know an image of the shared one.
pub(crate) fn take_over(image: &str, host: &str) {
    let mut save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn();
    let saved = save.as_mut().ok().and_then(|save| save.stdout.take()).expect("the docker CLI is installed");
    let load = ["--host", host, "load", "--quiet"];
    let loaded = Command::new("docker").args(load).stdin(saved).stdout(Stdio::null()).status();
    assert!(loaded.expect("the docker CLI is installed").success(), "cannot load {image}");
    save.and_then(|mut save| save.wait()).expect("it is our child");
}

/// Unmounts whatever is mounted below a folder, the last first.
pub(crate) fn unmount_below(folder: &Path) {
    unmount(|at| at.starts_with(folder) && at != folder);
}

fn unmount(is_ours: impl Fn(&Path) -> bool) {
    let mounts = std::fs::read_to_string("/proc/thread-self/mounts").unwrap_or_default();
    let ours: Vec<_> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|at| is_ours(Path::new(at)))
        .collect();
    for at in ours.into_iter().rev() {
        if let Err(error) = rustix::mount::unmount(at, rustix::mount::UnmountFlags::DETACH) {
            eprintln!("left over: mount {at}: {error}");
        }
    }
}

/// A program that ends with the thread that started it, also when a test is cut off, and that logs into the folder.
pub(crate) fn service(folder: &Path, program: &str) -> Command {
    let log = std::fs::File::options().append(true).create(true).open(folder.join("log"));
    let log = log.expect("the folder is ours");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--", program]).stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a descriptor can be doubled")).stderr(log);
    command
}

fn start_containerd(folder: &Path) -> Child {
    let config = folder.join("containerd.toml");
    std::fs::write(&config, "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n")
        .expect("the folder is ours");
    let mut command = service(folder, "containerd");
    command.args(["--config".as_ref(), config.as_os_str(), "--log-level".as_ref(), "warn".as_ref()]);
    for (argument, name) in
        [("--address", "containerd.sock"), ("--root", "containerd"), ("--state", "containerd-state")]
    {
        command.args([argument.as_ref(), folder.join(name).as_os_str()]);
    }
    let child = command.spawn().expect("containerd and setpriv are installed");
    let socket = folder.join("containerd.sock");
    until("the test's containerd is there", START_WITHIN, || socket.exists().then_some(()));
    child
}

/// Into network and mount namespaces of this thread's own, once: what is mounted from now on, nobody else sees.
pub fn move_apart() {
    thread_local!(static APART: Cell<bool> = const { Cell::new(false) });
    if !APART.replace(true) {
        unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS);
        run("mount", &["--make-rprivate", "/"]);
        run("ip", &["link", "set", "lo", "up"]);
    }
}

/// Into a mount namespace of this thread's own, as what it starts is from then on.
pub(crate) fn move_mounts_apart() {
    unshare(UnshareFlags::NEWNS);
    run("mount", &["--make-rprivate", "/"]);
}

/// From this thread, and from what it starts.
pub fn hide_control_groups() {
    move_mounts_apart();
    run("mount", &["-t", "tmpfs", "tmpfs", "/sys/fs/cgroup"]);
}

fn unshare(what: UnshareFlags) {
    #[expect(deprecated, reason = "what makes it unsafe, FILES, is not asked for")]
    let moved = rustix::thread::unshare(what);
    moved.expect("tests with namespaces of their own need root");
}

pub(crate) fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).status();
    assert!(done.expect("util-linux and iproute2 are installed").success(), "{program} {arguments:?}");
}

pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process has an id");
    if let Err(error) = rustix::process::kill_process(pid, signal) {
        eprintln!("process {pid} ended meanwhile: {error}");
    }
}

/// In every hierarchy; its containers' first. What still holds a process stays.
fn remove_cgroup(name: &str) {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let unified = PathBuf::from("/sys/fs/cgroup");
    for hierarchy in hierarchies.map(|entry| entry.path()).chain([unified]) {
        let ours = hierarchy.join(name);
        let containers = std::fs::read_dir(&ours).into_iter().flatten().flatten();
        for folder in containers.map(|entry| entry.path()).filter(|path| path.is_dir()).chain([ours.clone()])
        {
            drop(std::fs::remove_dir(folder));
        }
    }
}
