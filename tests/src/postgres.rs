//! As much of PostgreSQL's protocol (version 3) as an open connection with plain queries takes.

use std::io::{Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An open connection.
pub struct Postgres(TcpStream);

impl Postgres {
    /// As `postgres`, who is trusted.
    pub fn connect(port: &str) -> Result<Self> {
        let stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let parameters = b"user\0postgres\0database\0postgres\0\0";
        let length = u32::try_from(parameters.len() + 8).expect("short").to_be_bytes();
        let mut connection = Self(stream);
        connection.0.write_all(&[&length, &196_608_u32.to_be_bytes()[..], parameters].concat())?;
        connection.until_ready()?;
        Ok(connection)
    }

    /// Runs a query to its end; an error of the server's is one.
    pub fn query(&mut self, sql: &str) -> Result<()> {
        let length = u32::try_from(sql.len() + 5).expect("short").to_be_bytes();
        self.0.write_all(&[b"Q", &length[..], sql.as_bytes(), b"\0"].concat())?;
        self.until_ready()
    }

    fn until_ready(&mut self) -> Result<()> {
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head)?;
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut body = vec![0; length - 4];
            self.0.read_exact(&mut body)?;
            match head[0] {
                b'E' => return Err(std::io::Error::other(String::from_utf8_lossy(&body).into_owned())),
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }
}
