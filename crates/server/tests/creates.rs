//! What a create is told that cannot be: by its body, by its image, by what the image exposes. Nothing of it reaches the
//! engine, and nothing is left.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use axum::body::Body;
use bench::{Answer, Bench, is, says};
use engine::fake::Call;
use model::{Image, PortSpec, Protocol};
use serde_json::json;
use std::convert::Infallible;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

async fn post(bench: &Bench, kind: &str, body: impl Into<axum::body::Bytes>) -> Answer {
    bench.send_as("POST", "/v1/containers", kind, body).await
}

/// Nothing was asked of the engine beyond its images, and nothing came into being.
async fn nothing_came_of_it(bench: &Bench) {
    assert_eq!((bench.listed().await, bench.ports.count()), (0, 0));
    assert!(bench.fake.bodies().is_empty());
}

/// With neither a body nor a word on what kind it is of.
#[tokio::test]
async fn nothing_at_all() {
    let bench = Bench::new().await;
    let made = bench.create().await;
    let uri = made.header("location").unwrap();
    for (method, path, status, slug, message) in [
        ("POST", "/v1/containers", 400, "image-blank", "Image cannot be blank"),
        ("PATCH", uri, 422, "invalid-field", "A change takes status, running or stopped"),
        ("POST", "/v1/check-in", 422, "invalid-field", "active-connections"),
    ] {
        let answer =
            bench.request(method, path, &[("authorization", "Basic YWRtaW46cA==")], Body::empty()).await;
        says(&answer, status, slug, message);
    }
    assert_eq!(bench.listed().await, 1);
}

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let bench = Bench::new().await;
    let table: &[(&str, &str, u16, &str, &str)] = &[
        (FORM, "", 400, "image-blank", "Image cannot be blank"),
        (JSON, "", 400, "image-blank", "Image cannot be blank"),
        (JSON, "{}", 400, "image-blank", "Image cannot be blank"),
        (JSON, "{", 400, "body-unreadable", "The body is not JSON: EOF while parsing"),
        (
            JSON,
            "image=image",
            400,
            "body-unreadable",
            "The body is not JSON: expected value at line 1 column 1",
        ),
        (
            JSON,
            r#"{"image": "image"} x"#,
            400,
            "body-unreadable",
            "The body is not JSON: trailing characters",
        ),
        (FORM, r#"{"image": "#, 400, "body-unreadable", "The body is not JSON"),
        (JSON, r#"["image"]"#, 422, "invalid-field", "The body must be a JSON object"),
        (JSON, r#""image""#, 422, "invalid-field", "The body must be a JSON object"),
        (JSON, "null", 422, "invalid-field", "The body must be a JSON object"),
        (
            JSON,
            r#"{"image": 5}"#,
            422,
            "invalid-field",
            "image: invalid type: integer `5`, expected a string",
        ),
        (
            JSON,
            r#"{"image": ["image"]}"#,
            422,
            "invalid-field",
            "image: invalid type: sequence, expected a string",
        ),
        (
            JSON,
            r#"{"image": "image", "env": []}"#,
            422,
            "invalid-field",
            "env: invalid type: sequence, expected a map",
        ),
        (
            JSON,
            r#"{"image": "image", "env": {"A": 1}}"#,
            422,
            "invalid-field",
            "env.A: invalid type: integer `1`",
        ),
        (
            JSON,
            r#"{"image": "image", "env": {"": "a"}}"#,
            422,
            "invalid-field",
            "env: \"\" cannot be the name",
        ),
        (
            JSON,
            r#"{"image": "image", "env": {"A=B": "a"}}"#,
            422,
            "invalid-field",
            "env: \"A=B\" cannot be the name",
        ),
        (
            JSON,
            r#"{"image": "image", "env": {"A": "\u0000"}}"#,
            422,
            "invalid-field",
            "env: the value of \"A\"",
        ),
        (FORM, "image=image&env=A%3DB", 422, "invalid-field", "env: an environment takes JSON"),
        (FORM, "image=image&env.A=B", 422, "invalid-field", "env.A: an environment takes JSON"),
        (FORM, "image=image&freeze_after=5m", 422, "invalid-field", "say policy.freeze_after,"),
        (JSON, r#"{"image": "image", "freeze_after": 5}"#, 422, "invalid-field", "say policy.freeze_after,"),
        (
            FORM,
            "image=image&name=foo",
            422,
            "invalid-field",
            "name: there is no such field; there are image,",
        ),
        (JSON, r#"{"image": "image", "cmd": []}"#, 422, "invalid-field", "cmd: there is no such field"),
        ("text/plain", "image=image", 415, "media-type", "not \"text/plain\""),
        ("multipart/form-data; boundary=x", "--x--", 415, "media-type", "must be application/json or"),
    ];
    for (kind, body, status, slug, words) in table {
        says(&post(&bench, kind, *body).await, *status, slug, words);
    }
    says(
        &post(&bench, JSON, &b"{\"image\": \"\xff\"}"[..]).await,
        400,
        "body-unreadable",
        "The body is not JSON",
    );
    let nested = format!(r#"{{"image": {}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    says(&post(&bench, JSON, nested).await, 400, "body-unreadable", "recursion limit exceeded");
    assert!(bench.fake.calls().iter().all(|(call, _)| *call != Call::Image));
    nothing_came_of_it(&bench).await;
}

#[tokio::test]
async fn a_body_over_a_megabyte_is_413_and_one_of_a_megabyte_is_read() {
    let bench = Bench::new().await;
    let form = |bytes: usize| format!("image={}", "a".repeat(bytes - "image=".len()));
    let answer = post(&bench, FORM, form((1 << 20) + 1)).await;
    says(&answer, 413, "body-too-large", "A body may hold at most 1048576 bytes");
    // Nor is one that does not say beforehand how long it is.
    let unsaid = Body::from_stream(futures_util::stream::iter([Ok::<_, Infallible>(form((1 << 20) + 1))]));
    let headers = [("authorization", "Basic YWRtaW46cA=="), ("content-type", FORM)];
    is(&bench.request("POST", "/v1/containers", &headers, unsaid).await, 413, "body-too-large");
    is(&post(&bench, FORM, form(1 << 20)).await, 422, "invalid-image");
    nothing_came_of_it(&bench).await;
}

#[tokio::test]
async fn images_that_cannot_be() {
    let bench = Bench::new().await;
    for blank in ["", " ", "\t\n", "\u{a0}"] {
        says(
            &post(&bench, JSON, json!({ "image": blank }).to_string()).await,
            400,
            "image-blank",
            "Image cannot be blank",
        );
    }
    let long = "a".repeat(10_000);
    let names = [
        &long,
        "a\nb",
        "a\0b",
        "a\u{1b}[31mb",
        "../etc",
        "a/../../containers/json",
        "a/..",
        "./a",
        "..",
        "a?x=1",
        "a#b",
        "a b",
        "a%2f..%2fb",
        "/a",
        "a/",
        "a//b",
        "a\\b",
        "bild/größe",
        "a\u{202e}b",
        "-a b",
    ];
    for name in names {
        let answer = post(&bench, JSON, json!({ "image": name }).to_string()).await;
        says(
            &answer,
            422,
            "invalid-image",
            "cannot be the name of an image; one is such as atbaker/sd-postgres",
        );
        assert!(
            answer.message().len() < 250 && !answer.message().contains(char::is_control),
            "{:?}",
            answer.message()
        );
    }
    assert!(bench.fake.calls().iter().all(|(call, _)| *call != Call::Image), "the engine was never asked");
    says(
        &post(&bench, FORM, "image=no/such:image").await,
        404,
        "no-such-image",
        "Image no/such:image not found on this server",
    );
    nothing_came_of_it(&bench).await;
}

#[tokio::test]
async fn images_that_expose_nothing_or_udp_alone_or_too_much() {
    let bench = Bench::new().await;
    let exposing = |exposed: Vec<PortSpec>| Image { exposed, ..Image::default() };
    bench.fake.add_image("silent", exposing(vec![]));
    bench.fake.add_image("udp", exposing(vec![PortSpec { port: 53, protocol: Protocol::Udp }]));
    bench.fake.add_image("wide", exposing((1..=33).map(PortSpec::tcp).collect()));
    let none =
        "This image does not expose any ports. Use the EXPOSE command in your dockerfile to specify some.";
    for image in ["silent", "udp"] {
        says(&post(&bench, FORM, format!("image={image}")).await, 422, "no-ports", none);
    }
    let many = "Image wide exposes 33 TCP ports; at most 32 are forwarded";
    says(&post(&bench, FORM, "image=wide").await, 422, "too-many-ports", many);
    nothing_came_of_it(&bench).await;
}
