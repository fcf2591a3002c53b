//! A host that is short of memory: who is stopped for it, and what a wake meets.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, connect, create, depth, id, status, until};
use control::{CommandError, Control, Reserves, Room, Target, View, WakeError};
use engine::fake::Call;
use model::{Depth, Phase, Status, StopReason};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const RESERVE: u64 = 1 << 20;

#[derive(Debug)]
struct Host {
    pressure: AtomicU64,
    memory: AtomicU64,
}

struct Asked(Arc<Host>);

impl Room for Asked {
    fn memory(&self) -> Option<u64> {
        Some(self.0.memory.load(Ordering::SeqCst))
    }

    fn disks(&self) -> Vec<(PathBuf, u64)> {
        Vec::new()
    }

    fn pressure(&self) -> Option<f64> {
        Some(self.0.pressure.load(Ordering::SeqCst) as f64)
    }
}

async fn launched() -> (Bench, Arc<Control>, Arc<Host>) {
    let bench = Bench::inline();
    let host = Arc::new(Host { pressure: AtomicU64::new(0), memory: AtomicU64::new(u64::MAX) });
    let mut parts = bench.parts();
    parts.room = Arc::new(Asked(Arc::clone(&host)));
    parts.settings.pressure_limit = Some(10.0);
    parts.settings.reserves = Reserves { memory: RESERVE, disk: 0 };
    let control = Control::launch(parts).await.unwrap();
    (bench, control, host)
}

async fn created(control: &Arc<Control>) -> Arc<View> {
    let view = create(control).await;
    tokio::time::sleep(MINUTE).await;
    view
}

async fn freeze(control: &Arc<Control>, view: &View) {
    control.find(&id(view)).unwrap().freeze().await.unwrap();
    tokio::time::sleep(MINUTE).await;
}

fn target(bench: &Bench, view: &View) -> Target {
    bench.ports.target(view.container.app_host_port().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_longest_frozen_is_stopped_first_one_at_a_time_and_a_connection_wakes_it() {
    let (bench, control, host) = launched().await;
    // The younger one is frozen first.
    let (second, first) = (created(&control).await, created(&control).await);
    freeze(&control, &first).await;
    freeze(&control, &second).await;
    host.pressure.store(50, Ordering::SeqCst);
    until("the first is stopped", || status(&control, &id(&first)) == Status::Stopped).await;
    host.pressure.store(0, Ordering::SeqCst);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(depth(&control, &id(&second)), Depth::Frozen);
    let stopped = control.find(&id(&first)).unwrap().view();
    assert_eq!(stopped.container.phase, Phase::Stopped { reason: StopReason::Pressure });
    let target = target(&bench, &first);
    target.wake(&connect(&target)).await.unwrap();
    assert_eq!(status(&control, &id(&first)), Status::Running);
}

#[tokio::test(start_paused = true)]
async fn a_wake_for_which_there_is_no_memory_says_so_and_is_no_crash() {
    let (bench, control, host) = launched().await;
    let view = created(&control).await;
    freeze(&control, &view).await;
    host.pressure.store(50, Ordering::SeqCst);
    until("it is stopped", || status(&control, &id(&view)) == Status::Stopped).await;
    host.pressure.store(0, Ordering::SeqCst);
    host.memory.store(0, Ordering::SeqCst);
    let target = target(&bench, &view);
    for _ in 0..3 {
        let Err(WakeError::NotStarted(why)) = target.wake(&connect(&target)).await else {
            panic!("there is no memory")
        };
        assert!(why.contains("memory"), "{why}");
    }
    host.memory.store(u64::MAX, Ordering::SeqCst);
    target.wake(&connect(&target)).await.unwrap();
}

/// The network that it names is gone, and while that comes back, so is the memory.
#[tokio::test(start_paused = true)]
async fn a_start_asks_for_room_again_once_its_network_is_back() {
    let (bench, control, host) = launched().await;
    let handle = control.find(&id(&*create(&control).await)).unwrap();
    handle.stop().await.unwrap();
    until("it is stopped", || handle.view().container.phase.status() == Status::Stopped).await;
    engine::Engine::remove_network(&bench.fake, &control.network().name).await.unwrap();
    bench.fake.slow(Call::Network, Duration::from_secs(1));
    let starts = || bench.fake.calls().iter().filter(|(call, _)| *call == Call::Start).count();
    let before = starts();
    let (started, ()) = tokio::join!(handle.start(), async {
        until("the engine has refused", || starts() == before + 1).await;
        host.memory.store(0, Ordering::SeqCst);
    });
    assert!(matches!(started, Err(CommandError::NoRoom(_))), "{started:?}");
    assert_eq!((starts(), handle.view().container.phase.status()), (before + 1, Status::Stopped));
    host.memory.store(u64::MAX, Ordering::SeqCst);
    handle.start().await.unwrap();
}
