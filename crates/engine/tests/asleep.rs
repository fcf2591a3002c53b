//! Freezing, and what can be asked of a container meanwhile: one suite for the fake and for every way in which a real engine
//! freezes: by control groups of version 1 and 2, by its pause where those are not to be had, and under Podman.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, GRACE, test_image};
use engine::docker::Docker;
use engine::{Engine, EngineError, Event, EventKind, Socket, SocketKind};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use model::{EngineId, Freezer, Observation};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tests::{Dockerd, Podman, hide_control_groups};

async fn frozen(bench: &Bench, id: &EngineId) -> Option<Freezer> {
    match bench.engine.inspect(id).await.unwrap() {
        Observation::Running { frozen, .. } => frozen,
        other => panic!("it runs: {other:?}"),
    }
}

async fn it_freezes_and_thaws(bench: &Bench) {
    let id = bench.running().await;
    assert_eq!(frozen(bench, &id).await, None);
    for by in [Freezer::Cgroup, Freezer::Engine] {
        bench.engine.thaw(&id, by).await.unwrap();
    }
    for _ in 0..3 {
        let by = bench.engine.freeze(&id).await.unwrap();
        assert_eq!(bench.engine.freeze(&id).await.unwrap(), by, "again");
        assert_eq!(frozen(bench, &id).await, Some(by));
        let listed = bench.engine.list(&bench.instance).await.unwrap();
        assert_eq!((listed[0].running, listed[0].frozen), (true, Some(by)));
        for _ in 0..2 {
            bench.engine.thaw(&id, by).await.unwrap();
            assert_eq!(frozen(bench, &id).await, None);
        }
    }
}

async fn what_does_not_run_does_not_freeze(bench: &Bench) {
    let id = bench.body().await;
    assert!(bench.engine.freeze(&id).await.unwrap_err().is_not_found());
    bench.engine.start(&id).await.unwrap();
    let by = bench.engine.freeze(&id).await.unwrap();
    bench.engine.stop(&id, GRACE).await.unwrap();
    assert!(bench.engine.freeze(&id).await.unwrap_err().is_not_found());
    bench.engine.thaw(&id, by).await.unwrap();
    bench.engine.remove(&id).await.unwrap();
    assert!(bench.engine.freeze(&id).await.unwrap_err().is_not_found());
    bench.engine.thaw(&id, by).await.unwrap();
}

async fn a_frozen_one_is_stopped_started_and_removed(bench: &Bench) {
    let id = bench.running().await;
    bench.engine.freeze(&id).await.unwrap();
    bench.engine.stop(&id, GRACE).await.unwrap();
    bench.sees(&id, "exited").await;
    bench.engine.start(&id).await.unwrap();
    assert_eq!(frozen(bench, &id).await, None);
    bench.engine.freeze(&id).await.unwrap();
    bench.engine.remove(&id).await.unwrap();
    bench.sees(&id, "missing").await;
}

async fn a_command_thaws(bench: &Bench) {
    let id = bench.running().await;
    bench.engine.freeze(&id).await.unwrap();
    let mut events = bench.engine.events(&bench.instance).await.unwrap();
    assert_eq!(bench.engine.exec(&id, &engine::shell("exit 0"), GRACE * 20).await.unwrap(), 0);
    assert_eq!(frozen(bench, &id).await, None);
    assert_eq!(bench.engine.execs(&id).await.unwrap(), 0, "it has ended");
    while next(&mut events, &id).await != EventKind::Exec {}
}

async fn a_freeze_that_nobody_waits_for_is_undone_by_a_thaw(bench: &Bench) {
    let id = bench.running().await;
    for millis in [0, 0, 1, 2, 4, 8, 16, 32] {
        for either in [Freezer::Cgroup, Freezer::Engine] {
            let freezing = tokio::time::timeout(Duration::from_millis(millis), bench.engine.freeze(&id));
            let by = freezing.await.map_or(either, Result::unwrap);
            bench.engine.thaw(&id, by).await.unwrap();
            for _ in 0..3 {
                // Docker showed a pause after its unpause once, under load. The likely reason, not shown: containerd tells it of its own pause
                // too, and late. A pause that is left fails all the same.
                if bench.by == Freezer::Engine {
                    until("it is shown as it is", async || frozen(bench, &id).await.is_none()).await;
                } else {
                    assert_eq!(frozen(bench, &id).await, None, "after {millis} ms");
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

async fn what_can_be_asked_of_a_frozen_one(bench: &Bench) {
    let id = bench.body().await;
    assert!(bench.engine.cpu(&id).await.unwrap_err().is_not_found());
    assert!(bench.engine.sockets(&id).await.unwrap_err().is_not_found());
    bench.engine.start(&id).await.unwrap();
    let by = bench.engine.freeze(&id).await.unwrap();
    let used = bench.engine.cpu(&id).await.unwrap();
    assert_eq!(used.is_some(), by == Freezer::Cgroup, "where control groups can be seen");
    assert!(bench.engine.sockets(&id).await.unwrap().is_some());
    assert_eq!(bench.engine.execs(&id).await.unwrap(), 0);
    bench.engine.reclaim(&id).await.unwrap();
    assert_eq!(frozen(bench, &id).await, Some(by), "nothing of it thaws");
}

// What only a real engine can show.

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Starts a program inside that nobody waits for.
fn run_inside(bench: &Bench, id: &EngineId, program: &[&str]) {
    bench.docker_cli(&[&["exec", "-d", id.as_str()], program].concat());
}

/// The host's id of the process inside whose command line has this in it.
async fn process_inside(id: &EngineId, part: &str) -> String {
    let mut found = None;
    until("the program runs", async || {
        found = processes_of(id).find(|pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(part)
        });
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// By their control groups: not every engine answers `docker top`.
fn processes_of(id: &EngineId) -> impl Iterator<Item = String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter_map(|entry| entry.file_name().into_string().ok());
    all.filter(move |pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .is_ok_and(|groups| groups.contains(id.as_str()))
    })
}

/// Nanoseconds on a CPU.
fn worked(pid: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

async fn a_frozen_program_does_nothing(bench: &Bench) {
    let id = bench.running().await;
    run_inside(bench, &id, &["sh", "-c", "while :; do :; done"]);
    let pid = process_inside(&id, "while :").await;
    until("it works", async || worked(&pid) > 0).await;
    let cpu = bench.engine.cpu(&id).await.unwrap();
    assert_eq!(bench.engine.freeze(&id).await.unwrap(), bench.by);
    let at_freeze = worked(&pid);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(worked(&pid), at_freeze);
    bench.engine.thaw(&id, bench.by).await.unwrap();
    until("it works again", async || worked(&pid) > at_freeze).await;
    if bench.by == Freezer::Cgroup {
        until("its CPU time is told", async || bench.engine.cpu(&id).await.unwrap() > cpu).await;
    }
}

/// Version 1 may miss a process that is just being made, and has to be told again.
async fn what_makes_processes_all_the_time_freezes(bench: &Bench) {
    let id = bench.running().await;
    for number in 0..3 {
        // What the engine still does to bring one in is none of it.
        run_inside(bench, &id, &["sh", "-c", &format!("while :; do /bin/true {number}; done")]);
        process_inside(&id, &format!("/bin/true {number};")).await;
    }
    let mut undone = 0;
    for _ in 0..20 {
        let by = match bench.engine.freeze(&id).await {
            Ok(by) => by,
            // The engine's own pause has no more than its second, on a machine that does much else too.
            Err(EngineError::TimedOut { .. }) if bench.by == Freezer::Engine => continue,
            // Over Podman that was seen on a busy machine, for a reason not found, and not again in 150 freezes beside four programs that
            // use all the CPU there is: it is undone then, as it must be.
            Err(EngineError::Host { .. }) if bench.podman => {
                assert_eq!(frozen(bench, &id).await, None, "it is undone");
                undone += 1;
                continue;
            }
            Err(error) => panic!("{error:?}"),
        };
        let used = bench.engine.cpu(&id).await.unwrap().unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let then = bench.engine.cpu(&id).await.unwrap().unwrap_or_default();
        // The kernel confirms it some microseconds before the last one is off its CPU.
        assert!(then - used < Duration::from_millis(1), "{used:?} {then:?}");
        bench.engine.thaw(&id, by).await.unwrap();
    }
    assert!(undone <= 2, "{undone} of 20 freezes were not confirmed in time");
}

async fn commands_of_others_are_counted_and_told(bench: &Bench) {
    let id = bench.running().await;
    let mut events = bench.engine.events(&bench.instance).await.unwrap();
    run_inside(bench, &id, &["sleep", "1000"]);
    until("it is counted", async || bench.engine.execs(&id).await.unwrap() == 1).await;
    bench.docker_cli(&["kill", "-s", "HUP", id.as_str()]);
    let told = [next(&mut events, &id).await, next(&mut events, &id).await];
    assert_eq!(told, [EventKind::Exec, EventKind::Signalled]);
}

/// Before anybody is told of it: the engine waits for nobody. By its own pause, whoever is told does it.
async fn what_the_engine_announces_thaws(bench: &Bench) {
    let id = bench.running().await;
    let mut events = bench.engine.events(&bench.instance).await.unwrap();
    for _ in 0..3 {
        let by = bench.engine.freeze(&id).await.unwrap();
        assert_eq!((by, frozen(bench, &id).await), (bench.by, Some(by)));
        bench.docker_cli(&["kill", "-s", "WINCH", id.as_str()]);
        while next(&mut events, &id).await != EventKind::Signalled {}
        if by == Freezer::Engine {
            bench.engine.thaw(&id, by).await.unwrap();
        }
        assert_eq!(frozen(bench, &id).await, None, "when it is told");
    }
}

/// What is told of it next.
async fn next(events: &mut BoxStream<'static, Result<Event, EngineError>>, id: &EngineId) -> EventKind {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        let event = event.expect("an event comes").expect("the stream goes on").unwrap();
        if event.engine_id == *id {
            return event.kind;
        }
    }
}

async fn a_pause_of_somebodys_is_the_engines(bench: &Bench) {
    let id = bench.running().await;
    bench.docker_cli(&["pause", id.as_str()]);
    assert_eq!(frozen(bench, &id).await, Some(Freezer::Engine));
    assert_eq!(bench.engine.freeze(&id).await.unwrap(), Freezer::Engine);
    assert_eq!(bench.engine.exec(&id, &engine::shell("exit 3"), GRACE * 20).await.unwrap(), 3);
    assert_eq!(frozen(bench, &id).await, None);
    bench.docker_cli(&["pause", id.as_str()]);
    bench.engine.thaw(&id, Freezer::Engine).await.unwrap();
    assert_eq!(frozen(bench, &id).await, None);
}

const SERVER: &str = "$l = IO::Socket::INET->new(Listen => 64, LocalPort => 8000) or die;
    while ($c = $l->accept) { sysread($c, $b, 5); syswrite($c, 'answer'); push @open, $c }";

async fn what_came_in_while_it_was_frozen_is_seen(bench: &Bench) {
    let id = bench.running().await;
    run_inside(bench, &id, &["perl", "-MIO::Socket::INET", "-e", SERVER]);
    let door = SocketAddr::from((bench.spec().address.unwrap(), 8000));
    let sockets = async || bench.engine.sockets(&id).await.unwrap().unwrap();
    until("it listens", async || unread(&sockets().await, 8000, None) == Some(0)).await;
    let mut client = TcpStream::connect(door).unwrap();
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();
    let by = bench.engine.freeze(&id).await.unwrap();
    let here = client.local_addr().unwrap();
    let served = sockets().await.into_iter().find(|socket| socket.peer == Some(here)).unwrap();
    assert_eq!((served.kind, served.local, served.unread), (SocketKind::Established, door, 0));
    assert!(served.last_sent.unwrap() <= served.last_received.unwrap(), "{served:?}");
    client.write_all(b"more").unwrap();
    let _another = TcpStream::connect(door).unwrap();
    until("both are seen", async || {
        let sockets = sockets().await;
        unread(&sockets, 8000, Some(here)) == Some(4) && unread(&sockets, 8000, None) == Some(1)
    })
    .await;
    bench.engine.thaw(&id, by).await.unwrap();
    until("it is accepted", async || unread(&sockets().await, 8000, None) == Some(0)).await;
}

fn unread(sockets: &[Socket], port: u16, peer: Option<SocketAddr>) -> Option<u32> {
    let mut there = sockets.iter().filter(|socket| socket.local.port() == port && socket.peer == peer);
    there.next().map(|socket| socket.unread)
}

/// A restart makes another network and other control groups under the old names.
async fn a_restart_behind_our_back_is_noticed(bench: &Bench) {
    let id = bench.running().await;
    bench.engine.sockets(&id).await.unwrap();
    let by = bench.engine.freeze(&id).await.unwrap();
    bench.engine.thaw(&id, by).await.unwrap();
    bench.docker_cli(&["restart", "-t", "0", id.as_str()]);
    run_inside(bench, &id, &["perl", "-MIO::Socket::INET", "-e", SERVER]);
    until("its new sockets are seen", async || {
        unread(&bench.engine.sockets(&id).await.unwrap().unwrap(), 8000, None) == Some(0)
    })
    .await;
    assert_eq!(bench.engine.freeze(&id).await.unwrap(), by);
    assert_eq!(frozen(bench, &id).await, Some(by));
}

/// What a file was read into is the kernel's to take.
#[tokio::test]
async fn docker_gives_back_what_the_kernel_can_take() {
    const WRITTEN: u64 = 32 << 20;
    let bench = Bench::docker().await;
    let id = bench.running().await;
    bench.docker_cli(&[
        "exec",
        id.as_str(),
        "dd",
        "if=/dev/zero",
        "of=/file",
        "bs=1M",
        "count=32",
        "conv=fsync",
    ]);
    let by = bench.engine.freeze(&id).await.unwrap();
    let Some(taken) = bench.engine.reclaim(&id).await.unwrap() else { panic!("its control group is seen") };
    assert!(taken > WRITTEN / 2, "{taken} bytes");
    assert_eq!(frozen(&bench, &id).await, Some(by), "it is frozen still");
}

/// The tests of a module are run one for one; those of an engine of their own, which is slow to start, in one.
macro_rules! everywhere {
    (the fake too { $($any:ident)* } real ones { $($real:ident)* }) => {
        mod fake {
            $(#[tokio::test] async fn $any() { super::$any(&super::Bench::fake().await).await })*
        }
        mod docker {
            $(#[tokio::test] async fn $any() { super::$any(&super::Bench::docker().await).await })*
            $(#[tokio::test] async fn $real() { super::$real(&super::Bench::docker().await).await })*
        }
        mod docker_by_pause {
            $(#[test] fn $any() { super::by_pause(async |bench| super::$any(bench).await) })*
            $(#[test] fn $real() { super::by_pause(async |bench| super::$real(bench).await) })*
        }
        #[test]
        fn docker_s_language_spoken_by_podman() {
            let podman = Podman::start();
            podman.load(test_image());
            $(on_podman(&podman, stringify!($any), async |bench| $any(bench).await);)*
            $(on_podman(&podman, stringify!($real), async |bench| $real(bench).await);)*
        }
        #[test]
        fn docker_over_control_groups_of_version_2() {
            let dockerd = Dockerd::start_unified();
            dockerd.load(test_image());
            $(unified(&dockerd, stringify!($any), async |bench| $any(bench).await);)*
            $(unified(&dockerd, stringify!($real), async |bench| $real(bench).await);)*
        }
    };
}

fn by_pause(test: impl AsyncFnOnce(&Bench)) {
    hide_control_groups();
    on_this_thread(async {
        let mut bench = Bench::docker().await;
        bench.by = Freezer::Engine;
        test(&bench).await;
    });
}

fn unified(dockerd: &Dockerd, name: &str, test: impl AsyncFnOnce(&Bench)) {
    eprintln!("over control groups of version 2: {name}");
    on_this_thread(async { test(&Bench::docker_at(&dockerd.host(), test_image()).await).await });
}

fn on_podman(podman: &Podman, name: &str, test: impl AsyncFnOnce(&Bench)) {
    eprintln!("over Podman: {name}");
    on_this_thread(async { test(&Bench::podman_at(&podman.host(), test_image()).await).await });
}

/// Threads that it starts are where this one is.
fn on_this_thread<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

everywhere! {
    the fake too {
        it_freezes_and_thaws
        what_does_not_run_does_not_freeze
        a_frozen_one_is_stopped_started_and_removed
        a_command_thaws
        a_freeze_that_nobody_waits_for_is_undone_by_a_thaw
        what_can_be_asked_of_a_frozen_one
    }
    real ones {
        a_frozen_program_does_nothing
        what_makes_processes_all_the_time_freezes
        commands_of_others_are_counted_and_told
        what_the_engine_announces_thaws
        a_pause_of_somebodys_is_the_engines
        what_came_in_while_it_was_frozen_is_seen
        a_restart_behind_our_back_is_noticed
    }
}

#[test]
fn docker_says_why_its_pause_has_to_do() {
    let limits =
        || on_this_thread(async { Docker::connect(None).await.unwrap().describe().await.unwrap().limits });
    assert!(!limits().iter().any(|limit| matches!(limit, engine::Limit::SlowFreezer(_))), "{:?}", limits());
    hide_control_groups();
    let told = limits().iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("the freezer hierarchy of control groups is not mounted"), "{told}");
}
