//! Containers of somebody else's, taken into the store with a new body.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, connect, until};
use control::{Adopted, Adopter};
use engine::Engine;
use model::{ContainerId, Status};
use std::sync::Arc;

fn adopted() -> Adopted {
    Adopted {
        container_id: ContainerId::new("2".repeat(64)),
        name: "hungry_bell".into(),
        image: "as/asked".into(),
        saved: "image".into(),
    }
}

async fn adopter(bench: &Bench) -> Adopter {
    let parts = bench.parts();
    Adopter::begin(&bench.fake, parts.store, Arc::new(bench.ports.clone()), parts.settings).await.unwrap()
}

#[tokio::test]
async fn it_keeps_its_identity_and_sleeps_until_somebody_connects() {
    let bench = Bench::new();
    let mut adopter = adopter(&bench).await;
    assert!(!adopter.knows(&adopted().container_id));
    let (container, spec) = adopter.intend(&bench.fake, &adopted()).await.unwrap();
    assert_eq!((spec.image.as_str(), container.image.as_str()), ("image", "as/asked"));
    let made = bench.fake.create(&spec).await.unwrap();
    let port = container.app_host_port().unwrap();
    adopter.settle(container, made).unwrap();
    assert!(adopter.knows(&adopted().container_id));
    drop(adopter);

    let control = bench.launch().await;
    let id = adopted().container_id.to_string();
    assert_eq!(bench::status(&control, &id), Status::Stopped);
    let target = bench.ports.target(port);
    target.wake(&connect(&target)).await.unwrap();
    assert_eq!(bench::status(&control, &id), Status::Running);
    control.shut_down().await;
}

/// A crash between the intent and the body, or between the body and its record.
#[tokio::test]
async fn a_half_is_undone_by_the_next_import_and_by_the_daemon() {
    for (has_body, by_daemon) in [(false, false), (true, false), (false, true), (true, true)] {
        let bench = Bench::new();
        let mut first = adopter(&bench).await;
        let (_, spec) = first.intend(&bench.fake, &adopted()).await.unwrap();
        if has_body {
            bench.fake.create(&spec).await.unwrap();
        }
        drop(first);
        if by_daemon {
            let control = bench.launch().await;
            until("it is gone", || control.list().is_empty() && bench.fake.bodies().is_empty()).await;
            control.shut_down().await;
        } else {
            let mut again = adopter(&bench).await;
            let halves = again.halves();
            assert_eq!((halves.len(), halves[0].key.as_str()), (1, spec.key.as_str()));
            again.give_up(&halves[0]).unwrap();
        }
        let mut last = adopter(&bench).await;
        for half in last.halves() {
            last.give_up(&half).unwrap();
        }
        assert!(!last.knows(&adopted().container_id));
        last.intend(&bench.fake, &adopted()).await.unwrap();
    }
}
