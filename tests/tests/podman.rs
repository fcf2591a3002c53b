//! The whole product over Podman's Docker-compatible socket: a database is made, asked, frozen, woken, stopped and deleted.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use serde_json::json;
use std::process::Command;
use std::time::Duration;
use tests::{Daemon, Podman, Postgres, program, text, until};

const IMAGE: &str = "atbaker/sd-postgres";

#[test]
fn a_database_lives_on_podman() {
    let podman = Podman::start();
    podman.load(IMAGE);
    let daemon = Daemon::start(&[("engine_host", &podman.host())]);
    assert!(!daemon.log().contains("check-ins are off"), "its bridge is made later");
    let images = daemon.client.get("/v1/images").text;
    assert!(images.contains(&format!("\"{IMAGE}:latest\"")), "{images}");
    let container = daemon.client.create_as(&json!({"image": IMAGE, "policy": {"freeze_after": "off"}}));
    let (uri, port) = (text(&container, "uri"), text(&container, "app_port"));
    let mut kept = Postgres::connect(port).unwrap();
    kept.query("CREATE TABLE kept (it int)").unwrap();
    daemon.client.freeze(&container);
    kept.query("SELECT * FROM kept").unwrap();
    daemon.client.freeze(&container);
    Postgres::connect(port).unwrap().query("SELECT * FROM kept").unwrap();
    assert_eq!(daemon.client.patch(uri, "status=stopped").status, 200);
    daemon.client.until(&container, "status", "stopped");
    assert_eq!(daemon.client.patch(uri, "status=running").status, 200);
    daemon.client.until(&container, "status", "running");
    Postgres::connect(port).unwrap().query("SELECT * FROM kept").unwrap();
    assert_eq!(daemon.client.delete(uri).status, 204);
    until("it is gone from Podman", Duration::from_secs(20), || {
        podman.docker_quietly(&["ps", "-aq"]).unwrap().is_empty().then_some(())
    });
}

/// Its containers could not be kept apart.
#[test]
fn a_rootless_one_is_refused_by_name() {
    let (podman, folder) = (Podman::start_rootless(), tempfile::tempdir().unwrap());
    let mut serve = Command::new("timeout");
    serve.arg("20").arg(program()).args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--engine-host",
        &podman.host(),
    ]);
    let refused = serve.arg("--data-dir").arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("Podman is rootless"), "{said}");
    assert!(said.contains("a rootless Docker Engine instead"), "{said}");
}
