//! Credentials that are missing, wrong, empty, long, or no text at all: one answer for all of them.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bench::{Bench, says};

#[tokio::test]
async fn whatever_is_not_the_password_is_401_with_a_challenge_and_says_no_more() {
    let bench = Bench::new().await;
    let long = vec![b'a'; 10_000];
    let wrong: [&[u8]; 10] = [
        b"",
        b":",
        b"admin",
        b"admin:",
        b"admin:q",
        b"admin:pp",
        b"root:p",
        b"admin:p\0",
        b"admin:\xff\xfe",
        &long,
    ];
    let basic = |credentials: &[u8]| format!("Basic {}", STANDARD.encode(credentials));
    let mut headers: Vec<_> = wrong.iter().map(|credentials| basic(credentials)).collect();
    headers.extend(["", "Basic", "Basic ", "Basic !!!", "Bearer p", "admin:p"].map(str::to_owned));
    headers.push(format!("Digest {}", STANDARD.encode("admin:p")));
    headers.push("a".repeat(10_000));
    for header in &headers {
        for (method, path) in [
            ("GET", "/v1/containers"),
            ("POST", "/v1/containers"),
            ("DELETE", "/v1/containers/1"),
            ("GET", "/"),
        ] {
            let answer =
                bench.request(method, path, &[("authorization", header)], Body::from("image=image")).await;
            says(
                &answer,
                401,
                "unauthorized",
                "Give the user admin and the password, by HTTP basic authentication",
            );
            assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm="), "{header:.40}");
        }
    }
    let right = basic(b"admin:p");
    for scheme in ["Basic", "basic", "BASIC"] {
        let header = right.replace("Basic", scheme);
        let answer =
            bench.request("GET", "/v1/containers", &[("authorization", &header)], Body::empty()).await;
        assert_eq!(answer.status, 200, "{scheme}");
    }
    assert_eq!(bench.listed().await, 0);
}
