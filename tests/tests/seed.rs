//! Every exchange that the documentation of 2014 shows, against the running program and a real engine. Ids, names and
//! ports are captured; everything else is to the letter.

use serde_json::{Value, json};
use std::time::Duration;
use tests::{Answer, Daemon, docker, text, until};

const EIGHT: [&str; 8] = ["status", "name", "active", "ssh_port", "image", "container_id", "uri", "app_port"];
const IMAGE: &str = "atbaker/sd-postgres";

/// The eight fields alone, all of them strings, in the order of the documentation.
fn eight(text: &str, container: &Value) -> Value {
    let positions: Vec<_> = EIGHT.iter().map(|field| text.find(&format!("\"{field}\":"))).collect();
    assert!(positions.is_sorted() && positions.iter().all(Option::is_some), "{text}");
    Value::Object(EIGHT.iter().map(|field| (field.to_string(), container[*field].clone())).collect())
}

fn port(container: &Value, field: &str) -> u16 {
    let port: u16 = text(container, field).parse().expect("a port is a number");
    assert!((49153..=65535).contains(&port), "the documented range: {port}");
    port
}

fn assert_born(answer: &Answer) -> Value {
    assert_eq!(answer.status, 201, "{}", answer.text);
    let container = answer.json();
    let id = text(&container, "container_id");
    assert!(id.len() == 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    assert!(text(&container, "name").starts_with('/'), "{container}");
    assert_ne!(port(&container, "ssh_port"), port(&container, "app_port"));
    let expected = json!({
        "status": "running", "name": container["name"], "active": "0", "ssh_port": container["ssh_port"], "image": IMAGE,
        "container_id": id, "uri": format!("/v1/containers/{id}"), "app_port": container["app_port"],
    });
    assert_eq!(eight(&answer.text, &container), expected);
    assert_eq!(answer.header("location"), container["uri"]);
    container
}

#[test]
fn the_life_of_a_container_as_the_documentation_shows_it() {
    let daemon = Daemon::start(&[("endpoint_ports", "49153-65535")]);
    let client = &daemon.client;

    // "Creating containers": a form as curl sends it, and the same as JSON.
    let first = assert_born(&client.post("/v1/containers", &format!("image={IMAGE}")));
    let body = json!({ "image": IMAGE }).to_string();
    let second = assert_born(&client.send("POST", "/v1/containers", &[], Some(("application/json", &body))));
    let uri = text(&first, "uri");

    // "Querying containers": the list, and one.
    let listed = client.get("/v1/containers");
    assert_eq!(listed.status, 200);
    let ids: Vec<_> = listed.json().as_array().unwrap().iter().map(|c| c["container_id"].clone()).collect();
    assert_eq!(ids, [first["container_id"].clone(), second["container_id"].clone()]);
    let one = client.get(uri);
    assert_eq!(eight(&one.text, &one.json()), eight(&one.text, &first));

    // "Starting and stopping containers": stopping, with its ports still; then at rest, without; then as before.
    let stopping = client.patch(uri, "status=stopped");
    assert_eq!(stopping.status, 200);
    let mut expected = eight(&one.text, &first);
    expected["status"] = "stopping".into();
    assert_eq!(eight(&stopping.text, &stopping.json()), expected);
    let rested = until("it is stopped", Duration::from_secs(15), || {
        let shown = client.get(uri);
        (shown.json()["status"] == "stopped").then_some(shown)
    });
    for (field, value) in [("status", "stopped"), ("ssh_port", ""), ("app_port", "")] {
        expected[field] = value.into();
    }
    assert_eq!(eight(&rested.text, &rested.json()), expected);
    assert_eq!(rested.json()["endpoints"], first["endpoints"]);
    let again = client.patch(uri, "status=stopped");
    assert_eq!((again.status, &again.json()["status"]), (200, &json!("stopped")));
    let started = client.send("PATCH", uri, &[], Some(("application/json", r#"{"status": "running"}"#)));
    assert_eq!(started.status, 200, "{}", started.text);
    assert_eq!(eight(&started.text, &started.json()), eight(&one.text, &first), "the ports are kept");

    // "Deleting containers": a beginning of the id is enough, the answer is empty, and it is gone.
    let prefix = &uri[.."/v1/containers/".len() + 56];
    let deleted = client.delete(prefix);
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(client.get(uri).status, 404);
    assert_eq!(client.get("/v1/containers").json().as_array().unwrap().len(), 1);
    until("the engine let go of it", Duration::from_secs(15), || {
        let filter = format!("id={}", text(&first, "container_id"));
        docker(&["ps", "-aq", "--filter", &filter]).is_empty().then_some(())
    });
}

#[test]
fn images_are_listed_flat_and_without_none() {
    let daemon = Daemon::start(&[]);
    let answer = daemon.client.get("/v1/images");
    assert_eq!(answer.status, 200);
    let tags = answer.json();
    let tags: Vec<_> = tags.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    for tag in ["spin-docker/sd-postgres:latest", "atbaker/sd-postgres:latest"] {
        assert!(tags.contains(&tag), "{tags:?}");
    }
    assert!(!tags.iter().any(|tag| tag.contains("<none>")), "{tags:?}");
}

#[test]
fn the_messages_of_2014() {
    let daemon = Daemon::start(&[]);
    let client = &daemon.client;
    let table = [
        (client.post("/v1/containers", ""), 400, "Image cannot be blank"),
        (client.post("/v1/containers", "image="), 400, "Image cannot be blank"),
        (client.post("/v1/containers", "image=no/such"), 404, "Image no/such not found on this server"),
        (
            client.post("/v1/containers", "image=debian:bookworm-slim"),
            422,
            "This image does not expose any ports. Use the EXPOSE command in your dockerfile to specify some.",
        ),
        (client.get("/v1/containers/1337"), 404, "Container 1337 doesn't exist"),
        (client.patch("/v1/containers/1337", "status=running"), 404, "Container 1337 doesn't exist"),
        (client.delete("/v1/containers/1337"), 404, "Container 1337 doesn't exist"),
    ];
    for (answer, status, message) in table {
        assert_eq!((answer.status, &answer.json()["message"]), (status, &json!(message)));
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["status"], status);
        assert!(answer.json()["type"].as_str().unwrap().starts_with("urn:spin-docker:problem:"));
    }
    assert_eq!(client.get("/v1/containers").json(), json!([]));
}
