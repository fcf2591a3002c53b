//! The OpenAPI document: valid, behind the password, and true to what the program does.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::time::Duration;
use tests::{Answer, Client, Daemon, succeeds, test_image, text, tool};

#[test]
fn the_document_is_valid_and_is_the_kept_copy() {
    let daemon = Daemon::start(&[]);
    assert_eq!(Client::anonymous(&daemon.base).get("/v1/openapi.json").status, 401);
    let answer = daemon.client.get("/v1/openapi.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let kept: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    assert!(answer.json()["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    assert!(answer.json() == kept, "docs/openapi.json is what is served");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openapi.json");
    std::fs::write(&path, &answer.text).unwrap();
    succeeds(tool("openapi-spec-validator").arg(&path));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let daemon = Daemon::start(&[]);
    for (path, kind) in
        [("/docs", "text/html"), ("/docs/page.css", "text/css"), ("/docs/page.js", "text/javascript")]
    {
        assert_eq!(Client::anonymous(&daemon.base).get(path).status, 401, "{path}");
        let answer = daemon.client.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with(kind), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        for elsewhere in
            ["http:", "https:", "src=\"//", " url(", "@import", "innerHTML", "style=", "onclick="]
        {
            assert!(!answer.text.contains(elsewhere), "{path} has {elsewhere}");
        }
    }
}

/// Some 2,200 requests, right and wrong, and sequences of them. What it makes is an image of ours and what the engine has
/// beside, and is stopped after a few seconds; what is left goes with the daemon. Most of its time goes into the cases that it makes
/// of the document alone, whose number is not ours to choose.
#[test]
fn schemathesis_finds_nothing() {
    // It makes hundreds of containers, whose ports rest.
    let ports = ("endpoint_ports", "49153-65535");
    let daemon = Daemon::start(&[("initial_timeout_interval", "1"), ("timeout_interval", "1"), ports]);
    let text = daemon.client.get("/v1/openapi.json").text;
    let text = text.replace(r#""atbaker/sd-postgres""#, &format!("{:?}", test_image()));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("openapi.json"), text).unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis.toml");
    let mut schemathesis = tool("schemathesis");
    schemathesis.current_dir(folder.path()).args(["--config-file", config, "run", "openapi.json"]);
    schemathesis.args(["--url", &daemon.base, "--auth", "admin:spindocker", "--checks", "all"]);
    let said = succeeds(&mut schemathesis);
    assert!(said.contains("No issues found"), "{said}");
}

/// The document that a daemon serves, and that daemon.
struct Held<'a> {
    document: Value,
    daemon: &'a Daemon,
}

impl Held<'_> {
    /// Asks, and holds what came to what the document says of this operation: its status, its type, its body to the letter.
    fn ask(&self, client: &Client, operation: &str, path: &str, form: &str, status: u16) -> Answer {
        let (method, template) = operation.split_once(' ').unwrap();
        let body = Some(("application/x-www-form-urlencoded", form)).filter(|_| !form.is_empty());
        let answer = client.send(method, path, &[], body);
        assert_eq!(answer.status, status, "{operation}: {}", answer.text);
        let kind = answer.header("content-type");
        self.hold(template, method, status, kind, &answer.json());
        answer
    }

    fn admin(&self, operation: &str, path: &str, form: &str, status: u16) -> Value {
        self.ask(&self.daemon.client, operation, path, form, status).json()
    }

    fn hold(&self, template: &str, method: &str, status: u16, kind: &str, value: &Value) {
        let operation = &self.document["paths"][template][method.to_lowercase()];
        let content = &operation["responses"][status.to_string()]["content"];
        let schema = content[kind].get("schema");
        self.is_as(
            schema.unwrap_or_else(|| panic!("no {kind} of {method} {template} {status}: {content}")),
            value,
        );
    }

    /// As JSON Schema 2020-12 has it, which is what OpenAPI 3.1 says.
    fn is_as(&self, schema: &Value, value: &Value) {
        // Its references are from the document's root.
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        let errors = options.build(&whole).unwrap();
        let errors: Vec<_> = errors.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{value:#} is not as the document says: {schema:#}");
    }

    /// The first event of the stream after this one.
    fn streamed(&self, after: &str) -> Value {
        let base = &self.daemon.base;
        let mut stream = tests::raw::connect(base);
        let request = format!(
            "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWRtaW46c3BpbmRvY2tlcg==\r\nLast-Event-ID: {after}\r\n\r\n"
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let data = lines.find_map(|line| Some(line.strip_prefix("data: ")?.to_owned()));
        serde_json::from_str(&data.expect("an event comes")).unwrap()
    }
}

#[test]
fn real_answers_are_as_the_document_says() {
    let daemon = Daemon::start(&[]);
    let held = Held { document: daemon.client.get("/v1/openapi.json").json(), daemon: &daemon };
    let (all, one) = ("/v1/containers", "/v1/containers/{id}");
    let form = format!("image={}&policy.expires_after=7d", test_image());
    let made = held.admin(&format!("POST {all}"), all, &form, 201);
    let uri = text(&made, "uri");
    let running = held.admin(&format!("GET {all}"), all, "", 200);
    assert_eq!(running.as_array().unwrap().len(), 1);
    held.admin(&format!("GET {one}"), uri, "", 200);
    held.admin("GET /v1/images", "/v1/images", "", 200);
    let why = |depth: &str| {
        let why = held.admin(&format!("GET {one}/why"), &format!("{uri}/why"), "", 200);
        assert_eq!(why["depth"], depth, "{why}");
    };
    why("awake");
    daemon.client.freeze(&made);
    held.admin(&format!("GET {one}"), uri, "", 200);
    why("frozen");
    held.admin(&format!("PATCH {one}"), uri, "status=stopped", 200);
    daemon.client.until(&made, "status", "stopped");
    held.admin(&format!("GET {one}"), uri, "", 200);
    why("stopped");
    let events = held.admin(&format!("GET {one}/events"), &format!("{uri}/events"), "", 200);
    assert!(events.as_array().unwrap().len() >= 4, "{events}");
    held.is_as(&held.document["components"]["schemas"]["Event"], &held.streamed("0"));
    held.admin("GET /v1/openapi.json", "/v1/openapi.json", "", 200);
}

#[test]
fn real_problems_are_as_the_document_says() {
    let daemon = Daemon::start(&[]);
    let held = Held { document: daemon.client.get("/v1/openapi.json").json(), daemon: &daemon };
    let (create, change) = ("POST /v1/containers", "PATCH /v1/containers/{id}");
    let (all, none) = ("/v1/containers", "/v1/containers/none");
    for (operation, path, form, status, kind) in [
        (create, all, "image=", 400, "image-blank"),
        (create, all, "image=no/such/image", 404, "no-such-image"),
        (create, all, "image=upper/Case", 422, "invalid-image"),
        (create, all, "image=a&other=b", 422, "invalid-field"),
        (change, none, "status=running", 404, "no-such-container"),
        ("GET /v1/containers/{id}", none, "", 404, "no-such-container"),
        ("DELETE /v1/containers/{id}", none, "", 404, "no-such-container"),
        ("GET /v1/containers/{id}/why", "/v1/containers/none/why", "", 404, "no-such-container"),
        ("GET /v1/containers", "/v1/containers?audit=perhaps", "", 400, "path-unreadable"),
        ("POST /v1/check-in", "/v1/check-in", "active=-1", 422, "invalid-field"),
    ] {
        let problem = held.admin(operation, path, form, status);
        assert_eq!(problem["type"], format!("urn:spin-docker:problem:{kind}"), "{operation} {form}");
    }
    let anonymous = Client::anonymous(&daemon.base);
    for operation in ["GET /v1/containers", "GET /v1/images", "GET /metrics", "GET /v1/events"] {
        let (_, path) = operation.split_once(' ').unwrap();
        held.ask(&anonymous, operation, path, "", 401);
    }
}
