//! Twenty frozen PostgreSQLs at a time, and what an engine does to them: each ends in order, or goes on with its connections. Over
//! control groups of either version.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::freezer::Group;
use tests::{Daemon, Dockerd, Postgres, text, until};

const POSTGRES: &str = "atbaker/sd-postgres";
const SECONDS: Duration = Duration::from_secs(30);

/// The databases, on the machine's engine or on one of the test's own, which ends after the daemon.
struct Twenty {
    made: Vec<Value>,
    daemon: Daemon,
    engine: Option<Dockerd>,
}

impl Twenty {
    fn made_by(daemon: Daemon, engine: Option<Dockerd>) -> Self {
        let asked = json!({"image": POSTGRES, "policy": {"freeze_after": "off"}});
        let made = four_at_a_time(&[(); 20], |()| daemon.client.create_as(&asked));
        let twenty = Self { made, daemon, engine };
        // One that is told to end before it has begun has nothing to say of it.
        twenty.all_serve();
        twenty
    }

    fn shared() -> Self {
        Self::made_by(Daemon::start(&[]), None)
    }

    fn on(engine: Dockerd) -> Self {
        engine.load(POSTGRES);
        Self::made_by(Daemon::start(&[("engine_host", &engine.host())]), Some(engine))
    }

    /// Whatever it said, on either output.
    fn docker(&self, args: &[&str]) -> Result<String, String> {
        let mut docker = Command::new("docker");
        docker.args(self.engine.iter().flat_map(|engine| ["--host".to_owned(), engine.host()]));
        let done = docker.args(args).output().unwrap();
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        if done.status.success() { Ok(said) } else { Err(said) }
    }

    fn each<T: Send>(&self, what: impl Fn(&Value) -> T + Sync) -> Vec<T> {
        four_at_a_time(&self.made, what)
    }

    /// All of them, as the kernel has it.
    fn freeze(&self) {
        self.made.iter().for_each(|container| self.daemon.client.freeze(container));
        self.each(|container| {
            let group = Group::of(text(container, "container_id"), |args| self.docker(args).unwrap());
            assert!(group.is_frozen(), "{container}");
        });
    }

    fn all_serve(&self) {
        self.each(|container| {
            until("it serves", SECONDS, || Postgres::connect(text(container, "app_port")).ok());
        });
    }

    /// Freezes them all, and then has the engine do this to each. None waits out the grace of 10 s.
    fn over_frozen(&self, command: &[&str]) {
        self.freeze();
        self.each(|container| {
            let begun = Instant::now();
            self.docker(&[command, &[text(container, "container_id")]].concat()).unwrap();
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(8), "{command:?} took {took:?}");
        });
    }

    /// How often each ended in good order, by its log.
    fn shut_downs(&self) -> Vec<usize> {
        self.each(|container| self.log(container).matches("database system is shut down").count())
    }

    fn log(&self, container: &Value) -> String {
        self.docker(&["logs", "--timestamps", text(container, "container_id")]).unwrap()
    }

    fn all_shut_down_once_more_than(&self, before: &[usize]) {
        for ((container, before), now) in self.made.iter().zip(before).zip(self.shut_downs()) {
            let state = ["inspect", "--format", "{{json .State}}", text(container, "container_id")];
            assert_eq!(now, before + 1, "{}{}", self.docker(&state).unwrap(), self.log(container));
        }
    }
}

fn four_at_a_time<T: Sync, U: Send>(all: &[T], each: impl Fn(&T) -> U + Sync) -> Vec<U> {
    std::thread::scope(|scope| {
        let each = &each;
        let some = all.chunks(all.len().div_ceil(4));
        let hands: Vec<_> =
            some.map(|some| scope.spawn(move || some.iter().map(each).collect::<Vec<_>>())).collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    })
}

/// The announcement of a command thaws its container. An engine that looks sooner refuses that one, and the next one runs.
fn are_entered(twenty: &Twenty) {
    twenty.freeze();
    let mut refusals = 0;
    for container in &twenty.made {
        let exec = ["exec", text(container, "container_id"), "true"];
        if let Err(refused) = twenty.docker(&exec) {
            assert!(refused.contains("cannot exec in a paused container"), "{refused}");
            refusals += 1;
            twenty.daemon.client.until(container, "depth", "awake");
            twenty.docker(&exec).unwrap();
        }
        assert_eq!(twenty.daemon.client.show(text(container, "uri"))["depth"], "awake");
    }
    println!("{refusals} of {} commands were refused", twenty.made.len());
    assert!(refusals * 4 <= twenty.made.len(), "{refusals} were refused, one at a time");
    twenty.all_serve();
}

fn are_restarted(twenty: &Twenty) {
    let before = twenty.shut_downs();
    twenty.over_frozen(&["restart"]);
    twenty.all_serve();
    twenty.all_shut_down_once_more_than(&before);
}

fn are_stopped_and_removed(twenty: &Twenty) {
    let before = twenty.shut_downs();
    twenty.over_frozen(&["stop"]);
    twenty.all_shut_down_once_more_than(&before);
    for container in &twenty.made {
        twenty.daemon.client.until(container, "status", "stopped");
        let asked = TcpStream::connect(format!("127.0.0.1:{}", text(container, "app_port")));
        assert!(asked.is_err(), "a person stopped it");
        let started = twenty.daemon.client.patch(text(container, "uri"), "status=running");
        assert_eq!(started.status, 200, "{}", started.text);
    }
    twenty.over_frozen(&["rm", "-f"]);
    twenty.made.iter().for_each(|container| twenty.daemon.client.until(container, "status", "stopped"));
}

fn shut_down_with_their_engine(mut twenty: Twenty) {
    let before = twenty.shut_downs();
    twenty.freeze();
    let engine = twenty.engine.as_mut().unwrap();
    engine.stop();
    engine.start_again();
    twenty.all_shut_down_once_more_than(&before);
}

fn outlive_their_engine(twenty: &mut Twenty) {
    let connect = |container: &Value| Postgres::connect(text(container, "app_port")).unwrap();
    let mut open: Vec<Postgres> = twenty.made.iter().map(connect).collect();
    twenty.freeze();
    let engine = twenty.engine.as_mut().unwrap();
    engine.stop();
    engine.start_again();
    twenty.made.iter().for_each(|container| twenty.daemon.client.until(container, "status", "running"));
    open.iter_mut().for_each(|open| open.query("SELECT 1").unwrap());
}

#[test]
fn what_the_engine_does_to_twenty_frozen_databases_ends_well() {
    let twenty = Twenty::shared();
    are_entered(&twenty);
    are_restarted(&twenty);
    are_stopped_and_removed(&twenty);
}

#[test]
fn an_engine_that_is_told_to_end_over_twenty_frozen_databases_shuts_each_down_in_order() {
    shut_down_with_their_engine(Twenty::on(Dockerd::start()));
}

#[test]
fn twenty_frozen_databases_outlive_an_engine_that_restores_them() {
    outlive_their_engine(&mut Twenty::on(Dockerd::start_with(&["--live-restore"])));
}

#[test]
fn over_control_groups_of_version_2_an_engine_that_is_told_to_end_shuts_twenty_down_in_order() {
    shut_down_with_their_engine(Twenty::on(Dockerd::start_unified()));
}

#[test]
fn over_control_groups_of_version_2_whatever_else_it_does_to_twenty_ends_well() {
    let mut twenty = Twenty::on(Dockerd::start_unified_with(&["--live-restore"]));
    are_entered(&twenty);
    are_restarted(&twenty);
    outlive_their_engine(&mut twenty);
    are_stopped_and_removed(&twenty);
}
