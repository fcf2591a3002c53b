//! More requests for one container than may wait, while the disk takes its time.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Answer, Bench, says};
use control::store::{Change, Contents, Wanted};
use control::{Sqlite, Store, StoreError, Writing};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// Whoever holds its lock holds every write up.
struct Slow(Sqlite, Arc<Mutex<()>>);

impl Store for Slow {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.0.read(mint)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let _turn = self.1.lock().unwrap();
        self.0.commit(changes)
    }

    fn events(&mut self, wanted: &Wanted) -> Result<Vec<model::Event>, StoreError> {
        self.0.events(wanted)
    }
}

/// The supervisor waits for the disk with the first, 64 wait for the supervisor, and six are told to come back.
#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "that is what is tested: nobody who is awaited needs it")]
async fn beyond_64_that_wait_for_one_container_a_request_is_429_and_may_come_again() {
    let (disk, folder) = (Arc::new(Mutex::new(())), tempfile::tempdir().unwrap());
    let slow = |parts: &mut control::Parts| {
        parts.store = Box::new(Slow(Sqlite::open(folder.path()).unwrap(), Arc::clone(&disk)));
        parts.writing = Writing::InGroups;
    };
    let bench = Arc::new(Bench::with(true, slow).await);
    let uri = bench.create().await.body["uri"].as_str().unwrap().to_owned();
    let held = disk.lock().unwrap();
    let mut asked = JoinSet::new();
    for status in ["stopped"].into_iter().chain(["running"; 70]) {
        let (bench, uri) = (Arc::clone(&bench), uri.clone());
        asked.spawn(async move { bench.send("PATCH", &uri, &format!("status={status}")).await });
        // One after the other: who waits is not left to the order in which tasks come to run.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut refused = Vec::new();
    while refused.len() < 6 {
        let next = tokio::time::timeout(Duration::from_secs(10), asked.join_next());
        refused.push(next.await.unwrap().unwrap().unwrap());
    }
    for answer in refused {
        says(&answer, 429, "busy", "The container has too many requests waiting");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let gone = bench.send("DELETE", &uri, "").await;
    says(&gone, 429, "busy", "The container has too many requests waiting");
    assert_eq!(bench.send("GET", &uri, "").await.status, 200, "reads go on");
    drop(held);
    let answered: Vec<Answer> = asked.join_all().await;
    assert_eq!(answered.iter().filter(|answer| answer.status == 200).count(), 65, "{answered:?}");
    assert_eq!(bench.send("DELETE", &uri, "").await.status, 204, "and then it works again");
}
