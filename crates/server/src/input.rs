//! Paths and queries that cannot be read are problems like any other.

use crate::error::Failure;
use api::Kind;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use serde::{Deserialize, Deserializer, de::Error};
use utoipa::openapi::Type;
use utoipa::openapi::schema::{Object, ObjectBuilder};

/// How clients spell what is so, and what is not.
const TRUTHS: [&str; 6] = ["true", "false", "1", "0", "yes", "no"];

/// What stands in the path.
#[derive(FromRequestParts)]
#[from_request(via(Path), rejection(Failure))]
pub(crate) struct InPath<T>(pub(crate) T);

/// What stands after the question mark.
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(Failure))]
pub(crate) struct InQuery<T>(pub(crate) T);

/// Whether it is so, in any of [`TRUTHS`]; small letters or capitals.
pub(crate) fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    let spelt = TRUTHS.iter().position(|spelling| text.eq_ignore_ascii_case(spelling));
    spelt.map(|position| position % 2 == 0).ok_or_else(|| D::Error::custom("it must be true or false"))
}

/// Its schema. What it is for stands in there: utoipa drops a field's comment where it is told the schema.
pub(crate) fn truth_schema(about: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(TRUTHS)).description(Some(about)).build()
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Kind::PathUnreadable, format!("The path cannot be read: {}", rejection.body_text()))
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        // Which field and why, without the words of the library around it.
        let text = rejection.body_text();
        let why = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        Self::new(Kind::PathUnreadable, format!("The query cannot be read: {why}"))
    }
}
