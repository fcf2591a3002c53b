//! HTTP by hand, for what no client sends.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection to the daemon whose address is `base`. Reads give up after half a minute.
pub fn connect(base: &str) -> TcpStream {
    let address = base.strip_prefix("http://").expect("the daemon's address");
    let stream =
        TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    stream
}

/// Sends these bytes, as far as they are taken, and gives all that comes until the connection is closed.
pub fn exchange(base: &str, request: &[u8]) -> String {
    let mut stream = connect(base);
    // The answer may come, and the connection be closed, before all of it is sent.
    drop(stream.write_all(request));
    rest(&mut stream)
}

/// All that comes until the connection is closed, or cut.
pub fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => {
            panic!("the connection is not closed: {error}")
        }
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}
