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

/// What a reference's row is of: the metric, its kind, its labels.
fn rows() -> BTreeMap<String, (String, Vec<String>)> {
    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        let labels = cells[2].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        Some((cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels.collect())))
    });
    rows.collect()
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

    let told = rows().into_iter().map(|(name, (kind, _))| (name, kind)).collect();
    assert_eq!(families(&answer.text), told, "what is shown is what docs/metrics.md tells");
}

/// Every metric is on the dashboard, and it asks for none that there is not, nor for a label that a metric has not.
#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../deploy/grafana/spin-docker.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let rows = rows();
    let metric = regex::Regex::new(r"spin_docker_\w+").unwrap();
    let labels = regex::Regex::new(r#"by \(([^)]*)\)|(\w+)!?="|\{\{(\w+)\}\}"#).unwrap();
    let mut shown = std::collections::BTreeSet::new();
    for target in targets {
        let asked = format!("{} {}", text(target, "expr"), text(target, "legendFormat"));
        let name = metric.find(&asked).unwrap_or_else(|| panic!("no metric of ours in {asked}")).as_str();
        let family = ["_bucket", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let (kind, known) = rows.get(family).unwrap_or_else(|| panic!("docs/metrics.md has no {family}"));
        assert_eq!(name != family, kind == "histogram", "{asked}");
        for found in labels.captures_iter(&asked) {
            let words = found.iter().skip(1).flatten().flat_map(|group| group.as_str().split(", "));
            for word in words.filter(|word| *word != "le") {
                assert!(known.iter().any(|label| label == word), "{family} has no label {word}: {asked}");
            }
        }
        shown.insert(family.to_owned());
    }
    assert_eq!(shown, rows.into_keys().collect(), "what the dashboard shows is what there is");
}
