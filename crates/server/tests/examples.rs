//! The OpenAPI document's examples: each is as its schema says, and no operation that speaks JSON is without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "bench/schema.rs"]
mod schema;

use serde_json::Value;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(server::openapi()).unwrap());

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Every example that stands directly here: of a body, a parameter or a header, beside its `schema`; of a schema, in itself.
fn here(value: &Value) -> Vec<&Value> {
    let named = members(&value["examples"]).map(|(_, each)| &each["value"]);
    let listed = value["examples"].as_array().into_iter().flatten();
    named.chain(listed).chain(value.get("example")).collect()
}

/// Holds all examples from here down to their schemas, and counts them.
fn hold_all(value: &Value, place: &str) -> usize {
    let found = here(value);
    let schema = value.get("schema").unwrap_or(value);
    found.iter().for_each(|example| schema::hold(&DOCUMENT, schema, example, place));
    let below = members(value).filter(|(name, _)| !["example", "examples", "enum"].contains(&name.as_str()));
    let below = below.flat_map(|(name, value)| inside(name, value));
    let listed = value.as_array().into_iter().flatten().enumerate();
    let listed = listed.map(|(index, each)| (index.to_string(), each));
    found.len()
        + below.chain(listed).map(|(name, each)| hold_all(each, &format!("{place}/{name}"))).sum::<usize>()
}

/// What has names of our own choosing is looked into: `example` is no word of OpenAPI's there.
fn inside<'a>(name: &str, value: &'a Value) -> Vec<(String, &'a Value)> {
    if name != "properties" {
        return vec![(name.to_owned(), value)];
    }
    members(value).map(|(field, each)| (format!("{name}/{field}"), each)).collect()
}

#[test]
fn every_example_is_as_its_schema_says() {
    // Some hundred of problems alone.
    let found = hold_all(&DOCUMENT, "");
    assert!(found > 150, "{found} examples are found");
}

#[test]
fn every_body_of_every_operation_has_an_example() {
    let mut bodies = 0;
    for (path, item) in members(&DOCUMENT["paths"]) {
        for (method, operation) in members(item) {
            let answers = members(&operation["responses"]).map(|(_, answer)| answer);
            let contents =
                answers.chain(operation.get("requestBody")).flat_map(|each| members(&each["content"]));
            for (kind, content) in contents {
                let schema = content["schema"]["$ref"].as_str().and_then(|at| DOCUMENT.pointer(&at[1..]));
                let has = !here(content).is_empty() || schema.is_some_and(|schema| !here(schema).is_empty());
                assert!(has, "{method} {path}: {kind} has no example");
                bodies += 1;
            }
        }
    }
    assert!(bodies > 50, "{bodies} bodies are found");
}
