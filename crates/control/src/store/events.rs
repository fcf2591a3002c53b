//! The table of events: written with whatever is written, cut back as it grows, and read by those who ask what happened.

use super::sqlite::{from_json, to_json};
use super::{EVENTS, EVENTS_OF_ONE, Wanted};
use model::{Event, Key};
use rusqlite::{Connection, params};

/// The sum is cut back once for so many events: by then it may be exceeded by as many, and is cut by as many more.
const CUT_EVERY: u64 = 64;

pub(super) fn last(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0))
}

pub(super) fn add(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO events (id, key, record) VALUES (?, ?, ?)")?
        .execute(params![event.id, event.key.as_str(), to_json(event)?])?;
    cut_one(connection, &event.key)?;
    if event.id.is_multiple_of(CUT_EVERY) { cut_all(connection) } else { Ok(()) }
}

fn cut_one(connection: &Connection, key: &Key) -> rusqlite::Result<()> {
    let cut = "DELETE FROM events WHERE key = ?1 AND id <= (SELECT id FROM events WHERE key = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    connection.prepare_cached(cut)?.execute(params![key.as_str(), EVENTS_OF_ONE]).map(drop)
}

fn cut_all(connection: &Connection) -> rusqlite::Result<()> {
    let cut = "DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT max(0, (SELECT count(*) FROM events) - ?))";
    let most = EVENTS - usize::try_from(CUT_EVERY).unwrap_or(EVENTS);
    connection.prepare_cached(cut)?.execute([most]).map(drop)
}

pub(super) fn read(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<Vec<Event>> {
    let order = if wanted.after.is_some() { "ASC" } else { "DESC" };
    let of = if wanted.of.is_some() { "key = ?1" } else { "?1 IS NULL" };
    let text = format!("SELECT id, record FROM events WHERE {of} AND id > ?2 ORDER BY id {order} LIMIT ?3");
    let of = wanted.of.as_ref().map(Key::as_str);
    let mut read = connection.prepare_cached(&text)?;
    // SQLite counts to 2⁶³ − 1, and no id is beyond.
    let after = i64::try_from(wanted.after.unwrap_or(0)).unwrap_or(i64::MAX);
    let rows = read.query_map(params![of, after, wanted.limit], |row| {
        Ok(Event { id: row.get(0)?, ..from_json(row.get(1)?)? })
    })?;
    let mut events = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    events.sort_by_key(|event| event.id);
    Ok(events)
}
