//! What may come from outside makes no series: cardinality is bounded.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use axum::body::Body;
use bench::Bench;
use std::collections::BTreeSet;

const ADMIN: (&str, &str) = ("authorization", "Basic YWRtaW46cA==");

/// Every series, without its value.
async fn series(bench: &Bench) -> BTreeSet<String> {
    let text = bench.text("/metrics").await;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

/// Like what a scanner sends: paths, queries, methods and check-ins that nobody thought of.
async fn send_nonsense(bench: &Bench, count: u32) {
    for n in 0..count {
        let hash = n.wrapping_mul(2_654_435_761);
        let path = match n % 4 {
            0 => format!("/{hash:x}/{n}"),
            1 => format!("/v1/containers/{hash:x}"),
            2 => format!("/v1/containers?{hash:x}={n}"),
            _ => format!("/v1/{n}/../{hash:x}%2f"),
        };
        let method = if n % 3 == 0 { "GET".to_owned() } else { format!("M{hash:X}") };
        bench.request(&method, &path, &[ADMIN], Body::empty()).await;
    }
    for n in 0..256 {
        let [_, _, c, d] = (n * 65_537_u32).to_be_bytes();
        let source = [192, 0, c, d].into();
        bench.request_from(source, "POST", "/v1/check-in", &[], Body::from(format!("active={n}"))).await;
    }
}

#[tokio::test]
async fn ten_thousand_random_paths_and_methods_make_no_new_series() {
    server::record();
    let bench = Bench::new().await;
    bench.create().await;
    send_nonsense(&bench, 48).await;
    series(&bench).await;
    let before = series(&bench).await;
    send_nonsense(&bench, 10_000).await;
    let after = series(&bench).await;
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(before.iter().any(|series| series.contains(r#"route="/v1/containers/{id}""#)), "{before:#?}");
    assert!(before.iter().any(|series| series.contains(r#"route="none",method="other""#)), "{before:#?}");
    assert!(before.len() < 400, "{} series", before.len());
}

#[tokio::test]
async fn check_ins_are_counted_by_what_came_of_them() {
    server::record();
    let bench = Bench::new().await;
    bench.create().await;
    let container = bench.app.control.list()[0].container.address.into();
    for source in [container, container, [192, 0, 2, 1].into()] {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        bench.request_from(source, "POST", "/v1/check-in", &form, Body::from("active-connections=3")).await;
    }
    let text = bench.text("/metrics").await;
    for counted in [r#"{outcome="taken"} 2"#, r#"{outcome="unknown"} 1"#] {
        assert!(text.contains(&format!("spin_docker_check_ins_total{counted}")), "{counted} in\n{text}");
    }
}
