//! A delete: gone at once for everybody, and what the container had rests.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, create, id, until};
use control::store::{Change, Contents};
use control::{CommandError, CreateRequest, StoreError};
use engine::fake::Call;
use std::time::Duration;

#[tokio::test]
async fn a_delete_takes_it_off_the_list_at_once_and_off_the_engine_for_good() {
    let bench = Bench::new();
    let control = bench.launch().await;
    let view = create(&control).await;
    bench.fake.fail(Call::Remove, 2, false);
    bench.fake.slow(Call::Stop, Duration::from_millis(50));
    let handle = control.find(&id(&view)).unwrap();
    handle.delete().await.unwrap();
    assert!(control.list().is_empty());
    assert!(control.find(&id(&view)).is_err());
    until("the engine let go of it", || bench.fake.bodies().is_empty()).await;
    until("its ports are free", || bench.ports.all().is_empty()).await;
    assert!(matches!(handle.start().await, Err(CommandError::Gone(_))));
    let next = create(&control).await;
    assert!(next.container.host_ports().all(|port| port > 50_001), "its ports rest");
    assert_ne!(next.container.address, view.container.address, "its address rests");
}

#[tokio::test(start_paused = true)]
async fn what_a_deleted_container_had_rests_after_a_crash_too() {
    let bench = Bench { range: 50_000..=50_003, ..Bench::inline() };
    let parts = bench.parts();
    let store = UntilForgotten { store: parts.store, over: false };
    let control = control::Control::launch(control::Parts { store: Box::new(store), ..parts }).await.unwrap();
    let view = create(&control).await;
    control.find(&id(&view)).unwrap().delete().await.unwrap();
    until("its ports are free", || bench.ports.all().is_empty()).await;
    control.shut_down().await;
    let again = bench.launch().await;
    create(&again).await;
    let error =
        again.create(CreateRequest { image: "image".into(), ..Default::default() }).await.unwrap_err();
    assert!(error.to_string().contains("2 in use, 2 resting"), "{error}");
}

/// A store whose last write is the one that forgets a container, as before a crash.
struct UntilForgotten {
    store: Box<dyn control::Store>,
    over: bool,
}

impl control::Store for UntilForgotten {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.store.read(mint)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if self.over {
            return Err(StoreError::Closed);
        }
        self.over = changes.iter().any(|change| matches!(change, Change::Forget(_)));
        self.store.commit(changes)
    }

    fn events(&mut self, wanted: &control::Wanted) -> Result<Vec<model::Event>, StoreError> {
        self.store.events(wanted)
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_no_rest() {
    let bench = Bench { range: 50_000..=50_001, ..Bench::inline() };
    let control = bench.launch().await;
    let view = create(&control).await;
    control.find(&id(&view)).unwrap().delete().await.unwrap();
    until("its ports are free", || bench.ports.all().is_empty()).await;
    bench.jump(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let error =
        control.create(CreateRequest { image: "image".into(), ..Default::default() }).await.unwrap_err();
    assert!(error.to_string().contains("2 resting"), "{error}");
}
