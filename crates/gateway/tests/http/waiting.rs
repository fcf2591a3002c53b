//! A container that comes up while somebody asks.

use crate::bench::{Bench, OK, application, has, head, recorder, take, until};
use crate::ports::with_local_ports;
use control::{Endpoints, GaveUp, WakeError};
use gateway::http::Trusted;
use gateway::{Gateway, Options};
use model::{IdlePolicy, Reach};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const BROWSER: &str = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n";

#[test]
fn a_browser_gets_a_page_that_asks_again_and_then_the_container() {
    let (address, seen) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_secs(10));
    bench.set(Reach::Hold);
    let page = bench.get(BROWSER);
    for part in [
        "503 ",
        "retry-after: 1\r\n",
        "refresh: 1\r\n",
        "cache-control: no-store\r\n",
        "&lt;a&gt; is starting.",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for outside in ["<script", "http://", "https://", "url(", "<a>", "{"].map(|part| part.replace('{', "{t"))
    {
        assert!(!page.contains(&outside), "{outside}: {page}");
    }
    assert!(seen.lock().unwrap().is_empty(), "nothing is sent to it yet");
    bench.set(Reach::Forward);
    assert!(has(&bench.get(BROWSER), 200));
}

#[test]
fn a_browser_that_need_not_wait_long_sees_no_page() {
    let (address, _) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_secs(10));
    bench.set(Reach::Hold);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| bench.get(BROWSER));
        std::thread::sleep(Duration::from_millis(100));
        bench.set(Reach::Forward);
        assert!(has(&asked.join().unwrap(), 200));
    });
}

#[test]
fn everybody_else_is_held_until_it_is_there() {
    let (address, seen) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_secs(10));
    bench.set(Reach::Hold);
    std::thread::scope(|scope| {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept: text/html\r\n\r\n";
        let asked = [scope.spawn(|| bench.get("Accept: */*\r\n")), scope.spawn(|| bench.exchange(post))];
        std::thread::sleep(Duration::from_millis(1500));
        assert!(asked.iter().all(|asked| !asked.is_finished()));
        bench.set(Reach::Forward);
        for asked in asked {
            assert!(has(&asked.join().unwrap(), 200));
        }
    });
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().filter(|(_, head)| !head.starts_with("HEAD")).count(), 2);
}

#[test]
fn one_that_takes_too_long_is_503_with_a_time_to_come_back() {
    let (address, _) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_millis(300));
    bench.set(Reach::Hold);
    let begun = Instant::now();
    let answer = bench.get("");
    assert!(has(&answer, 503) && answer.contains("retry-after: 5\r\n"), "{answer}");
    assert!((250..2000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[test]
fn one_that_was_stopped_says_so() {
    let (address, _) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_secs(10));
    bench.set(Reach::Refuse);
    let answer = bench.get("");
    assert!(
        has(&answer, 503) && !answer.contains("retry-after") && answer.contains("no connection starts it"),
        "{answer}"
    );
}

#[test]
fn what_is_ignored_is_answered_while_it_is_awake_and_counts_for_nothing() {
    let (address, seen) = recorder(OK);
    let bench = Bench::new(address);
    let probe = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(has(&bench.exchange(probe), 200));
    assert_eq!(bench.traffic.moved(), 0);
    bench.get("");
    assert!(bench.traffic.moved() > 0);
    bench.set(Reach::Hold);
    let answer = bench.exchange(probe);
    assert!(has(&answer, 503) && answer.contains("retry-after: 60\r\n"), "{answer}");
    assert_eq!(seen.lock().unwrap().len(), 2);
}

fn gateway() -> Gateway {
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    Gateway::new(Options { address, wake_timeout: Duration::from_secs(1) }).unwrap()
}

#[tokio::test]
async fn an_application_can_serve_once_its_path_is_answered_with_less_than_400() {
    let address = application(|mut stream, _| {
        let head = head(&mut stream).unwrap();
        let status = head.split(['/', ' ']).nth(2).unwrap().to_owned();
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let silent = application(|stream, _| drop(stream));
    let gateway = gateway();
    let answers = async |at: SocketAddr, path: &str| {
        let SocketAddr::V4(at) = at else { panic!("an IPv4 address") };
        gateway.answers(at, path, &IdlePolicy::DEFAULT).await
    };
    assert!(answers(address, "/200").await && answers(address, "/302").await);
    assert!(!answers(address, "/404").await && !answers(address, "/503").await);
    assert!(!answers(silent, "/200").await && !answers(address, "no path").await);
}

/// Of the PROXY protocol, version 2: of a connection that is nobody's but the proxy's.
const LOCAL: [u8; 16] = *b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

/// An application that hangs up on whoever does not begin with such a header.
fn demanding() -> SocketAddr {
    application(|mut stream, _| {
        let mut first = [0; LOCAL.len()];
        if stream.read_exact(&mut first).is_ok() && first == LOCAL {
            while head(&mut stream).is_some_and(|head| head.starts_with("GET /")) {
                stream.write_all(OK.as_bytes()).unwrap();
            }
        }
    })
}

fn with_proxy_protocol() -> IdlePolicy {
    IdlePolicy { proxy_protocol: true, ..IdlePolicy::DEFAULT }
}

#[test]
fn an_application_that_demands_a_proxy_header_is_reached_by_name() {
    let bench = Bench::with(demanding(), Trusted::default(), Duration::from_secs(1));
    bench.set(Reach::Forward);
    assert!(has(&bench.get(""), 502), "it is sent none unless its policy says so");
    bench.traffic.follow(&Arc::new(with_proxy_protocol()));
    let mut client = bench.connect();
    for _ in 0..2 {
        // One for each connection, and none between the requests that share it.
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(has(&head(&mut client).unwrap(), 200));
        assert_eq!(take(&mut client, 2), "ok");
    }
}

#[tokio::test]
async fn an_application_that_demands_a_proxy_header_is_asked_whether_it_can_serve_with_one() {
    let SocketAddr::V4(at) = demanding() else { panic!("an IPv4 address") };
    let gateway = gateway();
    assert!(gateway.answers(at, "/ready", &with_proxy_protocol()).await);
    assert!(!gateway.answers(at, "/ready", &IdlePolicy::DEFAULT).await);
}

#[test]
fn whoever_asks_wakes_it_and_nothing_is_sent_to_it_before() {
    let (address, seen) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_secs(10));
    for reach in [Reach::Wake, Reach::WakeOnByte] {
        bench.set(reach);
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..20).map(|_| scope.spawn(|| bench.get(""))).collect();
            until("all have asked", || bench.sleeper.asked.load(Ordering::SeqCst) == 20);
            assert_eq!(seen.lock().unwrap().len(), 0);
            bench.set(Reach::Forward);
            bench.sleeper.end(Ok(()));
            for asked in asked {
                assert!(has(&asked.join().unwrap(), 200));
            }
        });
        bench.sleeper.asked.store(0, Ordering::SeqCst);
        bench.sleeper.rest();
        seen.lock().unwrap().clear();
    }
}

#[test]
fn a_browser_that_went_to_its_waiting_page_has_woken_it_all_the_same() {
    let (address, _) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_secs(10));
    bench.set(Reach::Wake);
    for _ in 0..3 {
        assert!(has(&bench.get(BROWSER), 503));
    }
    assert_eq!(bench.traffic.connections(), 1, "one waits on behalf of all");
    bench.set(Reach::Forward);
    bench.sleeper.end(Ok(()));
    assert!(has(&bench.get(BROWSER), 200));
    until("nobody waits any more", || bench.traffic.connections() == 0);
}

#[test]
fn one_that_does_not_wake_says_why_and_when_to_come_back() {
    let (address, _) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_secs(10));
    bench.set(Reach::Wake);
    for (why, status, after) in [
        (WakeError::EngineAway, 503, "retry-after: 2\r\n"),
        (WakeError::TooSoon { times: 3, seconds: 40 }, 503, "retry-after: 40\r\n"),
        (WakeError::NotStarted("no such file".into()), 503, "no such file"),
        (WakeError::NotByYou, 503, "retry-after: 60\r\n"),
        (WakeError::Gone, 404, "gone"),
    ] {
        bench.sleeper.end(Err(why));
        for lines in ["", BROWSER] {
            let answer = bench.get(lines);
            assert!(has(&answer, status) && answer.contains(after), "{answer}");
        }
    }
}

/// Whatever port it might connect from is bound by somebody.
#[test]
fn where_no_local_port_is_left_it_is_502_and_its_owner_is_told() {
    with_local_ports("40000 40007");
    let (address, seen) = recorder(OK);
    let bench = Bench::new(address);
    let taken: Vec<TcpListener> =
        (40_000..=40_007).filter_map(|port| TcpListener::bind(("0.0.0.0", port)).ok()).collect();
    let begun = Instant::now();
    let answer = bench.get_by(50_000);
    assert!(has(&answer, 502) && answer.contains("does not accept connections"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(*bench.sleeper.gave_up.lock().unwrap(), [GaveUp::OutOfPorts]);
    assert_eq!(seen.lock().unwrap().len(), 0);
    drop(taken);
    assert!(has(&bench.get_by(50_001), 200));
    assert_eq!(bench.sleeper.gave_up.lock().unwrap().len(), 1);
}

#[test]
fn one_that_ended_while_it_was_dialled_is_woken_anew() {
    let (address, _) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_secs(10));
    bench.set(Reach::Hold);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| bench.get(""));
        until("it is held", || bench.traffic.connections() == 1);
        bench.set(Reach::Wake);
        until("it was asked for", || bench.sleeper.asked.load(Ordering::SeqCst) == 1);
        bench.set(Reach::Forward);
        bench.sleeper.end(Ok(()));
        assert!(has(&asked.join().unwrap(), 200));
    });
}

#[test]
fn only_an_admin_sees_what_the_container_wrote() {
    let (address, _) = recorder(OK);
    let bench = Bench::with(address, Trusted::default(), Duration::from_secs(10));
    bench.set(Reach::Hold);
    let seen = bench.get(&format!("{BROWSER}Authorization: Basic x\r\n"));
    assert!(has(&seen, 503) && seen.contains("<pre>&lt;b&gt;starting\n{words}</pre>"), "{seen}");
    assert!(!bench.get(BROWSER).contains("starting\n"));
}
