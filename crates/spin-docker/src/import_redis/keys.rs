//! The keys of the 2014 program: `containers:ID`, a hash of eight fields; `ips:ADDRESS`, the id of who checks in from there.

use super::record::Record;
use anyhow::anyhow;
use redis::{Client, Commands, Connection, ErrorKind, RedisError};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

/// How long it may take to connect, and each answer.
const WITHIN: Duration = Duration::from_secs(10);
const CONTAINERS: &str = "containers:";
const ADDRESSES: &str = "ips:";

/// What was found.
#[derive(Default)]
pub(super) struct Keys {
    /// By id.
    pub(super) containers: Vec<Record>,
    /// How many addresses are well: new bodies have new ones.
    pub(super) addresses: usize,
    /// Keys that say nothing that can be used, and why.
    pub(super) damaged: Vec<(String, String)>,
}

impl Keys {
    /// Reads all of them. A Redis that fails meanwhile is an error; a key that is damaged is not.
    pub(super) fn read(url: &str) -> anyhow::Result<Self> {
        let client = Client::open(url).map_err(|_| {
            anyhow!("this is no address of a Redis; one is such as redis://127.0.0.1:6379/0, or redis://:PASSWORD@HOST:6379/0")
        })?;
        let at = client.get_connection_info().addr().to_string();
        Self::read_all(&client)
            .map_err(|error| anyhow!("cannot read the Redis at {at}: {}", in_words(&error)))
    }

    fn read_all(client: &Client) -> Result<Self, RedisError> {
        let mut redis = connect(client)?;
        let mut keys = Self::default();
        for key in list(&mut redis, CONTAINERS)? {
            keys.container(&mut redis, &key)?;
        }
        for key in list(&mut redis, ADDRESSES)? {
            keys.address(&mut redis, &key)?;
        }
        Ok(keys)
    }

    fn container(&mut self, redis: &mut Connection, key: &Key) -> Result<(), RedisError> {
        let fields: Result<HashMap<String, String>, _> = redis.hgetall(&key.0);
        match well(fields)? {
            Err(what) => self.damaged.push((key.shown(), what)),
            Ok(fields) => match Record::of(&key.after(CONTAINERS), &fields) {
                Ok(record) => self.containers.push(record),
                Err(what) => self.damaged.push((key.shown(), what)),
            },
        }
        Ok(())
    }

    fn address(&mut self, redis: &mut Connection, key: &Key) -> Result<(), RedisError> {
        let id: Result<Option<String>, _> = redis.get(&key.0);
        let (address, id) = (key.after(ADDRESSES), well(id)?);
        let is_known = |id: &String| self.containers.iter().any(|record| record.id.as_str() == id);
        match id {
            Err(what) => self.damaged.push((key.shown(), what)),
            Ok(_) if address.parse::<IpAddr>().is_err() => {
                self.damaged.push((key.shown(), "its name holds no address".to_owned()));
            }
            Ok(Some(id)) if is_known(&id) => self.addresses += 1,
            Ok(_) => self.damaged.push((key.shown(), "it names no container that could be read".to_owned())),
        }
        Ok(())
    }
}

/// A key's name, which may be any bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key(Vec<u8>);

impl Key {
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.0).escape_debug().to_string()
    }

    fn after(&self, beginning: &str) -> String {
        let name = String::from_utf8_lossy(&self.0);
        name.strip_prefix(beginning).unwrap_or_default().to_owned()
    }
}

fn connect(client: &Client) -> Result<Connection, RedisError> {
    let connection = client.get_connection_with_timeout(WITHIN)?;
    connection.set_read_timeout(Some(WITHIN))?;
    connection.set_write_timeout(Some(WITHIN))?;
    Ok(connection)
}

/// In order. As the old program itself lists them: a Redis of its time has no `SCAN`.
fn list(redis: &mut Connection, beginning: &str) -> Result<BTreeSet<Key>, RedisError> {
    let found: Vec<Vec<u8>> = redis.keys(format!("{beginning}*"))?;
    Ok(found.into_iter().map(Key).collect())
}

/// On one line: the library's own text may hold all that the other end said, and its cause holds the same again.
fn in_words(error: &RedisError) -> String {
    if error.kind() == ErrorKind::Parse {
        return "what answers there is no Redis; is the port right?".to_owned();
    }
    let said = error.to_string();
    format!("{}; is it started, and the password right?", said.lines().next().unwrap_or_default())
}

/// What was read; or, within, why the key is damaged: it is of another kind, or not text.
fn well<T>(read: Result<T, RedisError>) -> Result<Result<T, String>, RedisError> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() => {
            Err(error)
        }
        Err(error) => Ok(Err(error.to_string())),
    }
}
