//! A client behind a trusted proxy: the policy goes by its address, not by the proxy's.

use crate::bench::{Bench, OK, Seen, has, recorder, until};
use gateway::http::Trusted;
use model::{IdlePolicy, Reach};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// By way of the proxy, and of the network that the policy names.
const NAMED: &str = "X-Forwarded-For: 10.1.2.3\r\n";
const OTHER: &str = "X-Forwarded-For: 192.0.2.1\r\n";

fn behind_a_proxy(policy: IdlePolicy) -> (Bench, Seen) {
    let (address, seen) = recorder(OK);
    let bench = Bench::under(policy.clone(), address, Trusted(vec!["127.0.0.0/8".parse().unwrap()]));
    bench.traffic.follow(&Arc::new(policy));
    (bench, seen)
}

fn assert_asleep(answer: &str) {
    assert!(has(answer, 503) && answer.contains("retry-after: 60\r\n"), "{answer}");
}

#[test]
fn whom_a_trusted_proxy_names_is_ignored_by_that_address() {
    let policy = IdlePolicy { ignore_from: vec!["10.0.0.0/8".parse().unwrap()], ..IdlePolicy::DEFAULT };
    let (bench, seen) = behind_a_proxy(policy);
    bench.set(Reach::Forward);
    assert!(has(&bench.get(NAMED), 200));
    assert_eq!(bench.traffic.moved(), 0);
    assert!(has(&bench.get(OTHER), 200));
    assert!(bench.traffic.moved() > 0);
    bench.traffic.shut();
    assert_asleep(&bench.get(NAMED));
    bench.set(Reach::Wake);
    assert_asleep(&bench.get(NAMED));
    assert_eq!((bench.sleeper.asked.load(Ordering::SeqCst), seen.lock().unwrap().len()), (0, 2));
}

#[test]
fn whom_a_trusted_proxy_names_may_wake_it_by_that_address() {
    let policy = IdlePolicy { wake_from: vec!["10.0.0.0/8".parse().unwrap()], ..IdlePolicy::DEFAULT };
    let (bench, _) = behind_a_proxy(policy);
    bench.set(Reach::Wake);
    assert_asleep(&bench.get(OTHER));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| bench.get(NAMED));
        until("it was asked for", || bench.sleeper.asked.load(Ordering::SeqCst) == 1);
        bench.set(Reach::Forward);
        bench.sleeper.end(Ok(()));
        assert!(has(&asked.join().unwrap(), 200));
    });
    let callers = bench.sleeper.callers.lock().unwrap();
    let peers: Vec<_> = callers.iter().map(|caller| caller.peer.ip().to_string()).collect();
    assert_eq!(peers, ["10.1.2.3"]);
}
