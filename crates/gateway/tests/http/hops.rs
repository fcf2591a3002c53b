//! What is forwarded of a request and of an answer, over which connection.

use crate::bench::{Bench, OK, application, has, head, knocked, recorder, rest, take};
use control::Endpoints;
use gateway::http::Trusted;
use model::Reach;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

fn lines(head: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = head.lines().filter(|line| !line.is_empty()).collect();
    lines[1..].sort_unstable();
    lines
}

#[test]
fn the_container_sees_its_own_host_and_who_asks_and_nothing_that_was_for_us() {
    let (address, seen) = recorder(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 2\r\nContent-Length: 0\r\n\r\n",
    );
    let bench = Bench::new(address);
    let answer = bench.exchange(
        "GET /p?q=1 HTTP/1.1\r\nHost: a.localhost:8080\r\nConnection: close, X-Mine, X-Forwarded-For\r\nX-Mine: 1\r\n\
         X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX_Forwarded_Host: evil\r\nAuthorization: Basic x\r\n\
         X-Own: 2\r\nTE: trailers\r\n\r\n",
    );
    assert_eq!(
        lines(&seen.lock().unwrap()[0].1),
        [
            "GET /p?q=1 HTTP/1.1",
            "host: a.localhost:8080",
            "te: trailers",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: a.localhost:8080",
            "x-forwarded-proto: http",
            "x-own: 2",
        ]
    );
    assert!(has(&answer, 200) && answer.contains("x-kept: 2"), "{answer}");
    for gone in ["x-hop", "timeout=5"] {
        assert!(!answer.contains(gone), "{answer}");
    }
}

#[test]
fn a_trusted_proxy_is_believed() {
    let (address, seen) = recorder(OK);
    let trusted = Trusted(vec!["127.0.0.0/8".parse().unwrap()]);
    let bench = Bench::with(address, trusted, Duration::from_secs(5));
    bench.set(Reach::Forward);
    bench.get("X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n");
    let head = seen.lock().unwrap()[0].1.clone();
    for line in
        ["x-forwarded-for: 9.9.9.9\r\n", "x-forwarded-for: 127.0.0.1\r\n", "x-forwarded-proto: https\r\n"]
    {
        assert!(head.contains(line), "{head}");
    }
}

#[test]
fn the_host_in_the_path_is_the_one_that_counts_and_the_path_goes_on_alone() {
    let (address, seen) = recorder(OK);
    let bench = Bench::new(address);
    bench.exchange("GET http://a.example/p?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let head = seen.lock().unwrap()[0].1.clone();
    assert!(head.starts_with("GET /p?q HTTP/1.1\r\n") && head.contains("host: a.example\r\n"), "{head}");
}

#[test]
fn requests_share_a_connection_until_it_is_told_to_be_quiet() {
    let (address, seen) = recorder(OK);
    let bench = Bench::new(address);
    let numbers = || seen.lock().unwrap().iter().map(|(number, _)| *number).collect::<Vec<_>>();
    for _ in 0..3 {
        assert!(has(&bench.get(""), 200));
    }
    assert_eq!(numbers(), [0, 0, 0]);
    bench.gateway.quiet(bench.port + 1);
    bench.get("");
    bench.gateway.quiet(bench.port);
    bench.get("");
    assert_eq!(numbers(), [0, 0, 0, 0, 1]);
}

#[test]
fn a_connection_of_the_clients_serves_many_requests_in_order() {
    let address = application(|mut stream, _| {
        while let Some(head) = head(&mut stream) {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).unwrap();
        }
    });
    let bench = Bench::new(address);
    let mut client = bench.connect();
    client.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    for path in ["/1", "/2"] {
        assert!(head(&mut client).unwrap().contains("200 OK"));
        assert_eq!(take(&mut client, 2), path);
    }
    client.write_all(b"GET /3 HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    assert!(rest(&mut client).ends_with("/3"));
}

#[test]
fn answers_without_a_body_stay_what_they_are() {
    let (address, _) = recorder("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    let bench = Bench::new(address);
    let answer = bench.exchange("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("content-length: 1234\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    for status in ["204 No Content", "304 Not Modified"] {
        let address = application(move |mut stream, _| {
            head(&mut stream);
            write!(stream, "HTTP/1.1 {status}\r\nETag: \"a\"\r\n\r\n").unwrap();
        });
        let answer = Bench::new(address).get("");
        assert!(answer.contains(status) && answer.contains("etag: \"a\""), "{answer}");
        assert!(!answer.contains("content-length") && !answer.contains("chunked"), "{answer}");
    }
}

#[test]
fn what_could_be_read_as_two_requests_reaches_nobody() {
    let (address, seen) = recorder(OK);
    let bench = Bench::new(address);
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: a\r\n";
    let bad = [
        format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("{post}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd{smuggled}"),
        format!("{post}Content-Length: +4\r\n\r\nabcd{smuggled}"),
        format!("{post}Content-Length : 4\r\n\r\nabcd{smuggled}"),
        format!("{post}X: 1\r\n Content-Length: 4\r\n\r\nabcd{smuggled}"),
        format!("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        "CONNECT a:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(),
    ];
    for request in bad {
        let answer = bench.exchange(&request);
        assert!(
            has(&answer, 400) || has(&answer, 405) || answer.starts_with("HTTP/1.0 400"),
            "{request:?}: {answer}"
        );
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{request:?}: {answer}");
    }
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");
}

#[test]
fn a_body_with_two_lengths_has_one_and_ends_the_connection() {
    for lengths in [
        "Content-Length: 60\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 60",
    ] {
        let address = application(knocked(|mut stream, number| {
            let head = head(&mut stream).unwrap();
            assert!(
                number == 1
                    && !head.contains("content-length")
                    && head.contains("transfer-encoding: chunked"),
                "{head}"
            );
            assert_eq!(take(&mut stream, 15), "5\r\nhello\r\n0\r\n\r\n");
            stream.write_all(OK.as_bytes()).unwrap();
            assert_eq!(rest(&mut stream), "");
        }));
        let bench = Bench::new(address);
        let answer = bench.exchange(&format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        assert!(has(&answer, 200) && answer.matches("HTTP/1.").count() == 1, "{answer}");
    }
}

#[test]
fn an_unknown_name_is_404_and_says_nothing_of_others() {
    let (address, seen) = recorder(OK);
    let bench = Bench::new(address);
    let answer = bench.exchange("GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n");
    assert!(has(&answer, 404) && answer.contains("content-type: text/plain"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nNo container goes by this name.\n"), "{answer}");
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn a_connection_to_the_container_stays_on_its_thread() {
    let (address, seen) = recorder(OK);
    let mut bench = Bench::new(address);
    let mut stayed = bench.connect();
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(has(&head(stream).unwrap(), 200));
        take(stream, 2);
    };
    ask(&mut stayed);
    bench.change_runtime();
    ask(&mut bench.connect());
    ask(&mut stayed);
    ask(&mut bench.connect());
    let numbers: Vec<usize> = seen.lock().unwrap().iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1, 0, 1]);
}
