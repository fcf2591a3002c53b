//! The OpenAPI document: valid, behind the password, and true to what the program does.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::Value;
use tests::{Client, Daemon, succeeds, test_image, tool};

#[test]
fn the_document_is_valid_and_is_the_kept_copy() {
    let daemon = Daemon::start(&[]);
    assert_eq!(Client::anonymous(&daemon.base).get("/v1/openapi.json").status, 401);
    let answer = daemon.client.get("/v1/openapi.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let kept: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
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

/// Some 1,400 requests, right and wrong, and sequences of them. What it makes is an image of ours and what the engine has
/// beside, and is stopped after a few seconds; what is left goes with the daemon.
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
