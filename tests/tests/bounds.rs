//! Bounds of the built program: crowds of creates, reserves of memory and disk, names that the engine knows to be none.

use std::io::Write;
use tests::{Daemon, raw, test_image, text};

/// All of these at once, each on a connection of its own; every answer's status, and its text.
fn at_once(daemon: &Daemon, count: usize, image: &str) -> Vec<(String, String)> {
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
    let answers = clients.iter_mut().map(raw::rest);
    answers.map(|text| (text.split_whitespace().nth(1).unwrap_or_default().to_owned(), text)).collect()
}

#[test]
fn a_crowd_is_answered_to_the_last_and_serving_goes_on() {
    let daemon = Daemon::start(&[]);
    for (status, text) in at_once(&daemon, 500, "no/such/image") {
        match status.as_str() {
            "404" => assert!(text.contains("Image no/such/image not found on this server"), "{text}"),
            "429" => assert!(
                text.contains("retry-after: 2") && text.contains("problem:too-many-creates"),
                "{text}"
            ),
            _ => panic!("{text}"),
        }
    }
    assert_eq!(daemon.client.get("/v1/containers").text, "[]");
    for (status, text) in at_once(&daemon, 12, test_image()) {
        assert_eq!(status, "201", "{text}");
    }
    let containers = daemon.client.get("/v1/containers").json();
    let containers = containers.as_array().unwrap();
    let mut ports: Vec<_> = containers.iter().map(|container| text(container, "app_port")).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!((containers.len(), ports.len()), (12, 12));
    assert!(containers.iter().all(|container| container["status"] == "running"));
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
fn what_the_engine_knows_to_be_no_name_is_422() {
    let daemon = Daemon::start(&[]);
    for image in ["upper/Case", "a:", "a:b:c", "a@b", "a__-b", "../../containers/json", "a%3Fx%3D1"] {
        let answer = daemon.client.post("/v1/containers", &format!("image={image}"));
        assert_eq!(answer.status, 422, "{image}: {}", answer.text);
        assert_eq!(answer.json()["type"], "urn:spin-docker:problem:invalid-image", "{image}");
    }
}
