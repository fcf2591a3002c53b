//! `/metrics` of the running program, as Prometheus would read it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::{BTreeMap, BTreeSet};
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

/// The number behind a series, none where it is not there.
fn shown(scrape: &str, series: &str) -> Option<f64> {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|number| number.parse().unwrap())
}

/// The number behind a series, 0 where it is not there.
fn value(scrape: &str, series: &str) -> f64 {
    shown(scrape, series).unwrap_or_default()
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

/// The metric that a query asks for. It must be one that there is, and asked for its own labels alone.
fn asked_for<'a>(query: &'a str, rows: &BTreeMap<String, (String, Vec<String>)>) -> &'a str {
    let metric = regex::Regex::new(r"spin_docker_\w+").unwrap();
    let labels = regex::Regex::new(r#"by \(([^)]*)\)|(\w+)!?="|\{\{(\w+)\}\}"#).unwrap();
    let name = metric.find(query).unwrap_or_else(|| panic!("no metric of ours in {query}")).as_str();
    let family = ["_bucket", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let (kind, known) = rows.get(family).unwrap_or_else(|| panic!("docs/metrics.md has no {family}"));
    assert_eq!(name != family, kind == "histogram", "{query}");
    for found in labels.captures_iter(query) {
        let words = found.iter().skip(1).flatten().flat_map(|group| group.as_str().split(", "));
        for word in words.filter(|word| *word != "le") {
            assert!(known.iter().any(|label| label == word), "{family} has no label {word}: {query}");
        }
    }
    family
}

/// Every metric is on the dashboard, and it asks for none that there is not, nor for a label that a metric has not.
#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../deploy/grafana/spin-docker.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let rows = rows();
    let shown: BTreeSet<String> = targets
        .map(|target| format!("{} {}", text(target, "expr"), text(target, "legendFormat")))
        .map(|query| asked_for(&query, &rows).to_owned())
        .collect();
    assert_eq!(shown, rows.into_keys().collect(), "what the dashboard shows is what there is");
}

/// To Prometheus, a series that comes with its first failure has not grown: what an alarm counts is there, as 0, from the start.
#[test]
fn the_alarms_of_the_book_ask_for_what_is_shown_from_the_start() {
    let book = include_str!("../../docs/operating.md");
    let alarm = regex::Regex::new(r"(?m)^\|[^|]*\| `([^`]*spin_docker_[^`]*)`.*\|$").unwrap();
    let counted = regex::Regex::new(r"increase\(([^\[]*)\[").unwrap();
    let daemon = Daemon::start(&[]);
    let scrape = daemon.client.get("/metrics").text;
    let rows = rows();
    let alarms: Vec<_> = alarm.captures_iter(book).map(|found| found[1].to_owned()).collect();
    let counts: Vec<_> = alarms.iter().filter_map(|query| counted.captures(query)).collect();
    assert_eq!((alarms.len(), counts.len()), (5, 2), "{alarms:?}");
    for query in &alarms {
        asked_for(query, &rows);
    }
    for series in counts.iter().map(|found| &found[1]) {
        assert_eq!(shown(&scrape, series), Some(0.0), "{series} in\n{scrape}");
    }
}
