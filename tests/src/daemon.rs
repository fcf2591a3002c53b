//! The built program, started on a free port with an instance and a data folder of its own.

use crate::ports::Ports;
use crate::{Client, docker_quietly, until};
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Settings, as environment variables without `SPIN_DOCKER_`; those that begin with `@` are variables as they are.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

/// A running daemon. Dropping it ends it and takes all of its instance off the engine.
pub struct Daemon {
    /// Speaks to it as admin.
    pub client: Client,
    /// Where it answers, such as `http://127.0.0.1:34567`.
    pub base: String,
    /// Its instance's name.
    pub instance: String,
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    group: Option<u32>,
    ports: Ports,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// Starts one and waits until it is ready.
    pub fn start(settings: Settings<'_>) -> Self {
        Self::start_as(None, settings)
    }

    /// The same, as nobody, in the group that may use the engine.
    pub fn start_without_root(settings: Settings<'_>) -> Self {
        let group = std::fs::metadata("/var/run/docker.sock").expect("the usual socket").gid();
        Self::start_as(Some(group), settings)
    }

    /// The same, in nobody's own group alone, as beside a rootless engine of nobody's.
    pub fn start_as_nobody(settings: Settings<'_>) -> Self {
        const NOGROUP: u32 = 65_534;
        Self::start_as(Some(NOGROUP), settings)
    }

    fn start_as(group: Option<u32>, settings: Settings<'_>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let instance = format!("t-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let ports = Ports::take();
        let (child, log, base) = spawn(&instance, folder.path(), &ports, &settings, group);
        let client = Client::new(&base, "spindocker");
        Self { client, base, instance, folder, settings, group, ports, child, log }
    }

    /// Asks it to end, as a service manager does, and gives its exit code.
    pub fn end(&mut self) -> Option<i32> {
        signal(&self.child, rustix::process::Signal::TERM);
        self.wait()
    }

    /// Asks it to read its settings again, and waits until it did, with success or without.
    pub fn hang_up(&self) {
        let done = || {
            let log = self.log();
            let ends = ["the settings were read again", "the settings were not taken"];
            ends.iter().map(|end| log.matches(end).count()).sum::<usize>()
        };
        let before = done();
        signal(&self.child, rustix::process::Signal::HUP);
        until("the settings were read", Duration::from_secs(10), || (done() > before).then_some(()));
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        signal(&self.child, rustix::process::Signal::KILL);
        self.wait();
    }

    fn wait(&mut self) -> Option<i32> {
        let child = &mut self.child;
        until("the daemon has ended", Duration::from_secs(30), || child.try_wait().expect("it is our child"))
            .code()
    }

    /// Starts it again over the same data, with its settings and these.
    pub fn start_again(&mut self, settings: Settings<'_>) {
        self.settings.extend(settings.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        (self.child, self.log, self.base) =
            spawn(&self.instance, self.folder.path(), &self.ports, &self.settings, self.group);
        self.client = Client::new(&self.base, "spindocker");
    }

    /// Everything that it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").join("\n")
    }

    /// Runs another command of the program, to its end, with the daemon's settings.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// Another command of the program, with the daemon's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command =
            command(&self.instance, self.folder.path(), &self.ports, &self.settings, self.group);
        command.args(arguments);
        command
    }

    /// The variables that give another command of the program its settings, but for those that only `serve` minds.
    pub fn environment(&self) -> Vec<(String, String)> {
        let data = self.folder.path().display().to_string();
        let all = [("instance", self.instance.as_str()), ("data_dir", data.as_str())].into_iter();
        all.map(|(name, value)| (variable(name), value.to_owned())).collect()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file of its own SSH key, which its containers take.
    pub fn ssh_key(&self) -> PathBuf {
        self.folder.path().join("ssh/id_ed25519")
    }

    /// Its `data_dir`.
    pub fn data(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Every port of its range at which it listens.
    pub fn listens_at(&self) -> Vec<u16> {
        self.ports.listening()
    }

    /// Every container that the engine has of it, by its id.
    pub fn bodies(&self) -> Vec<String> {
        let filter = format!("label=spin-docker.instance={}", self.instance);
        let listed = docker_quietly(&["ps", "-aq", "--no-trunc", "--filter", &filter]);
        listed.expect("the shared engine answers").split_whitespace().map(str::to_owned).collect()
    }

    /// The name of its network.
    pub fn network(&self) -> String {
        format!("spin-docker-{}", self.instance)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(&self.child, rustix::process::Signal::TERM);
            self.wait();
        }
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
        // An engine of the test's own takes everything with it.
        if self.settings.iter().any(|(name, _)| name == "engine_host") {
            return;
        }
        let filter = format!("label=spin-docker.instance={}", self.instance);
        if std::thread::panicking() {
            show_logs(&filter);
        }
        for (list, remove) in [
            (&["ps", "-aq", "--filter", &filter][..], &["rm", "-fv"][..]),
            (&["network", "ls", "-q", "--filter", &filter], &["network", "rm"]),
        ] {
            for id in docker_quietly(list).unwrap_or_default().split_whitespace() {
                if let Err(error) = docker_quietly(&[remove, &[id]].concat()) {
                    eprintln!("left over: {remove:?} {id}: {error}");
                }
            }
        }
    }
}

/// What the containers said last: why a server of theirs hung up on somebody stands nowhere else.
fn show_logs(filter: &str) {
    for id in docker_quietly(&["ps", "-aq", "--filter", filter]).unwrap_or_default().split_whitespace() {
        eprintln!("the log of container {id}:");
        if let Err(error) = Command::new("docker").args(["logs", "--timestamps", "--tail=40", id]).status() {
            eprintln!("it cannot be shown: {error}");
        }
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid =
        i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a child has an id");
    rustix::process::kill_process(pid, signal).expect("our child can be signalled");
}

type Log = Arc<Mutex<Vec<String>>>;

fn spawn(
    instance: &str,
    folder: &Path,
    ports: &Ports,
    settings: &[(String, String)],
    group: Option<u32>,
) -> (Child, Log, String) {
    let mut command = command(instance, folder, ports, settings, group);
    command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", program()));
    let log = follow(&mut child);
    let base = until("the daemon listens", Duration::from_secs(60), || {
        let status = child.try_wait().expect("it is our child");
        if status.is_some() {
            // Whoever reads what it said lets go of the log at its end.
            until("its last words are read", Duration::from_secs(5), || {
                (Arc::strong_count(&log) == 1).then_some(())
            });
        }
        let lines = log.lock().expect("no reader panics").join("\n");
        if let Some(status) = status {
            panic!("the daemon ended with {status}:\n{lines}");
        }
        let address = lines.split("listening on http://").nth(1)?.split_whitespace().next()?.to_owned();
        Some(format!("http://{address}"))
    });
    (child, log, base)
}

/// The program with these settings and nothing else of ours.
fn command(
    instance: &str,
    folder: &Path,
    ports: &Ports,
    settings: &[(String, String)],
    group: Option<u32>,
) -> Command {
    let mut command = group.map_or_else(|| Command::new(program()), |group| as_nobody(folder, group));
    command.env_clear();
    for name in ["PATH", "HOME", "DOCKER_HOST", "LD_PRELOAD", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    // A settings file says everything itself.
    let plain = |name: &&str| settings.iter().any(|(set, _)| set == *name || set == "@SPIN_DOCKER_CONFIG");
    let range = ("endpoint_ports", ports.range());
    let defaults = [("listen", "127.0.0.1:0"), ("log", "debug"), ("check_in_port", "80"), range];
    for (name, value) in defaults.iter().filter(|(name, _)| !plain(name)) {
        command.env(variable(name), value);
    }
    command.env(variable("instance"), instance).env(variable("data_dir"), folder);
    for (name, value) in settings {
        command.env(name.strip_prefix('@').map_or_else(|| variable(name), str::to_owned), value);
    }
    command
}

/// The program where nobody may read it, in a folder where nobody may write.
fn as_nobody(folder: &Path, group: u32) -> Command {
    const NOBODY: u32 = 65_534;
    let copy = folder.join("spin-docker");
    // One that runs cannot be written.
    if !copy.exists() {
        std::fs::copy(program(), &copy).expect("the program can be copied");
    }
    for (path, mode) in [(folder, 0o777), (&copy, 0o755)] {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("the folder is ours");
    }
    let mut command = Command::new(copy);
    command.uid(NOBODY).gid(group);
    command
}

fn follow(child: &mut Child) -> Log {
    let log = Log::default();
    let (lines, stderr) = (Arc::clone(&log), child.stderr.take().expect("it is piped"));
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            lines.lock().expect("no reader panics").push(line);
        }
    });
    log
}

fn variable(name: &str) -> String {
    format!("SPIN_DOCKER_{}", name.to_uppercase())
}

/// The program, beside the folder that this test was built into.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").to_owned();
    folder.join("spin-docker")
}
