//! Bodies of any size, as they come, both ways.

use crate::bench::{Bench, OK, SECONDS, application, has, head, knocked, rest, take, until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn each_side_gets_what_the_other_has_sent_before_it_sends_more() {
    let address = application(knocked(|mut stream, _| {
        let head = head(&mut stream).unwrap();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert_eq!(take(&mut stream, 8), "3\r\none\r\n");
        stream.write_all(CHUNKED).unwrap();
        stream.write_all(b"3\r\nuno\r\n").unwrap();
        assert_eq!(take(&mut stream, 8), "3\r\ntwo\r\n");
        stream.write_all(b"3\r\ndos\r\n").unwrap();
        assert_eq!(take(&mut stream, 5), "0\r\n\r\n");
        stream.write_all(b"0\r\n\r\n").unwrap();
        rest(&mut stream);
    }));
    let bench = Bench::new(address);
    let mut client = bench.connect();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .unwrap();
    assert!(head(&mut client).unwrap().contains("200 OK"));
    assert_eq!(take(&mut client, 8), "3\r\nuno\r\n");
    client.write_all(b"3\r\ntwo\r\n").unwrap();
    assert_eq!(take(&mut client, 8), "3\r\ndos\r\n");
    client.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(take(&mut client, 5), "0\r\n\r\n");
}

#[test]
fn events_come_one_by_one_and_count_while_they_do() {
    let (tell, told) = mpsc::channel::<&str>();
    let told = std::sync::Mutex::new(told);
    let address = application(move |mut stream, _| {
        head(&mut stream);
        stream.write_all(CHUNKED).unwrap();
        while let Ok(event) = told.lock().unwrap().recv_timeout(SECONDS) {
            write!(stream, "{:x}\r\n{event}\r\n", event.len()).unwrap();
        }
    });
    let bench = Bench::new(address);
    let mut client = bench.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n").unwrap();
    head(&mut client);
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        let before = bench.traffic.moved();
        tell.send(event).unwrap();
        assert_eq!(take(&mut client, event.len() + 5), format!("9\r\n{event}\r\n"));
        assert!(bench.traffic.moved() >= before + 9);
        assert_eq!(bench.traffic.connections(), 1);
    }
}

#[test]
fn an_answer_is_waited_for_to_its_end_and_a_stream_of_events_has_none() {
    for (kind, is_owed) in [("text/plain", true), ("text/event-stream; charset=utf-8", false)] {
        let (go_on, told) = mpsc::channel::<()>();
        let told = std::sync::Mutex::new(told);
        let address = application(move |mut stream, _| {
            head(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 10\r\n\r\nfirst")
                .unwrap();
            told.lock().unwrap().recv_timeout(SECONDS).unwrap();
            stream.write_all(b"there").unwrap();
        });
        let bench = Bench::new(address);
        let mut client = bench.connect();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        head(&mut client);
        assert_eq!(take(&mut client, 5), "first");
        assert_eq!(bench.traffic.owed().is_some(), is_owed, "{kind}");
        go_on.send(()).unwrap();
        assert_eq!(take(&mut client, 5), "there");
        until("it is over", || bench.traffic.owed().is_none() && bench.traffic.connections() == 0);
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    let address = application(|mut stream, _| {
        head(&mut stream);
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it").unwrap();
    });
    let answer = Bench::new(address).get("");
    assert!(has(&answer, 200) && answer.contains("9\r\nall of it\r\n0\r\n\r\n"), "{answer}");
}

/// `Rss` of this process, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_body_larger_than_any_buffer_goes_through_in_little_memory_either_way() {
    const SIZE: usize = 512 << 20;
    static BLOCK: [u8; 64 << 10] = [7; 64 << 10];
    fn send(stream: &mut TcpStream) {
        (0..SIZE / BLOCK.len()).for_each(|_| stream.write_all(&BLOCK).unwrap());
    }
    fn receive(stream: &mut TcpStream) {
        let (mut left, mut buffer) = (SIZE, vec![0; 64 << 10]);
        while left > 0 {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "{left} bytes are missing");
            left -= count.min(left);
        }
    }
    let address = application(knocked(|mut stream, _| {
        while let Some(head) = head(&mut stream) {
            if head.starts_with("GET") {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").unwrap();
                send(&mut stream);
            } else {
                receive(&mut stream);
                stream.write_all(OK.as_bytes()).unwrap();
            }
        }
    }));
    let bench = Bench::new(address);
    let mut client = bench.connect();
    let before = memory();
    write!(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").unwrap();
    send(&mut client);
    assert!(head(&mut client).unwrap().contains("200 OK"));
    take(&mut client, 2);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    head(&mut client);
    receive(&mut client);
    let grown = memory().saturating_sub(before);
    assert!(grown < 24 << 20, "{} MiB", grown >> 20);
}

#[test]
fn a_refused_body_is_never_sent() {
    let address = application(knocked(|mut stream, _| {
        let head = head(&mut stream).unwrap();
        assert!(head.contains("expect: 100-continue"), "{head}");
        stream.write_all(b"HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!(rest(&mut stream), "", "nothing of the body");
    }));
    let bench = Bench::new(address);
    let mut client = bench.connect();
    client
        .write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .unwrap();
    let begun = Instant::now();
    let answer = rest(&mut client);
    assert!(has(&answer, 413) && !answer.contains("100 Continue"), "{answer}");
    assert!(begun.elapsed() < Duration::from_millis(800), "{:?}", begun.elapsed());
}

#[test]
fn a_wanted_body_is_asked_for_and_a_container_that_says_nothing_gets_it_too() {
    for says_so in [true, false] {
        let address = application(knocked(move |mut stream, _| {
            head(&mut stream).unwrap();
            if says_so {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
            }
            assert_eq!(take(&mut stream, 5), "hello");
            stream.write_all(OK.as_bytes()).unwrap();
        }));
        let bench = Bench::new(address);
        let mut client = bench.connect();
        client
            .write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            .unwrap();
        assert!(head(&mut client).unwrap().contains("100 Continue"));
        client.write_all(b"hello").unwrap();
        assert!(head(&mut client).unwrap().contains("200 OK"), "{says_so}");
        take(&mut client, 2);
    }
}

#[test]
fn an_answer_before_the_end_of_the_body_reaches_the_client_and_it_may_ask_again() {
    let address = application(|mut stream, _| {
        let is_post = head(&mut stream).is_some_and(|head| head.starts_with("POST"));
        let no = "HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        stream.write_all(if is_post { no } else { OK }.as_bytes()).unwrap();
        rest(&mut stream);
    });
    let bench = Bench::new(address);
    let mut client = bench.connect();
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n").unwrap();
    client.write_all(&[b'a'; 100_000]).unwrap();
    assert!(head(&mut client).unwrap().contains("401 No"));
    assert_eq!(take(&mut client, 2), "no");
    client.write_all(&[b'a'; 200_000]).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(head(&mut client).unwrap().contains("200 OK"));
}
