//! docs/api-reference.md: the OpenAPI document as a page to read. Each operation with its parameters and answers, each body with
//! its fields. Says nothing that the document does not.

use crate::openapi;
use serde_json::{Map, Value};

const HEAD: &str = "\
# Every operation

<!-- Made by `spin-docker api-reference` from the handlers in crates/server and the bodies in crates/api. A test fails where it is stale. -->

Statuses of 400 and above are [problems](problems.md).
";

/// Bodies of forms, and policies: told elsewhere, field by field.
const ELSEWHERE: [&str; 5] = ["ChangeForm", "CreateForm", "CheckIn", "Policy", "PolicyRequest"];

/// The whole page.
pub fn api_reference() -> String {
    let document = serde_json::to_value(openapi()).expect("the document is made of texts and numbers");
    let mut page = HEAD.to_owned();
    for tag in list(&document["tags"]) {
        let title = text(&tag["description"]);
        page.push_str(&format!("\n## {title}\n"));
        for (path, method, operation) in operations(&document) {
            if operation["tags"][0] == tag["name"] {
                page.push_str(&operation_section(path, method, operation));
            }
        }
    }
    page.push_str("\n## The bodies\n\n[The idle policy](policy.md) has the fields of `policy`; in a form, each is a field `policy.TERM`.\n");
    for (name, schema) in members(&document["components"]["schemas"]) {
        if !ELSEWHERE.contains(&name.as_str()) {
            page.push_str(&body_section(name, schema));
        }
    }
    page
}

fn operation_section(path: &str, method: &str, operation: &Value) -> String {
    let mut section = format!("\n### {} {path}\n\n{}.", method.to_uppercase(), text(&operation["summary"]));
    let more = text(&operation["description"]).replace('\n', " ");
    if !more.is_empty() {
        section.push_str(&format!(" {more}"));
    }
    let open = operation["security"].as_array().is_some_and(Vec::is_empty);
    section.push_str(if open { " It asks for no password.\n" } else { "\n" });
    let body = type_of(&operation["requestBody"]["content"]["application/json"]["schema"]);
    if body.starts_with(char::is_uppercase) {
        section.push_str(&format!("\nIts body, as JSON or a form: [{body}](#{}).\n", body.to_lowercase()));
    }
    let parameters = list(&operation["parameters"]);
    if !parameters.is_empty() {
        section.push_str("\n| parameter | in | |\n| --- | --- | --- |\n");
    }
    for parameter in parameters {
        let [name, place] = ["name", "in"].map(|member| text(&parameter[member]));
        let about = text(parameter.get("description").unwrap_or(&parameter["schema"]["description"]));
        section.push_str(&format!("| `{name}` | {place} | {about} |\n"));
    }
    section.push_str("\n| status | |\n| --- | --- |\n");
    for (status, answer) in members(&operation["responses"]) {
        section.push_str(&format!("| {status} | {} |\n", text(&answer["description"])));
    }
    section
}

fn body_section(name: &str, schema: &Value) -> String {
    let mut section = format!("\n### {name}\n");
    let about = text(&schema["description"]).replace('\n', " ");
    if !about.is_empty() {
        section.push_str(&format!("\n{about}\n"));
    }
    section.push_str("\n| field | type | |\n| --- | --- | --- |\n");
    for (field, schema) in members(&schema["properties"]) {
        let about = text(&schema["description"]).replace('\n', " ").replace('|', "\\|");
        section.push_str(&format!("| `{field}` | {} | {about} |\n", type_of(schema)));
    }
    section
}

/// A type in a word or two; the name of another body, where it is one.
fn type_of(schema: &Value) -> String {
    if let Some(other) = schema["$ref"].as_str() {
        let name = other.rsplit('/').next().unwrap_or_default();
        return if ELSEWHERE.contains(&name) { "object".to_owned() } else { name.to_owned() };
    }
    let either: Vec<_> =
        ["oneOf", "anyOf", "allOf"].iter().flat_map(|member| list(&schema[*member])).collect();
    if !either.is_empty() {
        return either.into_iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    let values: Vec<_> = list(&schema["enum"]).iter().map(|value| format!("`{}`", text(value))).collect();
    if !values.is_empty() {
        return values.join(", ");
    }
    let one = |name: &str| match name {
        "array" => format!("list of {}", type_of(&schema["items"])),
        name => name.to_owned(),
    };
    match &schema["type"] {
        Value::Array(names) => names.iter().map(|name| one(text(name))).collect::<Vec<_>>().join(" or "),
        name => one(text(name)),
    }
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    members(&document["paths"])
        .flat_map(|(path, item)| members(item).map(move |(method, operation)| (path, method, operation)))
        .filter(|(_, _, operation)| operation["operationId"].is_string())
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_page_is_what_the_document_says() {
        let kept = include_str!("../../../docs/api-reference.md");
        let advice =
            "docs/api-reference.md is stale: run `spin-docker api-reference > docs/api-reference.md`";
        assert!(api_reference() == kept, "{advice}");
    }

    #[test]
    fn every_operation_is_on_it_and_no_row_is_silent() {
        let page = api_reference();
        let document = serde_json::to_value(openapi()).unwrap();
        for (path, method, _) in operations(&document) {
            assert!(page.contains(&format!("### {} {path}\n", method.to_uppercase())), "{method} {path}");
        }
        let silent: Vec<_> = page.lines().filter(|line| line.ends_with("|  |")).collect();
        assert!(silent.is_empty(), "each row says what it is: {silent:?}");
    }
}
