//! Freezing, and what can be asked of a container meanwhile: one suite for the fake and for every way in which a real engine
//! freezes: by control groups of version 1 and 2, by its pause where those are not to be had, and under Podman.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]
#![allow(unreachable_pub, reason = "one program")]

#[path = "../bench/mod.rs"]
mod bench;
mod freezing;
mod real;
mod watch;

use bench::{Bench, test_image};
use engine::Engine;
use engine::docker::Docker;
use freezing::*;
use model::Freezer;
use real::*;
use tests::{Dockerd, Podman, hide_control_groups};
use watch::frozen;

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
