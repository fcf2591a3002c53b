//! The daemon is killed without a word, again and again, in the middle of two hundred operations: whatever it acknowledged
//! holds, nothing is orphaned, and nothing of the user's own is touched.
//!
//! On an engine of its own: one whose start is cut off by a removal may keep a network's endpoint for good, and with it the
//! network. A seed decides what is done and when it is killed; `SEED=N` takes another than a random one.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tests::{Answer, Client, Daemon, Dockerd, ask, test_image, text, until};

const OPERATIONS: u32 = 200;
const HANDS: u64 = 4;
/// How many containers one hand has at most.
const AT_MOST: usize = 3;
/// How many operations it lives through between two deaths, and then how many milliseconds more.
const LIFE: std::ops::Range<u32> = 2..14;
const MOMENT: std::ops::Range<u64> = 0..400;
const FORM: &str = "application/x-www-form-urlencoded";

/// What a container's owner was told last. None: the answer did not come, and either may be.
#[derive(Debug)]
struct Mine {
    uri: String,
    app_port: String,
    told: Option<Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Runs,
    Stops,
    Gone,
}

/// What all hands share.
struct Table {
    client: RwLock<Client>,
    done: AtomicU32,
    unanswered: AtomicU32,
}

impl Table {
    /// One request; nothing where no answer came. A daemon that is not there was not asked.
    fn ask(&self, method: &str, path: &str, form: &str) -> Option<Answer> {
        loop {
            let client = self.client.read().unwrap().clone();
            match client.try_send(method, path, &[], Some((FORM, form))) {
                Ok(answer) => {
                    self.done.fetch_add(1, Ordering::Relaxed);
                    return Some(answer);
                }
                Err(error) if was_not_sent(&error) => std::thread::sleep(Duration::from_millis(10)),
                Err(_) => {
                    self.done.fetch_add(1, Ordering::Relaxed);
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= OPERATIONS
    }
}

fn was_not_sent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::ConnectionFailed => true,
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

/// Creates, stops, starts and deletes until all is done; gives what it was told of each.
fn hand(table: &Table, mut random: StdRng) -> Vec<Mine> {
    let (mut mine, mut past): (Vec<Mine>, Vec<Mine>) = (Vec::new(), Vec::new());
    while !table.is_over() {
        if mine.is_empty() || (mine.len() < AT_MOST && random.random_bool(0.3)) {
            mine.extend(create(table));
            continue;
        }
        let chosen = random.random_range(0..mine.len());
        change(table, &mut mine[chosen], random.random_range(0..4));
        if mine[chosen].told == Some(Told::Gone) {
            past.push(mine.swap_remove(chosen));
        }
    }
    mine.into_iter().chain(past).collect()
}

fn create(table: &Table) -> Option<Mine> {
    let made = table.ask("POST", "/v1/containers", &format!("image={}", test_image()))?;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    let (uri, app_port) = (text(&made, "uri").to_owned(), text(&made, "app_port").to_owned());
    Some(Mine { uri, app_port, told: Some(Told::Runs) })
}

fn change(table: &Table, mine: &mut Mine, what: u32) {
    let (method, form, told) = match what {
        0 => ("DELETE", "", Told::Gone),
        1 => ("PATCH", "status=running", Told::Runs),
        _ => ("PATCH", "status=stopped", Told::Stops),
    };
    let Some(answer) = table.ask(method, &mine.uri, form) else {
        mine.told = None;
        return;
    };
    // A delete whose answer did not come may have been done.
    let gone_before = answer.status == 404 && mine.told.is_none();
    assert!(gone_before || matches!(answer.status, 200 | 204), "{method} {form}: {}", answer.text);
    mine.told = Some(if gone_before { Told::Gone } else { told });
}

/// Kills it at random and starts it again until all is done; gives how often.
fn kill(table: &Table, daemon: &mut Daemon, mut random: StdRng) -> u32 {
    let mut deaths = 0;
    while !table.is_over() {
        let (before, life) = (table.done.load(Ordering::Relaxed), random.random_range(LIFE));
        until("it has done something", Duration::from_secs(120), || {
            (table.is_over() || table.done.load(Ordering::Relaxed) >= before + life).then_some(())
        });
        std::thread::sleep(Duration::from_millis(random.random_range(MOMENT)));
        daemon.kill();
        deaths += 1;
        daemon.start_again(&[]);
        *table.client.write().unwrap() = daemon.client.clone();
    }
    deaths
}

/// An image made of a container of ours, with all its labels.
fn copy_of(container: &Value, dockerd: &Dockerd) -> &'static str {
    const NAME: &str = "copy";
    dockerd.docker(&["commit", text(container, "container_id"), NAME]);
    let labels = dockerd.docker(&["inspect", "-f", "{{json .Config.Labels}}", NAME]);
    assert!(labels.contains("spin-docker.owner") && labels.contains("spin-docker.id"), "{labels}");
    NAME
}

/// Whatever would change if somebody had stopped, started, renamed or remade it.
fn state(dockerd: &Dockerd, id: &str) -> String {
    let shown = "{{.Id}} {{.Name}} {{json .State}} {{json .NetworkSettings.Networks}}";
    dockerd.docker(&["inspect", "-f", shown, id])
}

/// Everything that was begun has ended.
fn settled(daemon: &Daemon) -> Vec<Value> {
    until("all is settled", Duration::from_secs(60), || {
        let listed = daemon.client.get("/v1/containers").json().as_array().unwrap().clone();
        let calm = |container: &Value| matches!(text(container, "status"), "running" | "stopped");
        listed.iter().all(calm).then_some(listed)
    })
}

fn holds(mine: &Mine, listed: &[Value]) {
    let shown = listed.iter().find(|container| container["uri"] == mine.uri);
    let is = match shown.map(|container| text(container, "status")) {
        None => Told::Gone,
        Some("running") => Told::Runs,
        Some(_) => Told::Stops,
    };
    assert!(mine.told.is_none_or(|told| told == is), "{mine:?} is {shown:?}");
    if is == Told::Runs {
        assert_eq!(shown.unwrap()["app_port"], mine.app_port);
        let answer = ask(&mine.app_port, "here").unwrap();
        assert!(answer.ends_with("here"), "{answer}");
    }
}

fn bodies(dockerd: &Dockerd, more: &[&str]) -> BTreeSet<String> {
    let labelled = ["ps", "-aq", "--no-trunc", "--filter", "label=spin-docker.instance"];
    let ids = dockerd.docker(&[&labelled[..], more].concat());
    ids.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn whatever_was_acknowledged_holds_however_often_it_is_killed() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let dockerd = Dockerd::start();
    let mut daemon = Daemon::start(&[("engine_host", &dockerd.host())]);
    let first = daemon.client.create(test_image());
    let run = |image: &str| dockerd.docker(&["run", "-d", "--network", "none", image]);
    let copy = copy_of(&first, &dockerd);
    // Two that run, and one that a restart might start.
    let own = [run(test_image()), run(copy), run(copy)];
    dockerd.docker(&["stop", &own[2]]);
    let states = || own.each_ref().map(|id| state(&dockerd, id));
    let before = states();
    let client = RwLock::new(daemon.client.clone());
    let table = Table { client, done: AtomicU32::new(0), unanswered: AtomicU32::new(0) };

    let (mine, deaths) = std::thread::scope(|scope| {
        let hands: Vec<_> = (1..=HANDS)
            .map(|hand_seed| {
                let random = StdRng::seed_from_u64(seed ^ hand_seed);
                let table = &table;
                scope.spawn(move || hand(table, random))
            })
            .collect();
        let deaths = kill(&table, &mut daemon, StdRng::seed_from_u64(seed));
        let mine: Vec<Mine> = hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect();
        (mine, deaths)
    });
    let unanswered = table.unanswered.load(Ordering::Relaxed);
    println!(
        "{OPERATIONS} operations, {unanswered} of them unanswered, {deaths} deaths, {} containers",
        mine.len()
    );
    assert!(deaths > 5 && unanswered > 5, "it was killed in the middle");

    let listed = settled(&daemon);
    mine.iter().for_each(|mine| holds(mine, &listed));
    // Of the two with our labels, the first runs.
    let copied = |status: &str| own[1..].iter().take(if status.is_empty() { 2 } else { 1 }).cloned();
    let shown = |status: &str| -> BTreeSet<String> {
        let of = listed.iter().filter(|container| status.is_empty() || container["status"] == status);
        of.map(|container| text(container, "container_id").to_owned()).chain(copied(status)).collect()
    };
    until("no body is orphaned", Duration::from_secs(60), || {
        (bodies(&dockerd, &[]) == shown("")).then_some(())
    });
    assert_eq!(bodies(&dockerd, &["--filter", "status=running"]), shown("running"));
    assert_eq!(states(), before, "the user's own were not touched");
}
