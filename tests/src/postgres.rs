//! An open connection to PostgreSQL, by the driver that Rust programs use.

use postgres::{Client, NoTls};
use std::io::{Error, Result};

/// An open connection, as `postgres`, who is trusted.
pub struct Postgres(Client);

impl Postgres {
    /// To this port of 127.0.0.1.
    pub fn connect(port: &str) -> Result<Self> {
        let to = format!("host=127.0.0.1 port={port} user=postgres connect_timeout=30");
        Client::connect(&to, NoTls).map(Self).map_err(Error::other)
    }

    /// Runs a query to its end; an error of the server's is one.
    pub fn query(&mut self, sql: &str) -> Result<()> {
        self.0.simple_query(sql).map(drop).map_err(Error::other)
    }
}
