//! Whatever the routes answer in a test is held to the OpenAPI document: a status, or a kind of problem, that it does not tell,
//! and JSON that is not as its schema says, fails the test.

use super::Answer;
use super::schema;
use serde_json::Value;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(server::openapi()).unwrap());

/// Fails where the document does not tell this answer. Paths and methods that it does not know are 404 and 405 of their own.
pub fn hold(method: &str, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let item = paths.iter().find(|(template, _)| fits(template, path)).map(|(_, item)| item);
    let Some(operation) = item.and_then(|item| item.get(method.to_lowercase())) else { return };
    let told = operation["responses"].get(answer.status.to_string());
    let told = told.unwrap_or_else(|| panic!("no {} of {method} {path} in the document", answer.status));
    if let Some(kind) = answer.body["type"].as_str() {
        let slug = kind.rsplit(':').next().unwrap_or_default();
        let example = &told["content"]["application/problem+json"]["examples"][slug];
        assert_eq!(example["value"]["type"], kind, "of {method} {path} in the document");
    }
    let kind = answer.header("content-type").unwrap_or_default();
    if kind.ends_with("json") {
        let schema = told["content"][kind].get("schema");
        let schema = schema.unwrap_or_else(|| panic!("no {kind} of {method} {path} in the document"));
        schema::hold(&DOCUMENT, schema, &answer.body, &format!("{method} {path}"));
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (wanted, given) = (template.split('/'), path.split('/'));
    wanted.clone().count() == given.clone().count()
        && wanted.zip(given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
}
