//! WebSocket, and whatever else two sides agree on.

use crate::bench::{Bench, OK, application, has, head, rest, take, until};
use std::io::Write;
use std::net::Shutdown;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: ";
const AGREE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

#[test]
fn an_upgraded_connection_is_bytes_both_ways_from_the_first() {
    let address = application(|mut stream, _| {
        let head = head(&mut stream).unwrap();
        assert!(
            head.contains("connection: upgrade\r\n") && head.contains("upgrade: websocket\r\n"),
            "{head}"
        );
        assert!(head.contains("sec-websocket-key: k\r\n"), "{head}");
        stream.write_all(&[AGREE, b"early"].concat()).unwrap();
        assert_eq!(take(&mut stream, 4), "ping");
        stream.write_all(b"pong").unwrap();
        assert_eq!(rest(&mut stream), "");
        stream.write_all(b"bye").unwrap();
    });
    let bench = Bench::new(address);
    let mut client = bench.connect();
    // With what comes before the answer.
    client.write_all(format!("{ASK}websocket\r\nSec-WebSocket-Key: k\r\n\r\nping").as_bytes()).unwrap();
    let answer = head(&mut client).unwrap();
    for line in [
        "101 Switching Protocols",
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-accept: x\r\n",
    ] {
        assert!(answer.contains(line), "{answer}");
    }
    assert_eq!(take(&mut client, 9), "earlypong");
    assert_eq!(bench.traffic.connections(), 1, "it counts as open");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), "bye", "each side ends for itself");
    until("it is counted out", || bench.traffic.connections() == 0);
}

#[test]
fn a_container_may_decline() {
    let address = application(|mut stream, _| {
        head(&mut stream);
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let bench = Bench::new(address);
    let mut client = bench.connect();
    client.write_all(format!("{ASK}tls/1.2\r\n\r\n").as_bytes()).unwrap();
    let answer = head(&mut client).unwrap();
    assert!(has(&answer, 200) && !answer.contains("upgrade"), "{answer}");
}

#[test]
fn nobody_is_upgraded_who_did_not_ask_and_http2_is_not_asked_for() {
    for ask in ["GET / HTTP/1.1\r\nHost: a\r\n".to_owned(), format!("{ASK}h2c\r\nHTTP2-Settings: x\r\n")] {
        let address = application(|mut stream, _| {
            let head = head(&mut stream).unwrap();
            assert!(!head.contains("upgrade"), "{head}");
            stream.write_all(AGREE).unwrap();
            rest(&mut stream);
        });
        let bench = Bench::new(address);
        let mut client = bench.connect();
        client.write_all(format!("{ask}\r\n").as_bytes()).unwrap();
        let answer = head(&mut client).unwrap();
        assert!(has(&answer, 502), "{answer}");
    }
}
