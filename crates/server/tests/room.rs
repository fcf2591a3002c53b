//! A create that would leave less memory or disk than a reserve is 507 with the figures; everything else goes on.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, says};
use control::{Reserves, Room};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MIB: u64 = 1 << 20;

/// A host whose memory and disk a test uses up, in MiB.
#[derive(Clone, Default)]
struct Host {
    memory: Arc<AtomicU64>,
    disk: Arc<AtomicU64>,
}

impl Room for Host {
    fn memory(&self) -> Option<u64> {
        Some(self.memory.load(Ordering::Relaxed) * MIB)
    }

    fn disks(&self) -> Vec<(PathBuf, u64)> {
        let disk = self.disk.load(Ordering::Relaxed) * MIB;
        vec![("/roomy".into(), u64::MAX), ("/var/lib/docker".into(), disk)]
    }
}

async fn with_one(host: &Host) -> (Bench, String) {
    let change = |parts: &mut control::Parts| {
        parts.room = Arc::new(host.clone());
        parts.settings.reserves = Reserves { memory: 256 * MIB, disk: 1024 * MIB };
        parts.settings.limits.memory = 512 << 20;
        parts.settings.endpoint_ports = 50_000..=50_009;
    };
    let bench = Bench::with(true, change).await;
    host.memory.store(768, Ordering::Relaxed);
    host.disk.store(1024, Ordering::Relaxed);
    let made = bench.create().await;
    assert_eq!(made.status, 201, "{}", made.body);
    let uri = made.body["uri"].as_str().unwrap().to_owned();
    (bench, uri)
}

#[tokio::test]
async fn too_little_memory_or_disk_is_507_with_the_figures_and_makes_nothing() {
    let host = Host::default();
    let (bench, _) = with_one(&host).await;
    host.memory.store(767, Ordering::Relaxed);
    let memory = "Too little memory would be left: 767 MiB available, 512 MiB for the creates under way, 256 MiB kept free by \
                  memory_reserve; stop containers, or lower memory_reserve";
    says(&bench.create().await, 507, "no-room", memory);
    host.memory.store(768, Ordering::Relaxed);
    host.disk.store(1023, Ordering::Relaxed);
    let disk = "Too little disk is left at /var/lib/docker: 1023 MiB available, 1024 MiB kept free by disk_reserve; \
                free some space, or lower disk_reserve";
    says(&bench.create().await, 507, "no-room", disk);
    assert_eq!((bench.listed().await, bench.ports.count(), bench.fake.bodies().len()), (1, 2, 1));
    host.disk.store(1024, Ordering::Relaxed);
    assert_eq!(bench.create().await.status, 201, "there is room again");
}

#[tokio::test]
async fn what_is_there_stops_and_goes_however_little_is_left_and_starts_while_there_is_memory() {
    let host = Host::default();
    let (bench, uri) = with_one(&host).await;
    host.memory.store(0, Ordering::Relaxed);
    host.disk.store(0, Ordering::Relaxed);
    assert_eq!(bench.send("PATCH", &uri, "status=stopped").await.status, 200);
    bench.until_status(&uri, "stopped").await;
    let refused = bench.send("PATCH", &uri, "status=running").await;
    assert_eq!(
        (refused.status, refused.body["type"].as_str()),
        (507, Some("urn:spin-docker:problem:no-room"))
    );
    host.memory.store(768, Ordering::Relaxed);
    assert_eq!(bench.send("PATCH", &uri, "status=running").await.status, 200, "a start takes no disk");
    host.memory.store(0, Ordering::Relaxed);
    assert_eq!(bench.send("DELETE", &uri, "").await.status, 204);
}

/// None of them has taken yet what it may take.
#[tokio::test]
async fn creates_at_once_do_not_share_the_same_room() {
    let host = Host::default();
    let (bench, _) = with_one(&host).await;
    host.memory.store(2 * 512 + 256, Ordering::Relaxed);
    bench.fake.slow(engine::fake::Call::Create, std::time::Duration::from_millis(300));
    let (one, two, three) = tokio::join!(bench.create(), bench.create(), bench.create());
    let mut statuses = [one.status, two.status, three.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 507]);
}
