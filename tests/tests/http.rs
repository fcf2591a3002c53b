//! What any client of HTTP expects: methods, paths, credentials, problems.

use serde_json::json;
use tests::{Client, Daemon, test_image, text};

#[test]
fn nobody_gets_in_without_the_right_credentials() {
    let daemon = Daemon::start(&[("password", "correct horse")]);
    let good = Client::new(&daemon.base, "correct horse");
    assert_eq!(good.get("/v1/images").status, 200);
    for client in [
        Client::anonymous(&daemon.base),
        Client::new(&daemon.base, "spindocker"),
        Client::new(&daemon.base, ""),
    ] {
        for path in ["/v1/images", "/v1/containers", "/v1/containers/1", "/", "/nowhere"] {
            let answer = client.get(path);
            assert_eq!(answer.status, 401, "{path}");
            assert!(answer.header("www-authenticate").starts_with("Basic "), "{path}");
            assert!(answer.json()["message"].is_string(), "{path}");
        }
        assert_eq!(client.post("/v1/containers", "image=a").status, 401);
    }
    let anybody = Client::anonymous(&daemon.base);
    for (path, says) in [("/healthz", "alive\n"), ("/readyz", "ready\n")] {
        let answer = anybody.get(path);
        assert_eq!((answer.status, answer.text.as_str()), (200, says));
    }
    assert_eq!(anybody.post("/v1/check-in", "active-connections=1").status, 200);
    assert!(!daemon.log().contains("correct horse"), "no secret stands in the log");
}

#[test]
fn methods_and_paths_behave() {
    let daemon = Daemon::start(&[]);
    let client = &daemon.client;
    for path in ["/v1/images", "/v1/containers", "/healthz"] {
        let (get, head) = (client.get(path), client.send("HEAD", path, &[], None));
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(client.get(&format!("{path}/")).text, get.text, "a trailing slash");
        let options = client.send("OPTIONS", path, &[], None);
        assert_eq!(options.status, 204, "{path}");
        assert!(
            options.header("allow").contains("GET") && options.header("allow").contains("OPTIONS"),
            "{path}"
        );
    }
    let wrong = [
        ("/v1/images", "POST", "GET"),
        ("/v1/containers", "DELETE", "POST"),
        ("/v1/containers/1", "PUT", "PATCH"),
        ("/v1/check-in", "GET", "POST"),
        ("/healthz", "DELETE", "GET"),
    ];
    for (path, method, allowed) in wrong {
        let answer = client.send(method, path, &[], None);
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.header("allow").contains(allowed), "{path}: {}", answer.header("allow"));
        assert_eq!(answer.json()["type"], "urn:spin-docker:problem:method-not-allowed");
    }
    for path in ["/", "/v1", "/v2/containers", "/v1/containers/1/2"] {
        assert_eq!(
            (client.get(path).status, &client.get(path).json()["status"]),
            (404, &json!(404)),
            "{path}"
        );
    }
    let queries = ["audit=1&audit=2", "audit=maybe", "audit=", "audti=true"];
    let queries = queries.map(|query| format!("/v1/containers?{query}"));
    for path in queries.iter().map(String::as_str).chain(["/v1/containers/%ff"]) {
        assert_eq!(client.get(path).json()["type"], "urn:spin-docker:problem:path-unreadable", "{path}");
    }
    let id = client.get("/v1/images");
    assert!(!id.header("x-request-id").is_empty());
    // The line comes after the answer.
    tests::until("the log carries the request's id", std::time::Duration::from_secs(10), || {
        daemon.log().contains(id.header("x-request-id")).then_some(())
    });
}

#[test]
fn a_container_goes_by_its_id_a_beginning_of_it_and_its_name() {
    let daemon = Daemon::start(&[]);
    let client = &daemon.client;
    let container = client.create(test_image());
    let (id, name) = (text(&container, "container_id"), text(&container, "name"));
    for reference in [id, &id[..12], &id[..40], &name[1..], &format!("%2F{}", &name[1..])] {
        assert_eq!(client.show(&format!("/v1/containers/{reference}"))["container_id"], id, "{reference}");
    }
    for reference in [&id[..11], &format!("{id}0"), "ffffffffffff", "%20", "%00"] {
        let answer = client.get(&format!("/v1/containers/{reference}"));
        assert_eq!(answer.status, 404, "{reference}: {}", answer.text);
    }
}

#[test]
fn a_change_takes_a_status_that_we_know() {
    let daemon = Daemon::start(&[]);
    let client = &daemon.client;
    let container = client.create(test_image());
    let uri = text(&container, "uri");
    for (body, words) in [
        ("", "running or stopped"),
        ("status=asleep", "running or stopped"),
        ("status=", "running or stopped"),
        ("colour=red", "there is no such field; there are status, depth, policy"),
    ] {
        let answer = client.patch(uri, body);
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.json()["message"].as_str().unwrap().contains(words), "{}", answer.text);
    }
    let before = client.show(uri);
    let again = client.patch(uri, "status=running");
    assert_eq!((again.status, &again.json()["next_look"]), (200, &before["next_look"]), "no look moves");
}

#[test]
fn a_page_of_another_origin_changes_nothing() {
    let daemon = Daemon::start(&[]);
    let client = &daemon.client;
    let form = Some(("application/x-www-form-urlencoded", "image=no/such"));
    for headers in [[("origin", "http://evil.example")], [("sec-fetch-site", "cross-site")]] {
        for (method, path) in [
            ("POST", "/v1/containers"),
            ("PATCH", "/v1/containers/some"),
            ("DELETE", "/v1/containers/some"),
            ("POST", "/v1/check-in"),
        ] {
            let answer = client.send(method, path, &headers, form);
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text);
            assert_eq!(answer.json()["type"], "urn:spin-docker:problem:foreign-origin");
            assert_eq!(answer.json()["message"], "A page of another origin may change nothing here");
        }
        assert_eq!(client.send("GET", "/v1/containers", &headers, None).status, 200);
    }
    assert_eq!(client.send("POST", "/v1/containers", &[("origin", &daemon.base)], form).status, 404);
}

#[test]
fn starting_while_stopping_ends_with_it_running() {
    let daemon = Daemon::start(&[]);
    let client = &daemon.client;
    let container = client.create(test_image());
    let uri = text(&container, "uri");
    assert_eq!(client.patch(uri, "status=stopped").json()["status"], "stopping");
    let started = client.patch(uri, "status=running");
    assert_eq!((started.status, &started.json()["status"]), (200, &json!("running")), "{}", started.text);
    assert_eq!(started.json()["app_port"], container["app_port"]);
    assert_eq!(client.delete(uri).status, 204);
    assert_eq!(client.delete(uri).status, 404);
}

#[test]
fn more_ports_than_the_range_holds_is_said_with_the_arithmetic() {
    let daemon = Daemon::start(&[("endpoint_ports", "20990-20993")]);
    let client = &daemon.client;
    client.create(test_image());
    let answer = client.post("/v1/containers", &format!("image={}", test_image()));
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(!answer.header("retry-after").is_empty());
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("20990-20993 holds 4: 3 in use"), "{message}");
    assert_eq!(client.get("/v1/containers").json().as_array().unwrap().len(), 1);
}

#[test]
fn env_goes_into_the_container() {
    let daemon = Daemon::start(&[]);
    let body = json!({"image": test_image(), "env": {"HOSTNAME": "it", "A": "b=c"}}).to_string();
    let made = daemon.client.send("POST", "/v1/containers", &[], Some(("application/json", &body)));
    assert_eq!(made.status, 201, "{}", made.text);
    let port = made.json()["app_port"].as_str().unwrap().to_owned();
    assert_eq!(tests::ask(&port, "hello").unwrap(), "it: hello");
    for env in
        [json!({"A=B": "c"}), json!({"": "c"}), json!({"A": "b\u{0}c"}), json!({"A": null}), json!("A=b")]
    {
        let bad = json!({"image": test_image(), "env": env}).to_string();
        let answer = daemon.client.send("POST", "/v1/containers", &[], Some(("application/json", &bad)));
        assert_eq!(answer.status, 422, "{env}");
    }
}
