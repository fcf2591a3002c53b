//! `/metrics` of the running program, as Prometheus would read it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeMap;
use std::time::Duration;
use tests::{Client, Daemon, ask, succeeds, test_image, text, tool, until};

/// Prints what Prometheus' own library for Python understands: each family's name and kind.
const PARSE: &str = "import sys; from prometheus_client.parser import text_string_to_metric_families as parse
for family in parse(open(sys.argv[1]).read()): print(family.name, family.type, bool(family.documentation))";

fn families(scrape: &str) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics");
    std::fs::write(&path, scrape).unwrap();
    let said = succeeds(tool("python").args(["-c", PARSE]).arg(&path));
    let family = |line: &str| {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(words[2], "True", "{line}: it has a help text");
        let suffix = if words[1] == "counter" { "_total" } else { "" };
        (format!("{}{suffix}", words[0]), words[1].clone())
    };
    said.lines().map(family).collect()
}

/// The number behind a series, 0 where it is not there.
fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |number| number.parse().unwrap())
}

#[test]
fn what_happens_is_counted_and_the_reference_tells_it_all() {
    let daemon = Daemon::start(&[]);
    let client = &daemon.client;
    assert_eq!(Client::anonymous(&daemon.base).get("/metrics").status, 401);
    let container = client.create(test_image());
    client.get("/v1/containers/none");
    client.post("/v1/check-in", "active=1");
    client.patch(text(&container, "uri"), "depth=frozen");
    ask(text(&container, "app_port"), "wake up").unwrap();
    let answer = client.get("/metrics");
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for (series, least) in [
        (r#"spin_docker_containers{status="running"}"#, 1.0),
        (r#"spin_docker_transitions_total{from="starting",to="running",cause=""}"#, 1.0),
        (r#"spin_docker_check_ins_total{outcome="unknown"}"#, 1.0),
        (r#"spin_docker_requests_total{route="/metrics",method="GET",status="401"}"#, 1.0),
        (r#"spin_docker_requests_total{route="/v1/containers/{id}",method="GET",status="404"}"#, 1.0),
        (r#"spin_docker_engine_call_seconds_count{call="start",outcome="ok"}"#, 1.0),
        (r#"spin_docker_request_seconds_count{route="/v1/containers",method="POST"}"#, 1.0),
        (r#"spin_docker_store_commit_seconds_count{outcome="ok"}"#, 2.0),
        ("spin_docker_ready", 1.0),
    ] {
        assert!(value(&answer.text, series) >= least, "{series} in\n{}", answer.text);
    }
    client.patch(text(&container, "uri"), "status=stopped");
    until("the stop is counted", Duration::from_secs(20), || {
        let scrape = client.get("/metrics").text;
        let stops = r#"spin_docker_transitions_total{from="stopping",to="stopped",cause="asked"}"#;
        let stopped = value(&scrape, r#"spin_docker_containers{status="stopped"}"#);
        (value(&scrape, stops) == 1.0 && stopped == 1.0).then_some(())
    });

    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        Some((cells[0].trim_matches('`').to_owned(), cells[1].to_owned()))
    });
    assert_eq!(families(&answer.text), rows.collect(), "what is shown is what docs/metrics.md tells");
}
