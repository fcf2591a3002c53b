//! A WebSocket, by the library that Rust programs use.

use std::net::TcpStream;
use std::time::Duration;
use tungstenite::Message;

/// An open one. What a server sends unasked comes by reading it.
pub type WebSocket = tungstenite::WebSocket<TcpStream>;

/// Opens one at this address, where it goes by this host; its reads give up after half a minute.
pub fn websocket(address: &str, host: &str) -> WebSocket {
    let stream = TcpStream::connect(address).expect("somebody listens there");
    stream.set_nodelay(true).expect("it is open");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("it is open");
    tungstenite::client(format!("ws://{host}/"), stream).expect("it is a WebSocket").0
}

/// Sends a text to whoever sends it back, or the test fails. Whatever pings come in between are answered.
pub fn echo(socket: &mut WebSocket, text: &str) {
    socket.send(text.into()).expect("it stays open");
    while socket.read().expect("it stays open") != Message::text(text) {}
}
