//! Five hundred creates at once: bounded work, a clear answer to whoever is too many, and afterwards it works as before.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, says};
use engine::fake::Call;
use std::sync::Arc;
use std::time::Duration;

/// With ports and addresses for all of them.
async fn roomy() -> Arc<Bench> {
    let widen = |parts: &mut control::Parts| {
        parts.settings.endpoint_ports = 50_000..=51_999;
        parts.settings.subnet = Some("10.9.0.0/16".parse().unwrap());
        parts.settings.start_limit = 4;
    };
    Arc::new(Bench::with(true, widen).await)
}

fn creates(bench: &Bench) -> usize {
    bench.fake.calls().iter().filter(|(call, _)| *call == Call::Create).count()
}

/// The clock is paused: all five hundred have asked before the first engine call returns.
#[tokio::test(start_paused = true)]
async fn of_500_creates_at_once_320_are_made_64_at_a_time_and_180_are_told_to_come_back() {
    let bench = roomy().await;
    for call in [Call::Image, Call::Create, Call::Start] {
        bench.fake.slow(call, Duration::from_millis(100));
    }
    let asked: Vec<_> = (0..500)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.create().await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(creates(&bench), 64, "those under way, and no more");
    assert_eq!(bench.send("GET", "/v1/containers", "").await.status, 200, "reads go on");

    let (mut made, mut refused) = (0, 0);
    for create in asked {
        let answer = create.await.unwrap();
        if answer.status == 201 {
            made += 1;
            continue;
        }
        says(
            &answer,
            429,
            "too-many-creates",
            "64 creates are under way and 256 more are waiting; try again later",
        );
        assert_eq!(answer.header("retry-after"), Some("2"));
        refused += 1;
    }
    assert_eq!((made, refused, creates(&bench)), (320, 180, 320));
    assert_eq!((bench.listed().await, bench.ports.count()), (320, 640));
    assert_eq!(bench.create().await.status, 201, "and then it works again");
}

#[tokio::test(start_paused = true)]
async fn a_crowd_before_an_engine_that_hangs_is_told_in_time_and_leaves_nothing() {
    let bench = roomy().await;
    bench.fake.slow(Call::Image, Duration::from_secs(3600));
    let asked: Vec<_> = (0..500)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.create().await.status })
        })
        .collect();
    let mut statuses = std::collections::BTreeMap::new();
    for create in asked {
        *statuses.entry(create.await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(statuses, [(429, 180), (503, 320)].into());
    assert_eq!((bench.listed().await, bench.ports.count()), (0, 0));
    bench.fake.slow(Call::Image, Duration::ZERO);
    assert_eq!(bench.create().await.status, 201);
}

/// The body of a client that went away while its create waited for admission is not made.
#[tokio::test(start_paused = true)]
async fn who_goes_away_while_it_waits_gives_up_its_place() {
    let bench = roomy().await;
    bench.fake.slow(Call::Image, Duration::from_secs(1));
    let ask = || {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.create().await.status })
    };
    let under_way: Vec<_> = (0..64).map(|_| ask()).collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let waiting: Vec<_> = (0..256).map(|_| ask()).collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(bench.create().await.status, 429);
    for create in waiting {
        create.abort();
        create.await.unwrap_err();
    }
    assert_eq!(bench.create().await.status, 201, "there is a place to wait in");
    for create in under_way {
        assert_eq!(create.await.unwrap(), 201);
    }
    assert_eq!((bench.listed().await, creates(&bench)), (65, 65));
}
