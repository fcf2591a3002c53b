//! Clients that no client library makes: too many, too slow, half gone, without a name, with a head of 64 KiB.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use tests::{Client, Daemon, raise_the_descriptor_limit, raw, test_image};

const AUTHORIZATION: &str = "Authorization: Basic YWRtaW46c3BpbmRvY2tlcg==\r\n";

fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or(answer)
}

#[test]
fn ten_thousand_idle_clients_keep_nobody_out() {
    const CLIENTS: usize = 10_000;
    raise_the_descriptor_limit();
    let daemon = Daemon::start(&[]);
    let mut idle = Vec::with_capacity(CLIENTS);
    let mut slowest = Duration::ZERO;
    for count in 1..=CLIENTS {
        let mut client = raw::connect(&daemon.base);
        // Some say nothing, some begin, some have been answered and stay.
        match count % 3 {
            0 => {}
            1 => client.write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap(),
            _ => client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap(),
        }
        idle.push(client);
        if count % 500 == 0 {
            let begun = Instant::now();
            let answer = Client::new(&daemon.base, "spindocker").get("/v1/containers");
            assert_eq!((answer.status, answer.text.as_str()), (200, "[]"), "after {count}");
            slowest = slowest.max(begun.elapsed());
        }
    }
    assert!(slowest < Duration::from_secs(1), "the slowest newcomer waited {slowest:?}");
    println!("beside {CLIENTS} idle clients, the slowest newcomer waited {slowest:?}");
    // The longest idle made room; one of the youngest, which said nothing so far, is still there.
    let mut youngest = idle.swap_remove(CLIENTS - 2);
    drop(youngest.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    assert!(raw::rest(&mut youngest).contains("alive"));
    assert_eq!(raw::rest(&mut idle[0]), "", "the oldest was closed");
}

/// So many that all places would be theirs, each within a body that anybody may send.
#[test]
fn five_thousand_slow_bodies_keep_nobody_out() {
    raise_the_descriptor_limit();
    let daemon = Daemon::start(&[]);
    let mut slow = Vec::new();
    for count in 1..=5_000 {
        let mut client = raw::connect(&daemon.base);
        let head = b"POST /v1/check-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\nactive=";
        client.write_all(head).unwrap();
        slow.push(client);
        if count % 500 == 0 {
            let begun = Instant::now();
            assert_eq!(daemon.client.get("/v1/containers").status, 200, "after {count}");
            assert!(begun.elapsed() < Duration::from_secs(1), "after {count}: {:?}", begun.elapsed());
        }
    }
    assert_eq!(raw::rest(&mut slow[0]), "", "the slowest was closed");
}

#[test]
fn a_head_that_comes_one_byte_a_second_is_cut_off_in_15_seconds_without_an_answer() {
    let daemon = Daemon::start(&[]);
    let begun = Instant::now();
    let mut client = raw::connect(&daemon.base);
    client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let closed = b"GET /v1/containers HTTP/1.1\r\nHost: localhost\r\n"
        .iter()
        .any(|byte| client.write_all(&[*byte]).is_err() || is_closed_in_silence(&mut client));
    let took = begun.elapsed().as_secs_f32();
    assert!(closed && (14.9..20.0).contains(&took), "closed: {closed}, after {took} s");
    assert_eq!(raw::rest(&mut client), "", "nothing was said before");
}

/// Whether it ended within the timeout. A byte that crosses its end makes that a reset.
fn is_closed_in_silence(client: &mut TcpStream) -> bool {
    let mut came = [0; 64];
    match client.read(&mut came) {
        Ok(read) => {
            assert_eq!(&came[..read], b"", "no answer is due before the head is there");
            true
        }
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn who_has_shut_its_sending_side_is_still_answered() {
    let daemon = Daemon::start(&[]);
    let image = test_image();
    for (request, expected) in [
        (format!("GET /v1/images HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}\r\n"), "200"),
        (
            format!(
                "POST /v1/containers HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}Content-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: {}\r\n\r\nimage={image}",
                "image=".len() + image.len()
            ),
            "201",
        ),
    ] {
        let mut client = raw::connect(&daemon.base);
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let answer = raw::rest(&mut client);
        assert_eq!(status(&answer), expected, "{answer}");
    }
    assert_eq!(daemon.client.get("/v1/containers").json().as_array().unwrap().len(), 1);
}

/// Who shuts its sending side alone is told, as it still listens; who is gone cannot be.
#[test]
fn a_body_that_breaks_off_is_400_and_leaves_nothing() {
    let daemon = Daemon::start(&[]);
    let head = format!(
        "POST /v1/containers HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}Content-Type: application/x-www-form-urlencoded\r\n"
    );
    let body = format!("image={}", test_image());
    // Cut off, the part of it that came would be a good body.
    for request in [
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len() + 10),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len()),
    ] {
        let mut client = raw::connect(&daemon.base);
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let answer = raw::rest(&mut client);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        let words = "The body broke off: error reading a body from connection";
        let expected = serde_json::json!({
            "type": "urn:spin-docker:problem:body-unreadable", "title": "The body cannot be read", "status": 400,
            "detail": words, "message": words,
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), expected);
        let mut gone = raw::connect(&daemon.base);
        gone.write_all(request.as_bytes()).unwrap();
        drop(gone);
    }
    assert_eq!(daemon.client.get("/v1/containers").text, "[]");
}

/// A client that keeps its connection goes on with it, though nobody wanted its body, which comes after the head.
#[test]
fn a_body_that_nobody_reads_costs_no_connection() {
    let daemon = Daemon::start(&[]);
    for (line, header, expected) in [
        ("POST /v1/containers", "", "401"),
        ("POST /v1/containers", "Origin: http://evil.example\r\n", "403"),
        ("POST /nowhere", AUTHORIZATION, "404"),
        ("POST /healthz", "", "405"),
    ] {
        let mut client = raw::connect(&daemon.base);
        // The head comes first, and its answer is due before the body is there.
        client.set_nodelay(true).unwrap();
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: 11\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        client.write_all(b"image=image").unwrap();
        client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let answers = raw::rest(&mut client);
        assert_eq!(status(&answers), expected, "{answers}");
        assert!(answers.ends_with("alive\n"), "{line}: {answers}");
    }
}

/// Over the limit by half, and on its way for a while: its client sends all of it, and then reads why it is refused.
#[test]
fn a_body_that_is_somewhat_too_long_is_taken_and_413() {
    let daemon = Daemon::start(&[]);
    let long = vec![b'a'; 3 << 19];
    let head = format!(
        "POST /v1/containers HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}Content-Length: {}\r\nConnection: close\r\n\r\n",
        long.len()
    );
    let (mut client, mut answer) = (raw::connect(&daemon.base), String::new());
    client.write_all(head.as_bytes()).unwrap();
    let (first, last) = long.split_at(5 << 18);
    for piece in std::iter::once(first).chain(last.chunks(1 << 17)) {
        client.write_all(piece).expect("it is taken to the end");
        std::thread::sleep(Duration::from_millis(100));
    }
    client.read_to_string(&mut answer).expect("an answer, and an orderly end");
    assert_eq!(status(&answer), "413", "{answer}");
}

/// Who waits to be asked for it is not, and who does not is given the second in which what it has on its way is read.
#[test]
fn a_body_that_is_said_to_be_too_long_is_413_at_once() {
    let daemon = Daemon::start(&[]);
    for (header, within) in [("Expect: 100-continue\r\n", 1), ("", 3)] {
        let begun = Instant::now();
        let request = format!(
            "POST /v1/containers HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}Content-Length: 99999999\r\n{header}\r\n"
        );
        let answer = raw::exchange(&daemon.base, request.as_bytes());
        assert_eq!(status(&answer), "413", "{answer}");
        assert!(answer.contains("urn:spin-docker:problem:body-too-large"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(within), "{header:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_body_that_does_not_come_is_408() {
    let daemon = Daemon::start(&[]);
    let begun = Instant::now();
    let request = format!(
        "POST /v1/containers HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}Content-Length: 10\r\n\r\nimage"
    );
    let answer = raw::exchange(&daemon.base, request.as_bytes());
    assert_eq!(status(&answer), "408", "{answer}");
    assert!(answer.contains("The body did not come within 10 s"), "{answer}");
    assert!((9.0..15.0).contains(&begun.elapsed().as_secs_f32()), "{:?}", begun.elapsed());
}

/// What hyper answers by itself to what is no request yet, whole: a status, no body, and so no problem document. The connection
/// is closed in order after it, not reset.
fn refused(daemon: &Daemon, request: &[u8], status: &str) {
    let mut client = raw::connect(&daemon.base);
    client.write_all(request).expect("it takes a request");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer, and an orderly end");
    let (dates, lines): (Vec<_>, Vec<_>) = answer.split("\r\n").partition(|line| line.starts_with("date: "));
    let expected = [&format!("HTTP/1.1 {status}"), "connection: close", "content-length: 0", "", ""];
    let shown = String::from_utf8_lossy(request);
    assert_eq!((lines, dates.len()), (expected.to_vec(), 1), "to {shown:.80}");
}

/// A `GET` that is the last of its connection.
fn last(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}{headers}Connection: close\r\n\r\n")
}

#[test]
fn heads_and_paths_of_64_kib_are_431_and_told_their_length() {
    let daemon = Daemon::start(&[]);
    let long = "a".repeat(64 * 1024);
    let (header, path) = (format!("X-Long: {long}\r\n"), format!("/v1/containers/{}", &long[..65_000]));
    for request in [last("/v1/images", &header), last(&path, "")] {
        let answer = raw::exchange(&daemon.base, request.as_bytes());
        assert_eq!(status(&answer), "431", "{answer}");
        let says = [
            "connection: close\r\n",
            "urn:spin-docker:problem:head-too-long",
            &format!("The request line and the headers have {} bytes, and may have 32768", request.len()),
        ];
        assert!(says.iter().all(|said| answer.contains(said)), "{answer}");
    }
}

#[test]
fn the_longest_head_is_of_32_kib() {
    let daemon = Daemon::start(&[]);
    let around = last("/v1/images", "X-Long: \r\n").len();
    for (length, expected) in [(32 * 1024, "200"), (32 * 1024 + 1, "431")] {
        let request = last("/v1/images", &format!("X-Long: {}\r\n", "a".repeat(length - around)));
        let answer = raw::exchange(&daemon.base, request.as_bytes());
        assert_eq!(status(&answer), expected, "{answer}");
    }
}

/// By hyper, before any route is known: without a problem document, which docs/problems.md says.
#[test]
fn what_no_head_fits_into_is_told_by_the_status_alone() {
    let daemon = Daemon::start(&[]);
    let headers = |count: usize| "X-Some: a\r\n".repeat(count);
    let head = format!("GET /v1/images HTTP/1.1\r\nHost: localhost\r\n{AUTHORIZATION}");
    let path = "a".repeat(64 * 1024);
    for (request, answer) in [
        (format!("{head}X-Long: {}\r\n\r\n", "a".repeat(128 * 1024)), "431 Request Header Fields Too Large"),
        (format!("{head}{}\r\n", headers(99)), "431 Request Header Fields Too Large"),
        (format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"), "414 URI Too Long"),
    ] {
        refused(&daemon, request.as_bytes(), answer);
    }
    let fits = last("/v1/images", &headers(97));
    assert_eq!(status(&raw::exchange(&daemon.base, fits.as_bytes())), "200");
}

#[test]
fn what_is_no_http_is_400_and_closed() {
    let daemon = Daemon::start(&[]);
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
    ] {
        refused(&daemon, request, "400 Bad Request");
    }
    let credentials = b"GET /v1/images HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic \xff\xfe\r\nConnection: close\r\n\r\n";
    let answer = raw::exchange(&daemon.base, credentials);
    assert_eq!(status(&answer), "401", "{answer}");
    let says = ["www-authenticate: Basic", "urn:spin-docker:problem:unauthorized"];
    assert!(says.iter().all(|said| answer.contains(said)), "{answer}");
}

#[test]
fn on_loopback_a_foreign_host_is_421() {
    let daemon = Daemon::start(&[("public_host", "demo.example.org")]);
    let ask = |line: &str, host: &str| {
        raw::exchange(
            &daemon.base,
            format!("{line}\r\n{host}{AUTHORIZATION}Connection: close\r\n\r\n").as_bytes(),
        )
    };
    let get = |host: &str| ask("GET /v1/images HTTP/1.1", &format!("Host: {host}\r\n"));
    for host in ["localhost", "localhost:1", "127.0.0.1", "[::1]:8080", "demo.example.org", &daemon.base[7..]]
    {
        assert_eq!(status(&get(host)), "200", "{host}");
    }
    for host in
        ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "192.0.2.1", "", "localhost:x"]
    {
        let answer = get(host);
        assert_eq!(status(&answer), "421", "{host}");
        assert!(
            answer.contains("urn:spin-docker:problem:foreign-host") && answer.contains("set public_host"),
            "{answer}"
        );
    }
    assert_eq!(status(&get("a.localhost:8080")), "404", "below the domain, it is a container's or nobody's");
    for open in ["/healthz", "/readyz", "/nowhere"] {
        assert_eq!(status(&ask(&format!("GET {open} HTTP/1.1"), "Host: evil.example\r\n")), "421", "{open}");
    }
    let absolute =
        |authority: &str| ask(&format!("GET http://{authority}/v1/images HTTP/1.1"), "Host: localhost\r\n");
    assert_eq!((status(&absolute("localhost")), status(&absolute("evil.example"))), ("200", "421"));
}

#[test]
fn the_host_is_said_once_in_http_1_1_and_need_not_be_in_http_1_0() {
    let daemon = Daemon::start(&[]);
    let ask = |version: &str, hosts: &str| {
        raw::exchange(
            &daemon.base,
            format!("GET /healthz HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n").as_bytes(),
        )
    };
    for (version, hosts, expected) in [
        ("1.1", "Host: localhost\r\n", "200"),
        ("1.1", "", "400"),
        ("1.1", "Host: localhost\r\nHost: localhost\r\n", "400"),
        ("1.0", "", "200"),
        ("1.0", "Host: localhost\r\n", "200"),
        ("1.0", "Host: evil.example\r\n", "421"),
    ] {
        let answer = ask(version, hosts);
        assert_eq!(status(&answer), expected, "{version} {hosts:?}: {answer}");
        if expected == "400" {
            assert!(answer.contains("A request of HTTP/1.1 has one Host header"), "{answer}");
        }
    }
    // Without a word, HTTP/1.0 closes.
    let mut client = TcpStream::connect(&daemon.base[7..]).unwrap();
    client.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    assert!(raw::rest(&mut client).ends_with("alive\n"));
}
