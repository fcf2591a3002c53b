//! `/metrics`, for Prometheus: what the control counts, and requests, by the route's template and never by their path.

use crate::{App, problems};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::Response;
use control::{Metric, MetricKind};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Seconds. From an answer out of memory to a stop that takes its whole grace.
const BOUNDS: [f64; 11] = [0.000_5, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// How often what was timed is put into its bounds, whether anybody asks or not.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

const REQUESTS: Metric = Metric {
    name: "spin_docker_requests_total",
    kind: MetricKind::Counter,
    labels: &["route", "method", "status"],
    help: "Requests answered; `none` is the route of a path that is not there, `other` a method that HTTP does not know",
};
const REQUEST_SECONDS: Metric = Metric {
    name: "spin_docker_request_seconds",
    kind: MetricKind::Histogram,
    labels: &["route", "method"],
    help: "How long requests took",
};
const INFO: Metric = Metric {
    name: "spin_docker_info",
    kind: MetricKind::Gauge,
    labels: &["version"],
    help: "1, with the version of the program",
};
const OWN: [Metric; 3] = [REQUESTS, REQUEST_SECONDS, INFO];

fn all() -> impl Iterator<Item = &'static Metric> {
    control::METRICS.iter().chain(&OWN)
}

/// The one recorder of this process.
static RECORDED: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS).expect("there are bounds");
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("nobody else records");
    for Metric { name, kind, help, .. } in all() {
        match kind {
            MetricKind::Counter => describe_counter!(*name, *help),
            MetricKind::Gauge => describe_gauge!(*name, *help),
            MetricKind::Histogram => describe_histogram!(*name, *help),
        }
    }
    gauge!(INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    handle
});

/// Records from now on, for the whole process.
pub fn record() {
    LazyLock::force(&RECORDED);
}

/// Keeps what is recorded small, until `ending`.
pub async fn keep_records(ending: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    while ending.run_until_cancelled(ticks.tick()).await.is_some() {
        RECORDED.run_upkeep();
    }
}

/// What Prometheus asks for
#[utoipa::path(get, path = "/metrics", operation_id = "show_metrics", tag = "operation", responses(
    (status = 200, description = "In its text format", body = String, example = json!(example())),
    problems::OfOperation,
))]
pub(crate) async fn show(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], String) {
    app.control.gauge();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], RECORDED.render())
}

/// Of one metric, as the recorder writes it.
fn example() -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        describe_counter!(REQUESTS.name, REQUESTS.help);
        let labels = [("route", "/v1/containers"), ("method", "GET"), ("status", "200")];
        counter!(REQUESTS.name, &labels).increment(7);
    });
    recorder.handle().render()
}

/// The template of the route that answered, for whoever stands around the router.
#[derive(Clone)]
pub(crate) struct Route(MatchedPath);

/// Inside the router a request knows its route; outside, the response does.
pub(crate) async fn note_route(request: Request, answer: impl AsyncFnOnce(Request) -> Response) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned().map(Route);
    let mut response = answer(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

pub(crate) fn answered(method: &Method, route: Option<&Route>, status: StatusCode, took: Duration) {
    let route = route.map_or("none", |Route(path)| path.as_str()).to_owned();
    let method = known(method);
    counter!(REQUESTS.name, "route" => route.clone(), "method" => method, "status" => status.as_str().to_owned())
        .increment(1);
    histogram!(REQUEST_SECONDS.name, "route" => route, "method" => method).record(took);
}

fn known(method: &Method) -> &'static str {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PATCH,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
    ];
    const NAMES: [&str; 7] = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"];
    KNOWN.iter().position(|known| known == method).map_or("other", |index| NAMES[index])
}

/// docs/metrics.md.
pub fn metrics_reference() -> String {
    let rows = all().map(|Metric { name, kind, labels, help }| {
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `{name}` | {} | {labels} | {help}. |\n", format!("{kind:?}").to_lowercase())
    });
    PREFACE.to_owned() + &rows.collect::<String>()
}

const PREFACE: &str = "\
# Metrics

<!-- Made by `spin-docker metrics-reference`. A test fails where it is stale. -->

`GET /metrics` answers Prometheus in its text format. It takes the credentials of the API:

```yaml
scrape_configs:
  - job_name: spin-docker
    basic_auth: { username: admin, password: spindocker }
    static_configs: [{ targets: [\"127.0.0.1:8080\"] }]
```

Every label has a handful of values: no path, name or id that somebody sends makes a series.

| metric | kind | labels | |
| --- | --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_what_the_code_says() {
        let kept = include_str!("../../../docs/metrics.md");
        let advice = "docs/metrics.md is stale: run `spin-docker metrics-reference > docs/metrics.md`";
        assert!(metrics_reference() == kept, "{advice}");
    }
}
