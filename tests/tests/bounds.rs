//! Bounds of the built program: crowds of creates, reserves of memory and disk, names that the engine knows to be none.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use tests::{Act, Daemon, Disk, Misbehaving, Settings, ask, docker, raw, test_image, text, until};

/// All of these at once, each on a connection of its own.
fn ask_at_once(daemon: &Daemon, count: usize, image: &str) -> Vec<TcpStream> {
    let body = format!("image={image}");
    let request = format!(
        "POST /v1/containers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWRtaW46c3BpbmRvY2tlcg==\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut clients: Vec<_> = (0..count).map(|_| raw::connect(&daemon.base)).collect();
    for client in &mut clients {
        client.write_all(request.as_bytes()).expect("it takes a request");
    }
    clients
}

/// Whether something came of its answer.
fn is_answered(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let answered = client.peek(&mut [0]).is_ok();
    client.set_nonblocking(false).unwrap();
    answered
}

/// An answer's status, and all of its text.
fn answer(mut client: TcpStream) -> (String, String) {
    let text = raw::rest(&mut client);
    (text.split_whitespace().nth(1).unwrap_or_default().to_owned(), text)
}

/// The engine says nothing of an image until all five hundred have asked: none of those that it is asked for ends before.
#[test]
fn of_500_creates_at_once_64_are_under_way_256_wait_and_180_are_told_to_come_back() {
    let engine = Misbehaving::start();
    let daemon = Daemon::start(&[("@DOCKER_HOST", &engine.host())]);
    engine.on("image", Act::Hold);
    let clients = ask_at_once(&daemon, 500, "no/such/image");
    until("those who are too many are told", Duration::from_secs(10), || {
        (clients.iter().filter(|client| is_answered(client)).count() >= 180).then_some(())
    });
    until("the engine is asked", Duration::from_secs(5), || (engine.met() >= 64).then_some(()));
    assert_eq!(daemon.client.get("/v1/containers").text, "[]", "reads go on");
    let (told, waiting): (Vec<_>, Vec<_>) = clients.into_iter().partition(is_answered);
    assert_eq!((told.len(), waiting.len()), (180, 320));
    assert_eq!(engine.met(), 64, "those under way, and no more");
    for (status, text) in told.into_iter().map(answer) {
        assert_eq!(status, "429", "{text}");
        assert!(text.contains("retry-after: 2") && text.contains("problem:too-many-creates"), "{text}");
    }
    engine.behave();
    for (status, text) in waiting.into_iter().map(answer) {
        assert_eq!(status, "404", "{text}");
        assert!(text.contains("Image no/such/image not found on this server"), "{text}");
    }
}

/// More than may be under way: the rest wait for their turn, and nobody is told to come back.
#[test]
fn a_crowd_of_100_is_made_to_the_last_each_with_ports_and_an_address_of_its_own_and_goes() {
    const CROWD: usize = 100;
    let daemon = Daemon::start(&[]);
    for client in ask_at_once(&daemon, CROWD, test_image()) {
        client.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
        let (status, text) = answer(client);
        assert_eq!(status, "201", "{text}");
    }
    let containers = daemon.client.get("/v1/containers").json();
    let containers = containers.as_array().unwrap();
    assert!(containers.iter().all(|container| container["status"] == "running"));
    let all =
        |field: &str| containers.iter().map(|container| text(container, field)).collect::<BTreeSet<_>>();
    let ids: Vec<_> = all("engine_id").into_iter().collect();
    let addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let addresses = docker(&[&["inspect", "-f", addresses], &ids[..]].concat());
    let addresses: BTreeSet<_> = addresses.lines().collect();
    let distinct =
        [all("name").len(), ids.len(), addresses.len(), all("app_port").len(), all("ssh_port").len()];
    assert_eq!((containers.len(), distinct), (CROWD, [CROWD; 5]));
    assert!(all("app_port").is_disjoint(&all("ssh_port")));
    for (port, number) in all("app_port").into_iter().zip(0..) {
        let line = format!("number {number}");
        assert!(ask(port, &line).unwrap().ends_with(&line));
    }
    std::thread::scope(|threads| {
        for uri in all("uri") {
            threads.spawn(|| assert_eq!(daemon.client.delete(uri).status, 204));
        }
    });
    assert_eq!(daemon.client.get("/v1/containers").text, "[]");
    let is_gone = || daemon.bodies().is_empty() && daemon.listens_at().is_empty();
    until("all of them are gone", Duration::from_secs(60), || is_gone().then_some(()));
}

#[test]
fn a_reserve_that_is_not_there_refuses_creates_with_the_figures_and_says_so_at_start() {
    let mut daemon = Daemon::start(&[("disk_reserve", "1000000g")]);
    let refused = |daemon: &Daemon| {
        let answer = daemon.client.post("/v1/containers", &format!("image={}", test_image()));
        assert_eq!(answer.status, 507, "{}", answer.text);
        assert_eq!(answer.json()["type"], "urn:spin-docker:problem:no-room");
        assert!(daemon.log().contains("every create will be refused: too little"), "{}", daemon.log());
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    let disk = refused(&daemon);
    assert!(
        disk.starts_with("Too little disk is left at /") && disk.contains("1024000000 MiB kept free"),
        "{disk}"
    );
    assert_eq!(daemon.end(), Some(0));
    daemon.start_again(&[("disk_reserve", "0"), ("memory_reserve", "1000000g")]);
    let memory = refused(&daemon);
    assert!(
        memory.starts_with("Too little memory would be left: ") && memory.contains(" MiB available"),
        "{memory}"
    );
    assert_eq!(daemon.client.get("/v1/containers").text, "[]");
    assert_eq!(daemon.end(), Some(0));
    daemon.start_again(&[("memory_reserve", "0")]);
    daemon.client.create(test_image());
}

#[test]
fn unless_told_otherwise_256_mib_of_memory_and_1_gib_of_disk_are_kept_free() {
    let refused = |settings: Settings<'_>| {
        let answer =
            Daemon::start(settings).client.post("/v1/containers", &format!("image={}", test_image()));
        assert_eq!((answer.status, &answer.json()["type"]), (507, &"urn:spin-docker:problem:no-room".into()));
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    let memory = refused(&[("memory", "1000000g")]);
    assert!(memory.contains(" 256 MiB kept free by memory_reserve;"), "{memory}");
    let small = Disk::of("100m");
    let disk = refused(&[("data_dir", small.path().to_str().unwrap())]);
    let begins = format!("Too little disk is left at {}: ", small.path().display());
    let left =
        disk.strip_prefix(&begins).and_then(|rest| rest.split_once(" MiB available, 1024 MiB kept free"));
    let left: u64 = left.unwrap_or_else(|| panic!("{disk}")).0.parse().unwrap();
    assert!((80..100).contains(&left), "{disk}");
}

#[test]
fn what_the_engine_knows_to_be_no_name_is_422() {
    let daemon = Daemon::start(&[]);
    for image in ["upper/Case", "a:", "a:b:c", "a@b", "a__-b", "../../containers/json", "a%3Fx%3D1"] {
        let answer = daemon.client.post("/v1/containers", &format!("image={image}"));
        assert_eq!(answer.status, 422, "{image}: {}", answer.text);
        assert_eq!(answer.json()["type"], "urn:spin-docker:problem:invalid-image", "{image}");
    }
}
