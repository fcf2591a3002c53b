//! Schemas and examples for the OpenAPI document: what the types alone do not say. The examples are those of 2014.

pub(crate) mod history;
pub(crate) mod policy;

use crate::PolicyBody;
use crate::problem::{Kind, Problem};
use model::IdlePolicy;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{AllOfBuilder, Object, ObjectBuilder, Ref};
use utoipa::openapi::{Content, ContentBuilder, RefOr, Response, ResponseBuilder, Type};

const ID: &str = "2cd8a1b037d8752a481b373f225ac72ced9ec89ba784b7868dbb784072358f0e";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn words(about: &str, words: &[&str]) -> Object {
    text().enum_values(Some(words.iter().copied())).description(Some(about)).build()
}

pub(crate) fn status() -> Object {
    words("Where it stands", &["starting", "running", "stopping", "stopped"])
}

pub(crate) fn wish() -> Object {
    words("What it is to do", &["running", "stopped"])
}

pub(crate) fn depth() -> Object {
    words("How deep it sleeps", &["awake", "frozen", "stopped"])
}

pub(crate) fn depth_wish() -> Object {
    words("How deep it is to sleep, if it runs", &["frozen", "awake"])
}

pub(crate) fn protocol() -> Object {
    words("Only TCP is forwarded", &["tcp", "udp", "sctp"])
}

pub(crate) fn image() -> Object {
    // What every engine takes for a name; it may know others, such as those with a registry's port.
    let name = r"^[a-z0-9]+([._/-][a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$";
    let image = text().pattern(Some(name)).max_length(Some(200)).examples(["atbaker/sd-postgres"]);
    image.description(Some("Any name that the engine knows")).build()
}

pub(crate) fn env() -> Object {
    let name = text().pattern(Some(r"^[^=\x00]+$"));
    let value = text().pattern(Some(r"^[^\x00]*$"));
    let example = json!({"POSTGRES_PASSWORD": "secret"});
    ObjectBuilder::new()
        .description(Some("Environment beside the image's own; given to the engine and kept nowhere else"))
        .property_names(Some(name))
        .additional_properties(Some(value))
        .examples([example])
        .build()
}

/// The container of 2014 that all the examples are about, in this status.
pub fn container(status: &str) -> Value {
    let port = |port: &str| if status == "stopped" { String::new() } else { port.to_owned() };
    let endpoint = |inside: u16, outside: u16| {
        let address = format!("127.0.0.1:{outside}");
        json!({"container_port": inside, "protocol": "tcp", "forwarded": true, "address": address})
    };
    json!({
        "status": status, "name": "/hungry_bell", "active": "0", "ssh_port": port("49155"),
        "image": "atbaker/sd-postgres", "container_id": ID, "uri": format!("/v1/containers/{ID}"),
        "app_port": port("49156"), "depth": if status == "stopped" { "stopped" } else { "awake" }, "engine_id": ID,
        "endpoints": [endpoint(22, 49155), endpoint(5432, 49156)],
        "created_at": "2014-05-13T17:31:14.000Z", "last_activity": "2014-05-13T17:31:14.000Z",
        "next_look": (status == "running").then_some("2014-05-13T19:31:14.000Z"), "expires_at": null, "failure": null,
        "warnings": [], "policy": PolicyBody::from(&IdlePolicy::DEFAULT),
    })
}

/// The responses of these kinds of problems, one a status.
pub fn problems(kinds: &[Kind]) -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        let same = statuses.entry(kind.status()).or_default();
        if !same.contains(kind) {
            same.push(*kind);
        }
    }
    statuses.iter().map(|(status, kinds)| (status.to_string(), response(*status, kinds).into())).collect()
}

fn response(status: u16, kinds: &[Kind]) -> Response {
    let titles: Vec<_> = kinds.iter().map(|kind| kind.title()).collect();
    let response = ResponseBuilder::new().description(titles.join("; "));
    let response = response.content("application/problem+json", content(kinds));
    let header = |about: &str| HeaderBuilder::new().schema(Some(text())).description(Some(about)).build();
    match status {
        401 => response.header("WWW-Authenticate", header("How to authenticate: `Basic`")),
        429 | 503 => response.header("Retry-After", header("Seconds, after which to ask again")),
        _ => response,
    }
    .build()
}

/// A problem, with one of these types.
fn content(kinds: &[Kind]) -> Content {
    let types = text().enum_values(Some(kinds.iter().map(|kind| kind.type_())));
    let narrowed = ObjectBuilder::new().property("type", types);
    let schema = AllOfBuilder::new().item(Ref::from_schema_name("Problem")).item(narrowed);
    let examples = kinds.iter().map(|kind| {
        let problem = json!(Problem::new(*kind, message(*kind)));
        let example = ExampleBuilder::new().summary(kind.meaning()).value(Some(problem));
        (kind.slug().to_owned(), example.build())
    });
    ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build()
}

/// Such as the program says; those of 2014 to the letter.
fn message(kind: Kind) -> &'static str {
    match kind {
        Kind::ImageBlank => "Image cannot be blank",
        Kind::NoSuchImage => "Image atbaker/sd-postgres not found on this server",
        Kind::NoSuchContainer => "Container 1337 doesn't exist",
        Kind::NoPorts => {
            "This image does not expose any ports. Use the EXPOSE command in your dockerfile to specify some."
        }
        other => other.title(),
    }
}
