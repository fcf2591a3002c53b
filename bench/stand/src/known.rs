//! The containers that are known: the same number for number in the store and in the engine.

use anyhow::Context;
use control::store::Change;
use control::{Sqlite, Store as _};
use engine::fake::Fake;
use model::{Container, ContainerId, Endpoint, EngineId, Key, Looks, Phase, Protocol, Stage, Timestamp};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const INSTANCE: &str = "stand";
/// Every look comes within this time, as those of containers that were started one after the other do.
const LOOKS_WITHIN: Duration = Duration::from_secs(1800);
const OWNER: &str = "0123456789abcdef0123456789abcdef";
const FIRST_PORT: u32 = 20_000;
const PER_COMMIT: usize = 1_000;

/// Writes them into a new store.
pub(crate) fn fill(folder: &Path, known: u32) -> anyhow::Result<()> {
    let mut store = Sqlite::open(folder)?;
    store.read(&|| OWNER.to_owned())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let puts: Vec<Change> = (0..known)
        .map(|number| Change::Put(Arc::new(container(number, known, Timestamp::default().plus(now)))))
        .collect();
    puts.chunks(PER_COMMIT).try_for_each(|some| store.commit(some))?;
    Ok(())
}

/// An engine that runs them.
pub(crate) fn engine(known: u32) -> Fake {
    let fake = Fake::new();
    fake.forget_calls();
    for number in 0..known {
        let body = fake.add_stranger(INSTANCE, OWNER, &key(number));
        fake.start_by_hand(&body);
    }
    fake
}

/// The engine numbers its containers from 1.
pub(crate) fn body(number: u32) -> EngineId {
    EngineId::new(format!("{:064x}", number + 1))
}

fn key(number: u32) -> String {
    format!("{number:032x}")
}

/// Two ports each, as most images have: SSH and the application. Number 0 has the address that a load from this host has.
fn container(number: u32, known: u32, now: Timestamp) -> Container {
    let tcp = |container_port, at: u32| Endpoint {
        container_port,
        protocol: Protocol::Tcp,
        host_port: u16::try_from(FIRST_PORT + 2 * number + at).ok(),
        published: None,
    };
    let until_look = LOOKS_WITHIN * (number + 1) / known;
    let looked = LOOKS_WITHIN - until_look;
    let since = now.shifted(-i64::try_from(looked.as_millis()).expect("half an hour is no age"));
    Container {
        key: Key::new(key(number)),
        container_id: Some(ContainerId::new(body(number).as_str())),
        engine_id: Some(body(number)),
        name: format!("/name_{}", number + 1),
        image: "atbaker/sd-postgres".into(),
        address: Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + number),
        endpoints: vec![tcp(22, 0), tcp(5432, 1)],
        app_port: Some(5432),
        ready: None,
        image_says: Default::default(),
        owner_says: Default::default(),
        warnings: vec![],
        lives_since: None,
        created_at: now,
        last_activity: now,
        check_in: "0".into(),
        checked_in_at: None,
        failure: None,
        phase: Phase::Running {
            looks: Some(Looks { stage: Stage::First, since, next: now.plus(until_look) }),
            sleep: Default::default(),
        },
    }
}
