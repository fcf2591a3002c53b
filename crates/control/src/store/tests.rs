//! The store against a real file.

use super::*;
use crate::store::{EVENTS, Journal, Writing, bodies};
use model::{Container, EngineId, Event, EventKind, Key, Phase, Timestamp};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn container(key: &str) -> Container {
    Container {
        key: Key::new(key),
        container_id: None,
        engine_id: None,
        name: String::new(),
        image: "i".into(),
        address: Ipv4Addr::LOCALHOST,
        endpoints: vec![],
        app_port: None,
        ready: None,
        image_says: Default::default(),
        owner_says: Default::default(),
        warnings: vec![],
        lives_since: None,
        created_at: Timestamp::from_millis(1),
        last_activity: Timestamp::from_millis(1),
        check_in: "0".into(),
        checked_in_at: None,
        failure: None,
        phase: Phase::Creating,
    }
}

pub(in crate::store) fn event(id: u64, key: &str) -> Event {
    Event {
        id,
        at: Timestamp::from_millis(1),
        key: Key::new(key),
        container_id: None,
        name: String::new(),
        kind: EventKind::Started,
        cause: None,
        times: 1,
    }
}

pub(in crate::store) fn put(key: &str) -> Change {
    Change::Put(Arc::new(container(key)))
}

#[test]
fn what_was_committed_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let trail = Trail { cursor: 7, resting: [(3, Timestamp::from_millis(9))].into() };
    let mut store = Sqlite::open(folder.path()).unwrap();
    let owner = store.read(&|| "me".into()).unwrap().owner;
    let trails = Change::Trails { ports: trail.clone(), addresses: Trail::default() };
    store.commit(&[put("a"), put("b"), trails]).unwrap();
    store.commit(&[Change::Forget(Key::new("a"))]).unwrap();
    drop(store);

    let contents = Sqlite::open(folder.path()).unwrap().read(&|| "somebody else".into()).unwrap();
    assert_eq!(contents.owner, owner);
    assert_eq!(contents.containers, [container("b")]);
    assert_eq!(contents.ports, trail);
}

#[test]
fn bodies_are_read_beside_whoever_holds_the_store() {
    let folder = tempfile::tempdir().unwrap();
    assert!(bodies(folder.path()).unwrap_err().to_string().contains("spin-docker.db"));
    let mut held = Sqlite::open(folder.path()).unwrap();
    assert_eq!(bodies(folder.path()).unwrap(), []);
    let (one, two) = (EngineId::new("1"), EngineId::new("2"));
    let with_body = |key: &str, body: &EngineId| {
        Change::Put(Arc::new(Container { engine_id: Some(body.clone()), ..container(key) }))
    };
    held.commit(&[with_body("a", &one), put("half made")]).unwrap();
    assert_eq!(bodies(folder.path()).unwrap(), std::slice::from_ref(&one));
    held.commit(&[with_body("b", &two)]).unwrap();
    let before = files(folder.path());
    assert_eq!(bodies(folder.path()).unwrap(), [one, two]);
    assert_eq!(files(folder.path()), before, "it is untouched, and nothing is left beside it");
    held.commit(&[put("c")]).unwrap();
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Sqlite::open(folder.path()).unwrap();
    first.commit(&[put("a")]).unwrap();
    let error = Sqlite::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("data_dir"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Sqlite::open(&file.path().join("below")).unwrap_err();
    let says = format!("cannot make the `data_dir` {}", file.path().display());
    assert!(error.to_string().starts_with(&says), "{error}");
}

#[test]
fn its_files_are_for_their_owner_alone_whosever_the_folder_is() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut store = Sqlite::open(folder.path()).unwrap();
    store.commit(&[put("a")]).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert!(mode == 0o600 || name.ends_with(".reserve"), "{name}: {mode:o}");
    }
}

#[tokio::test]
async fn the_journal_groups_commits_and_flushes_notes_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::start(Box::new(Sqlite::open(folder.path()).unwrap()), Writing::InGroups, 0);
    let names: Vec<String> = (0..200).map(|n| format!("k{n}")).collect();
    let commits = names.iter().map(|name| journal.commit(vec![put(name)]));
    for result in futures_util::future::join_all(commits).await {
        result.unwrap();
    }
    journal.note(&Arc::new(container("noted")));
    journal.close().await;
    let contents = Sqlite::open(folder.path()).unwrap().read(&String::new).unwrap();
    assert_eq!(contents.containers.len(), 201);
}

#[tokio::test]
async fn an_older_note_never_overwrites_a_newer_commit() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::start(Box::new(Sqlite::open(folder.path()).unwrap()), Writing::InGroups, 0);
    journal.note(&Arc::new(Container { image: "older".into(), ..container("a") }));
    journal.commit(vec![put("a")]).await.unwrap();
    journal.note(&Arc::new(Container { image: "older".into(), ..container("b") }));
    journal.commit(vec![put("b"), Change::Forget(Key::new("b"))]).await.unwrap();
    journal.close().await;
    let contents = Sqlite::open(folder.path()).unwrap().read(&String::new).unwrap();
    assert_eq!(contents.containers, [container("a")]);
}

#[tokio::test(start_paused = true)]
async fn a_note_is_old_news_only_once_what_came_after_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (is_full, store) = (Arc::new(AtomicBool::new(true)), Sqlite::open(folder.path()).unwrap());
    let disk = Filling { store, is_full: Arc::clone(&is_full) };
    let journal = Journal::start(Box::new(disk), Writing::Inline, 0);
    let noted = Container { image: "noted".into(), ..container("a") };
    journal.note(&Arc::new(noted.clone()));
    journal.commit(vec![put("a")]).await.unwrap_err();
    is_full.store(false, Ordering::Relaxed);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(as_a_crash_would_leave_it(folder.path()), [noted]);
}

/// A store on a disk that may be full.
struct Filling {
    store: Sqlite,
    is_full: Arc<AtomicBool>,
}

impl Store for Filling {
    fn read(&mut self, mint: &dyn Fn() -> String) -> Result<Contents, StoreError> {
        self.store.read(mint)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let full = || StoreError::Full { path: "the disk".into() };
        if self.is_full.load(Ordering::Relaxed) { Err(full()) } else { self.store.commit(changes) }
    }

    fn events(&mut self, wanted: &Wanted) -> Result<Vec<Event>, StoreError> {
        self.store.events(wanted)
    }
}

/// What a crash would leave: the files as they are, opened elsewhere, since the store holds its own.
fn as_a_crash_would_leave_it(folder: &Path) -> Vec<Container> {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    Sqlite::open(copy.path()).unwrap().read(&String::new).unwrap().containers
}

#[tokio::test]
async fn a_note_is_written_within_a_second_however_many_come_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::start(Box::new(Sqlite::open(folder.path()).unwrap()), Writing::InGroups, 0);
    journal.note(&Arc::new(container("first")));
    let begun = std::time::Instant::now();
    while as_a_crash_would_leave_it(folder.path()).iter().all(|known| known.key.as_str() != "first") {
        assert!(begun.elapsed() < std::time::Duration::from_secs(3), "it still waits for a quiet second");
        journal.note(&Arc::new(container("another")));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    journal.close().await;
}

/// The clock is paused, so that the disk takes none of the time.
#[tokio::test(start_paused = true)]
async fn an_event_is_written_within_a_tenth_of_a_second_however_many_come_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::start(Box::new(Sqlite::open(folder.path()).unwrap()), Writing::Inline, 0);
    let (mut live, begun) = (journal.follow(), tokio::time::Instant::now());
    journal.note(&Arc::new(container("noted")));
    for _ in 0..9 {
        journal.tell(event(0, "k"));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(live.recv().await.unwrap().id, 1);
    let took = begun.elapsed().as_millis();
    // Timers have a resolution of a millisecond.
    assert!((90..=102).contains(&took), "it took {took} ms");
    assert_eq!(journal.last_event(), 9);
}

#[tokio::test]
async fn a_note_of_what_is_gone_forgets_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(folder.path()).unwrap();
    store.commit(&[put("a"), put("b")]).unwrap();
    let journal = Journal::start(Box::new(store), Writing::InGroups, 0);
    journal.note(&Arc::new(Container { phase: Phase::Gone, ..container("a") }));
    journal.close().await;
    assert_eq!(Sqlite::open(folder.path()).unwrap().read(&String::new).unwrap().containers, [container("b")]);
}

fn files(folder: &Path) -> std::collections::BTreeMap<std::ffi::OsString, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn a_database_of_a_later_version_is_refused_and_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    drop(Sqlite::open(folder.path()).unwrap());
    let later = Connection::open(folder.path().join("spin-docker.db")).unwrap();
    later.pragma_update(None, "user_version", 7).unwrap();
    put_meta(&later, "needs", "9.8.7").unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for (name, content) in files(folder.path()) {
        // As a crash leaves it: what is newest stands in the journal alone.
        std::fs::write(crashed.path().join(name), content).unwrap();
    }
    later.close().unwrap();
    for folder in [folder.path(), crashed.path()] {
        let before = files(folder);
        let error = Sqlite::open(folder).unwrap_err().to_string();
        assert!(error.contains("needs spin-docker 9.8.7 or newer (its schema is 7"), "{error}");
        assert_eq!(files(folder), before);
    }
}

#[test]
fn of_all_containers_together_no_more_events_are_kept_than_was_said_and_those_are_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(folder.path()).unwrap();
    let most = u64::try_from(EVENTS).unwrap();
    let ids: Vec<u64> = (1..=most + 1000).collect();
    let everything = Wanted { of: None, after: None, limit: 2 * EVENTS };
    for some in ids.chunks(500) {
        // Of so many containers that none has as many as are kept of one.
        let events = some.iter().map(|id| Change::Event(Arc::new(event(*id, &format!("k{}", id % 200)))));
        store.commit(&events.collect::<Vec<_>>()).unwrap();
        let last = some[some.len() - 1];
        if last < most {
            continue;
        }
        let kept: Vec<u64> = store.events(&everything).unwrap().iter().map(|event| event.id).collect();
        assert!((most - 200..=most).contains(&(kept.len() as u64)), "{} are kept", kept.len());
        assert!(kept.iter().copied().eq(kept[0]..=last), "the newest are");
    }
}

/// Two threads that count and commit what they counted to: whatever is written last was read last.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_read_later_is_never_overwritten_by_what_was_read_before() {
    use std::sync::atomic::AtomicU32;
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::start(Box::new(Sqlite::open(folder.path()).unwrap()), Writing::InGroups, 0);
    let counter = Arc::new(AtomicU32::new(0));
    let counting = (0..8).map(|_| {
        let (journal, counter) = (journal.clone(), Arc::clone(&counter));
        tokio::spawn(async move {
            for _ in 0..100 {
                let trail =
                    || Trail { cursor: counter.fetch_add(1, Ordering::SeqCst) + 1, ..Trail::default() };
                let read = || vec![Change::Trails { ports: trail(), addresses: Trail::default() }];
                journal.commit_as_of_now(read).await.unwrap();
            }
        })
    });
    futures_util::future::join_all(counting).await.into_iter().for_each(Result::unwrap);
    journal.close().await;
    let contents = Sqlite::open(folder.path()).unwrap().read(&String::new).unwrap();
    assert_eq!(contents.ports.cursor, 800);
}
