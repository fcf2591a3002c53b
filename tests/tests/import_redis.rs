//! A move from the spin-docker of 2014: its Redis, its containers on the engine's own bridge, and what damage there may be.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::{Daemon, Redis, ask, docker, docker_quietly, test_image, text, until};

/// A container as the 2014 program made it: no label of ours, the engine's bridge, its ports published. To be dropped after the
/// daemon, whose bodies share its volumes.
struct Old {
    id: String,
    name: String,
}

impl Old {
    fn run(name: &str) -> Self {
        let old = Self::of(name, &["-e", "OF_2014=kept", test_image()]);
        let write = format!("echo of {0} >/root/file; echo of {0} >/anonymous/file", old.name);
        docker(&["exec", &old.id, "sh", "-c", &write]);
        old
    }

    fn of(name: &str, image: &[&str]) -> Self {
        let name = format!("t-2014-{}-{name}", std::process::id());
        let id = docker(&[&["run", "-d", "-P", "--name", &name], image].concat());
        Self { id, name }
    }

    fn name(&self) -> String {
        docker(&["inspect", "-f", "{{.Name}}", &self.id])
    }

    fn runs(&self) -> bool {
        docker(&["inspect", "-f", "{{.State.Running}}", &self.id]) == "true"
    }

    /// Into Redis, as the old program has it.
    fn record(&self, redis: &Redis, status: &str) {
        let key = format!("containers:{}", self.id);
        let (name, uri) = (format!("/{}", self.name), format!("/v1/containers/{}", self.id));
        let fields = [
            ("status", status),
            ("name", &name),
            ("uri", &uri),
            ("active", "0"),
            ("ssh_port", "49155"),
            ("image", test_image()),
            ("container_id", &self.id),
            ("app_port", "49156"),
        ];
        let fields = fields.iter().flat_map(|(field, value)| [field.as_bytes(), value.as_bytes()]);
        redis.run(&[b"HSET".as_slice(), key.as_bytes()].into_iter().chain(fields).collect::<Vec<_>>());
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        if let Err(error) = docker_quietly(&["rm", "-fv", &self.id]) {
            eprintln!("left over: {}: {error}", self.id);
        }
        let label = format!("label=spin-docker.moved_from={}", self.id);
        drop(docker_quietly(&["image", "prune", "-f", "--filter", &label]));
    }
}

fn said(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

/// A daemon's settings and data, without the daemon.
fn nobody() -> Daemon {
    let mut daemon = Daemon::start(&[]);
    daemon.end();
    daemon
}

/// What the import says, and its exit code.
fn import(daemon: &Daemon, arguments: &[&str]) -> (String, Option<i32>) {
    let output = daemon.run(&[&["import-redis"], arguments].concat());
    (said(&output), output.status.code())
}

/// The line about it.
fn line<'a>(told: &'a str, about: &str) -> &'a str {
    told.lines().find(|line| line.contains(about)).unwrap_or_else(|| panic!("nothing of {about} in\n{told}"))
}

/// The port that a line of the import ends with.
fn port(line: &str) -> &str {
    line.split("app_port ").nth(1).unwrap().split_whitespace().next().unwrap()
}

#[test]
fn what_was_stopped_moves_with_all_it_has_and_what_runs_once_it_may_be_stopped() {
    let (sleeper, runner) = (Old::run("sleeper"), Old::run("runner"));
    let (redis, mut daemon) = (Redis::start(), nobody());
    docker(&["stop", "-t", "1", &sleeper.id]);
    sleeper.record(&redis, "stopped");
    runner.record(&redis, "running");
    let gone = Old { id: "a".repeat(64), name: "t-gone".into() };
    gone.record(&redis, "stopped");
    std::mem::forget(gone);
    redis.run(&[b"SET", b"ips:172.17.0.2", sleeper.id.as_bytes()]);
    let before = redis.everything();

    let (told, code) = import(&daemon, &[&redis.url()]);
    assert_eq!(code, Some(0), "{told}");
    assert!(line(&told, &sleeper.id).starts_with("moved, app_port "), "{told}");
    assert!(line(&told, &runner.id).starts_with("runs, and is left so"), "{told}");
    assert!(line(&told, &"a".repeat(64)).starts_with("gone from the engine"), "{told}");
    assert!(told.contains("1 moved, 0 here already or before, 1 left running, 1 gone"), "{told}");
    assert!(runner.runs());
    assert_eq!(sleeper.name(), format!("/{}-2014", sleeper.name));

    let (again, _) = import(&daemon, &[&redis.url(), "--stop"]);
    assert!(line(&again, &sleeper.id).starts_with("here already"), "{again}");
    assert!(line(&again, &runner.id).starts_with("moved, app_port "), "{again}");
    let (third, _) = import(&daemon, &[&redis.url(), "--stop"]);
    assert!(third.contains("0 moved, 2 here already or before, 0 left running, 1 gone"), "{third}");
    assert_eq!(redis.everything(), before, "it is only read");

    daemon.start_again(&[]);
    for (old, told) in [(&sleeper, &told), (&runner, &again)] {
        let uri = format!("/v1/containers/{}", old.id);
        let shown = daemon.client.show(&uri);
        assert_eq!((text(&shown, "status"), text(&shown, "image")), ("stopped", test_image()));
        assert_eq!(
            (text(&shown, "name"), text(&shown, "uri")),
            (format!("/{}", old.name).as_str(), uri.as_str())
        );
        assert!(ask(port(line(told, &old.id)), "are you there").is_ok(), "a connection wakes it");
        let body = daemon.client.show(&uri);
        assert_ne!(text(&body, "engine_id"), old.id);
        assert!(body["warnings"].as_array().is_none_or(Vec::is_empty), "{body}");
        let kept = docker(&["exec", text(&body, "engine_id"), "printenv", "OF_2014"]);
        assert_eq!(kept, "kept", "its environment is the one that it had");
        for file in ["/root/file", "/anonymous/file"] {
            assert_eq!(docker(&["exec", text(&body, "engine_id"), "cat", file]), format!("of {}", old.name));
        }
        assert_eq!(daemon.client.delete(&uri).status, 204);
        until("its body is gone", Duration::from_secs(20), || {
            docker_quietly(&["inspect", text(&body, "engine_id")]).is_err().then_some(())
        });
        let volumes = docker(&["inspect", "-f", "{{range .Mounts}}{{.Name}}{{end}}", &old.id]);
        assert!(docker_quietly(&["volume", "inspect", &volumes]).is_ok(), "the old one has all that it had");
    }
    daemon.end();
    let (after, _) = import(&daemon, &[&redis.url()]);
    assert!(line(&after, &sleeper.id).starts_with("moved before, and deleted here since"), "{after}");
    docker(&["rm", "-v", &format!("{}-2014", runner.name)]);
    let (last, _) = import(&daemon, &[&redis.url()]);
    assert!(line(&last, &runner.id).starts_with("gone from the engine"), "{last}");
}

#[test]
fn each_damaged_key_is_told_and_skipped_and_the_rest_moves() {
    let (old, redis, daemon) = (Old::run("whole"), Redis::start(), nobody());
    docker(&["stop", "-t", "1", &old.id]);
    old.record(&redis, "stopped");
    let damage: [(&[&[u8]], &str, &str); 8] = [
        (
            &[b"HSET", b"containers:1337", b"status", b"running"],
            "containers:1337",
            "it has no container_id, image",
        ),
        (&[b"SET", b"containers:text", b"x"], "containers:text", "WRONGTYPE"),
        (&[b"HSET", b"containers:bytes", b"image", b"\xff\xfe"], "containers:bytes", "skipped"),
        (&[b"HSET", b"containers:\xff", b"image", b"i"], "containers:", "it has no container_id"),
        (&[b"SET", b"ips:nowhere", b"x"], "ips:nowhere", "holds no address"),
        (&[b"SET", b"ips:172.17.0.9", b"1337"], "ips:172.17.0.9", "names no container"),
        (&[b"RPUSH", b"ips:172.17.0.8", b"x"], "ips:172.17.0.8", "WRONGTYPE"),
        (&[b"SET", b"somebody:else", b"x"], "", ""),
    ];
    for (command, ..) in &damage {
        redis.run(command);
    }
    let (told, code) = import(&daemon, &[&redis.url()]);
    assert_eq!(code, Some(1), "{told}");
    for (_, key, what) in &damage[..7] {
        assert!(
            told.lines().any(|line| line.starts_with("skipped") && line.contains(key) && line.contains(what)),
            "{key} in\n{told}"
        );
    }
    assert!(told.contains("7 damaged keys skipped") && !told.contains("somebody:else"), "{told}");
    assert!(line(&told, &old.id).starts_with("moved"), "{told}");
}

/// The playbook of 2014 pins Redis 2.2, which has no `SCAN`.
#[test]
fn a_redis_of_2014_is_read() {
    let (redis, daemon) = (Redis::start_with(&["--rename-command", "SCAN", ""]), nobody());
    let gone = "a".repeat(64);
    for command in [["HSET", "container_id", &gone], ["HSET", "image", "i"], ["HSET", "status", "stopped"]] {
        let [command, field, value] = command.map(str::as_bytes);
        redis.run(&[command, format!("containers:{gone}").as_bytes(), field, value]);
    }
    redis.run(&[b"SET", b"ips:172.17.0.2", gone.as_bytes()]);
    let (told, code) = import(&daemon, &[&redis.url()]);
    assert!(line(&told, &gone).starts_with("gone from the engine"), "{told}");
    assert!(told.contains("0 damaged keys skipped; 1 addresses") && code == Some(0), "{told}");
}

/// Answers one connection as a web server does.
fn web_server() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/0", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut visitor, _) = listener.accept().unwrap();
        visitor.write_all(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<html>\r\n</html>\r\n").unwrap();
        drop(visitor.read(&mut [0; 1024]));
    });
    url
}

#[test]
fn what_cannot_be_begun_is_one_clear_message() {
    let (redis, mut daemon) = (Redis::start(), Daemon::start(&[]));
    let refused = |daemon: &Daemon, url: &str, word: &str| {
        let (told, code) = import(daemon, &[url]);
        assert_eq!((code, told.lines().count()), (Some(1), 1), "{told}");
        assert!(told.contains(word), "{told}");
    };
    refused(&daemon, &redis.url(), "in use by another spin-docker");
    daemon.end();
    refused(&daemon, "redis://127.0.0.1:1/0", "cannot read the Redis at 127.0.0.1:1");
    refused(&daemon, "http://:secret@nowhere/", "one is such as redis://");
    refused(&daemon, &web_server(), "what answers there is no Redis");
    let (told, _) = import(&daemon, &["redis://127.0.0.1:1/0"]);
    assert_eq!(told.matches("refused").count(), 1, "{told}");
    let (told, _) = import(&daemon, &["redis://:secret@127.0.0.1:1/0"]);
    assert!(!told.contains("secret"), "{told}");
    assert!(import(&daemon, &[&redis.url()]).0.starts_with("0 moved"), "an empty Redis is no mistake");
}

/// The engine refuses the new body: the old one is as it was, and the store knows of nothing.
#[test]
fn a_move_that_fails_leaves_all_as_it_was() {
    let (asleep, awake) = (Old::run("asleep"), Old::run("awake"));
    let deaf = Old::of("deaf", &["--init", "debian:bookworm-slim", "sleep", "600"]);
    let (redis, daemon) = (Redis::start(), nobody());
    docker(&["stop", "-t", "1", &asleep.id]);
    [&asleep, &awake, &deaf].iter().for_each(|old| old.record(&redis, "running"));
    let (told, code) = import(&daemon, &[&redis.url(), "--stop", "--memory", "6m", "--cpus", "512"]);
    assert_eq!(code, Some(1), "{told}");
    for (old, runs, why) in [
        (&asleep, false, "the engine cannot create"),
        (&awake, true, "the engine cannot create"),
        (&deaf, true, "does not expose any ports"),
    ] {
        let told = line(&told, &old.id);
        assert!(told.starts_with("failed, and is as it was (") && told.contains(why), "{told}");
        assert_eq!((old.name(), old.runs()), (format!("/{}", old.name), runs));
    }
    docker(&["rm", "-f", &deaf.id]);
    assert_eq!(import(&daemon, &[&redis.url()]).1, Some(0), "and the others can be moved later");
}

/// What its owner called so is no body that an import has put aside.
#[test]
fn one_whose_own_name_ends_as_the_old_bodies_do_moves_too() {
    let (old, redis, daemon) = (Old::run("site-2014"), Redis::start(), nobody());
    docker(&["stop", "-t", "1", &old.id]);
    old.record(&redis, "stopped");
    let (told, _) = import(&daemon, &[&redis.url()]);
    assert!(line(&told, &old.id).starts_with("moved, app_port "), "{told}");
    assert_eq!(old.name(), format!("/{}-2014", old.name));
}

/// Hands everything on to the engine, and keeps for itself what it answers to a create.
fn engine_that_never_answers_a_create(folder: &Path) -> String {
    let socket = folder.join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let engine = UnixStream::connect("/var/run/docker.sock").unwrap();
            let silent = Arc::new(AtomicBool::new(false));
            let (back, to) = (engine.try_clone().unwrap(), client.try_clone().unwrap());
            let says = Arc::clone(&silent);
            std::thread::spawn(move || {
                hand_on(client, engine, |bytes| {
                    let is_create = String::from_utf8_lossy(bytes).contains("/containers/create");
                    says.fetch_or(is_create, Ordering::Relaxed);
                    true
                });
            });
            std::thread::spawn(move || hand_on(back, to, |_| !silent.load(Ordering::Relaxed)));
        }
    });
    format!("unix://{}", socket.display())
}

fn hand_on(mut from: UnixStream, mut to: UnixStream, may_pass: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if may_pass(&buffer[..length]) && to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// It has a second body by then, under the old one's name, of which the store knows the intent alone.
#[test]
fn an_import_that_is_cut_off_is_undone_by_the_next() {
    let (old, redis, daemon) = (Old::run("cut-off"), Redis::start(), nobody());
    docker(&["stop", "-t", "1", &old.id]);
    old.record(&redis, "stopped");
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_that_never_answers_a_create(folder.path());
    let mut cut_off =
        daemon.command(&["import-redis", &redis.url(), "--engine-host", &engine]).spawn().unwrap();
    let half = until("there is a second body", Duration::from_secs(30), || {
        docker_quietly(&["inspect", "-f", "{{.Id}}", &old.name]).ok().filter(|id| *id != old.id)
    });
    cut_off.kill().unwrap();
    cut_off.wait().unwrap();
    assert_eq!(old.name(), format!("/{}-2014", old.name));

    let (told, _) = import(&daemon, &[&redis.url(), "--memory", "6m", "--cpus", "512"]);
    assert!(line(&told, &old.id).starts_with("failed, and is as it was ("), "{told}");
    assert_eq!(old.name(), format!("/{}", old.name), "it is called as before");
    assert!(docker_quietly(&["inspect", &half]).is_err(), "and nothing else is there");
    let (told, _) = import(&daemon, &[&redis.url()]);
    assert!(line(&told, &old.id).starts_with("moved, app_port "), "{told}");
}

#[test]
fn a_redis_with_a_password_is_read_by_a_variable_that_nobody_sees() {
    let (redis, daemon) = (Redis::start(), nobody());
    redis.run(&[b"CONFIG", b"SET", b"requirepass", b"sesame"]);
    let (told, code) = import(&daemon, &[&redis.url()]);
    assert!(code == Some(1) && told.contains("NOAUTH"), "{told}");
    let url = redis.url().replace("redis://", "redis://:sesame@");
    let output = daemon.command(&["import-redis"]).env("REDIS_URL", url).output().unwrap();
    assert!(said(&output).starts_with("0 moved"), "{}", said(&output));
}
