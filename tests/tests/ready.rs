//! When an application can serve, and that nobody meets it before: by what its image says, and by a path that its owner names.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tests::{Answer, Client, Daemon, text, web_image};

/// By its name, as a program that is no browser.
fn page(daemon: &Daemon, container: &Value) -> Answer {
    let host = format!("{}.localhost", &text(container, "container_id")[..12]);
    Client::anonymous(&daemon.base).send("GET", "/", &[("host", &host)], None)
}

#[test]
fn nobody_reaches_an_application_before_it_says_that_it_is_ready() {
    let daemon = Daemon::start(&[]);
    for kind in ["path", "health"] {
        let asked = json!({"image": web_image(kind), "env": {"READY_DELAY": "2"}});
        let container = daemon.client.create_as(&asked);
        let begun = Instant::now();
        let answer = page(&daemon, &container);
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text);
        assert!(begun.elapsed() > Duration::from_secs(1), "{kind}: it was held: {:?}", begun.elapsed());
    }
}

/// What these say who ask at once, again and again, from its start until it has long been able to serve.
fn all_see(daemon: &Daemon, container: &Value) -> BTreeSet<u16> {
    let begun = Instant::now();
    let ask = || {
        let mut seen = BTreeSet::new();
        while begun.elapsed() < Duration::from_secs(4) {
            seen.insert(page(daemon, container).status);
        }
        seen
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().flat_map(|asked| asked.join().unwrap()).collect()
    })
}

/// Its image names none: by the request that makes it, and by a `PATCH` for its next start.
#[test]
fn nobody_sees_an_error_before_the_path_that_its_owner_names_is_answered() {
    let daemon = Daemon::start(&[]);
    let env = json!({"START_DELAY": "1", "READY_DELAY": "1"});
    let policy = json!({"ready_path": "/ready"});
    let asked = json!({"image": web_image("plain"), "env": env, "policy": policy});
    let container = daemon.client.create_as(&asked);
    let begins_under = |path: &str| {
        for change in [&format!("policy.ready_path={path}"), "status=stopped"] {
            assert_eq!(daemon.client.patch(text(&container, "uri"), change).status, 200, "{change}");
        }
        daemon.client.until(&container, "status", "stopped");
        assert_eq!(daemon.client.patch(text(&container, "uri"), "status=running").status, 200);
    };
    assert_eq!(all_see(&daemon, &container), BTreeSet::from([200]));
    begins_under("off");
    assert_eq!(all_see(&daemon, &container), BTreeSet::from([200, 500]), "without it they do");
    begins_under("/ready");
    assert_eq!(all_see(&daemon, &container), BTreeSet::from([200]));
}
