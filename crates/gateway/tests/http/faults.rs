//! Containers that break off, say nothing, or talk nonsense.

use crate::bench::{Bench, OK, application, has, head, rest, take, until};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

/// Answers once on its first connection, and then ends each without a word, having counted the requests.
fn forgetful(answers_again: bool) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let address = application(move |mut stream, number| {
        for asked in 0.. {
            if head(&mut stream).is_none() {
                return;
            }
            counted.fetch_add(1, Ordering::SeqCst);
            if (number > 0 && !answers_again) || (number == 0 && asked > 0) {
                return;
            }
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    (address, requests)
}

#[test]
fn what_may_be_repeated_is_sent_once_more_and_no_more() {
    for (method, answers_again, status, requests) in
        [("GET", true, 200, 3), ("PUT", true, 200, 3), ("GET", false, 502, 3), ("POST", true, 502, 2)]
    {
        let (address, counted) = forgetful(answers_again);
        let bench = Bench::new(address);
        assert!(has(&bench.get(""), 200));
        let answer = bench.exchange(&format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert!(has(&answer, status), "{method}: {answer}");
        assert_eq!(counted.load(Ordering::SeqCst), requests, "{method} {answers_again}");
    }
}

#[test]
fn a_request_with_a_body_is_never_sent_twice() {
    let (address, counted) = forgetful(true);
    let bench = Bench::new(address);
    assert!(has(&bench.get(""), 200));
    let answer =
        bench.exchange("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\na");
    assert!(has(&answer, 502), "{answer}");
    assert_eq!(counted.load(Ordering::SeqCst), 2);
}

#[test]
fn nobody_sees_an_application_that_accepts_before_it_can_answer() {
    let address = application(|mut stream, number| {
        if head(&mut stream).is_some() && number >= 5 {
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    let answer = Bench::new(address).get("");
    assert!(has(&answer, 200), "{answer}");
}

#[test]
fn what_may_be_sent_once_alone_waits_for_an_application_that_answers() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let address = application(move |mut stream, number| {
        while let Some(head) = head(&mut stream) {
            record.lock().unwrap().push(head.lines().next().unwrap().to_owned());
            if number < 5 {
                return;
            }
            stream.write_all(OK.as_bytes()).unwrap();
        }
    });
    let bench = Bench::new(address);
    let post = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for _ in 0..2 {
        let answer = bench.exchange(post);
        assert!(has(&answer, 200), "{answer}");
    }
    let mut expected = vec!["HEAD / HTTP/1.1"; 6];
    expected.extend(["POST /x HTTP/1.1"; 2]);
    assert_eq!(*seen.lock().unwrap(), expected, "and nothing is asked for once it has answered");
}

#[test]
fn a_client_that_gives_up_on_a_silent_container_leaves_nothing_behind() {
    let (tell, told) = mpsc::channel();
    let address = application(move |mut stream, _| {
        head(&mut stream);
        tell.send("asked").unwrap();
        assert_eq!(rest(&mut stream), "");
        tell.send("gone").unwrap();
    });
    let bench = Bench::new(address);
    let mut client = bench.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(told.recv_timeout(crate::bench::SECONDS), Ok("asked"));
    assert_eq!(bench.traffic.connections(), 1);
    drop(client);
    assert_eq!(told.recv_timeout(crate::bench::SECONDS), Ok("gone"));
    until("it is counted out", || bench.traffic.connections() == 0);
}

#[test]
fn a_broken_answer_is_no_whole_one() {
    let address = application(|mut stream, _| {
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n").unwrap();
    });
    let answer = Bench::new(address).get("");
    assert!(answer.ends_with("part\r\n"), "no last chunk: {answer:?}");
}

#[test]
fn what_is_no_http_is_502() {
    let address = application(|mut stream, _| {
        head(&mut stream);
        stream.write_all(b"-ERR unknown command\r\n").unwrap();
        rest(&mut stream);
    });
    let answer = Bench::new(address).get("Accept: text/html\r\n");
    assert!(
        has(&answer, 502) && answer.contains("text/html") && answer.contains("<h1>No answer</h1>"),
        "{answer}"
    );
}

#[test]
fn a_container_that_stops_while_it_answers_ends_the_answer_and_the_next_is_told() {
    let (tell, told) = mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let address = application(move |mut stream, _| {
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").unwrap();
        told.lock().unwrap().recv().unwrap();
    });
    let bench = Bench::new(address);
    let mut client = bench.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    head(&mut client);
    assert_eq!(take(&mut client, 5), "hello");
    tell.send(()).unwrap();
    bench.set(model::Reach::Refuse);
    assert_eq!(rest(&mut client), "", "cut off");
    let answer = bench.get("");
    assert!(has(&answer, 503), "{answer}");
}
