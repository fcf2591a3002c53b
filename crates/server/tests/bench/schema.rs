//! JSON against a schema of the OpenAPI document, as JSON Schema 2020-12 has it, which is what OpenAPI 3.1 says.

#![allow(unreachable_pub, reason = "shared by the test files")]

use serde_json::Value;

/// Fails with all that is wrong, where the value is not as the schema says.
pub fn hold(document: &Value, schema: &Value, value: &Value, what: &str) {
    // Its references are from the document's root.
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    let validator = options.build(&whole).unwrap_or_else(|error| panic!("{what}: no schema: {error}"));
    let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{what} is not as the document says: {errors:#?}\n{value:#}");
}
