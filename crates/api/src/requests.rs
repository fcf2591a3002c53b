//! What clients send. Every field is optional here: which one must be there, and what it may be, is said with a message. The
//! schemas say it too.

use crate::{PolicyRequest, schema};
use model::Term;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder, ObjectBuilder, Ref, Schema};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

/// What `POST /v1/containers` takes as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateContainer {
    /// Any name that the engine knows.
    #[schema(schema_with = schema::image, required)]
    pub image: Option<String>,
    /// Environment beside the image's own. JSON bodies only; given to the engine and kept nowhere else.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = schema::env)]
    pub env: Option<BTreeMap<String, String>>,
    /// What its owner says of its idle policy.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = PolicyRequest)]
    pub policy: Option<PolicyRequest>,
}

/// In a form, a term of the policy is a field of this and the term's name.
pub const POLICY_IN_A_FORM: &str = "policy.";

/// What it takes as a form, as in 2014: an environment takes JSON.
pub struct CreateForm;

impl ToSchema for CreateForm {}

impl PartialSchema for CreateForm {
    fn schema() -> RefOr<Schema> {
        let form = closed().property("image", schema::image()).required("image");
        with_policy(form).description(Some("An environment takes JSON")).into()
    }
}

/// Of no other fields than those that follow.
fn closed() -> ObjectBuilder {
    ObjectBuilder::new().additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

/// Each term of the policy a field of its own.
fn with_policy(form: ObjectBuilder) -> ObjectBuilder {
    let field = |form: ObjectBuilder, term: &Term| {
        form.property(in_a_form(*term), schema::policy::asked_in_a_form(*term))
    };
    Term::ALL.iter().fold(form, field)
}

fn in_a_form(term: Term) -> String {
    format!("{POLICY_IN_A_FORM}{}", term.name())
}

/// What `PATCH /v1/containers/ID` takes: any of these, at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ChangeContainer {
    /// `running` or `stopped`.
    #[serde(default, deserialize_with = "present")]
    pub status: Option<String>,
    /// `frozen` or `awake`, of a running one.
    #[serde(default, deserialize_with = "present")]
    pub depth: Option<String>,
    /// What its owner says of its idle policy from now on.
    #[serde(default, deserialize_with = "present")]
    pub policy: Option<PolicyRequest>,
}

impl ToSchema for ChangeContainer {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PolicyRequest::name().into_owned(), PolicyRequest::schema()));
    }
}

impl PartialSchema for ChangeContainer {
    fn schema() -> RefOr<Schema> {
        let policy = Ref::builder()
            .ref_location_from_schema_name(PolicyRequest::name())
            .description(Some("What its owner says of its idle policy from now on"))
            .build();
        any_of(wishes().property("policy", policy), ["status", "depth", "policy"].map(str::to_owned))
    }
}

/// What it takes as a form.
pub struct ChangeForm;

impl ToSchema for ChangeForm {}

impl PartialSchema for ChangeForm {
    fn schema() -> RefOr<Schema> {
        let (wanted, terms) = (["status", "depth"].map(str::to_owned), Term::ALL.iter());
        let terms = terms.map(|term| in_a_form(*term));
        any_of(with_policy(wishes()), wanted.into_iter().chain(terms))
    }
}

fn wishes() -> ObjectBuilder {
    closed().property("status", schema::wish()).property("depth", schema::depth_wish())
}

/// At least one of these fields.
fn any_of(body: ObjectBuilder, fields: impl IntoIterator<Item = String>) -> RefOr<Schema> {
    let required: Value = fields.into_iter().map(|field| json!({"required": [field]})).collect();
    body.extensions(Some([("anyOf", required)].into_iter().collect())).into()
}

/// What `POST /v1/check-in` takes: a count under one name or the other. Where both are there, `active-connections` counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CheckIn {
    /// The name in the documentation of 2014.
    #[serde(default, rename = "active-connections", deserialize_with = "present")]
    active_connections: Option<Scalar>,
    /// The name in its code.
    #[serde(default, deserialize_with = "present")]
    active: Option<Scalar>,
}

/// A field that is there has a value: `null` is none.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl ToSchema for CheckIn {}

impl PartialSchema for CheckIn {
    fn schema() -> RefOr<Schema> {
        let named = |name: &str| {
            let both = ObjectBuilder::new().property("active-connections", Scalar::schema());
            both.property("active", Scalar::schema()).required(name)
        };
        AnyOfBuilder::new().item(named("active-connections")).item(named("active")).into()
    }
}

impl PartialSchema for Scalar {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(u64::MAX));
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]{1,19}$"));
        AnyOfBuilder::new().item(number).item(text).into()
    }
}

/// A number or a text: forms know no numbers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A JSON number.
    Number(serde_json::Number),
    /// A JSON string, or a form's value.
    Text(String),
    /// Anything else that JSON knows: no count.
    Other(serde_json::Value),
}

/// Why a check-in says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidCheckIn {
    /// Neither field is there.
    Missing,
    /// It is no count.
    NotACount(String),
}

impl CheckIn {
    /// The count that was reported, in decimal digits. "0" says that nobody is there.
    pub fn count(&self) -> Result<String, InvalidCheckIn> {
        let counts = [&self.active_connections, &self.active].into_iter().flatten().map(Scalar::count);
        let counts: Vec<u64> = counts.collect::<Result<_, _>>()?;
        counts.first().map(u64::to_string).ok_or(InvalidCheckIn::Missing)
    }
}

impl Scalar {
    fn count(&self) -> Result<u64, InvalidCheckIn> {
        let text = match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
            Self::Other(serde_json::Value::Null) => return Err(InvalidCheckIn::Missing),
            Self::Other(value) => value.to_string(),
        };
        // To JSON, 1.0 is a whole number.
        let whole = text.strip_suffix(".0").filter(|_| matches!(self, Self::Number(_))).unwrap_or(&text);
        whole.parse().map_err(|_| InvalidCheckIn::NotACount(text))
    }
}

impl std::fmt::Display for InvalidCheckIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("A check-in takes one field: active-connections"),
            Self::NotACount(text) => {
                let shown: String = text.chars().take(40).collect();
                write!(f, "active-connections must be a whole number from 0 to {}, not {shown:?}", u64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(json: &str) -> Result<String, InvalidCheckIn> {
        serde_json::from_str::<CheckIn>(json).unwrap().count()
    }

    #[test]
    fn a_check_in_is_a_count_under_either_name() {
        assert_eq!(count(r#"{"active-connections": "1"}"#), Ok("1".into()));
        assert_eq!(count(r#"{"active-connections": 3}"#), Ok("3".into()));
        assert_eq!(count(r#"{"active-connections": 3.0}"#), Ok("3".into()));
        assert_eq!(count(r#"{"active-connections": 3, "active": "4"}"#), Ok("3".into()));
        assert_eq!(count(r#"{"active": "00"}"#), Ok("0".into()));
        assert_eq!(count(r#"{"active": "18446744073709551615"}"#), Ok(u64::MAX.to_string()));
    }

    #[test]
    fn anything_else_says_what_it_should_be() {
        assert_eq!(count(r#"{"connections": "1"}"#), Err(InvalidCheckIn::Missing));
        let both = count(r#"{"active-connections": 3, "active": "many"}"#);
        assert_eq!(both, Err(InvalidCheckIn::NotACount("many".into())));
        assert_eq!(count(r#"{"active": null}"#), Err(InvalidCheckIn::Missing));
        assert_eq!(count(r#"{"active-connections": 1, "active": null}"#), Err(InvalidCheckIn::Missing));
        for text in ["", "-1", "1.5", "many", "18446744073709551616"] {
            let error = count(&format!(r#"{{"active": "{text}"}}"#)).unwrap_err();
            assert!(error.to_string().ends_with(&format!("not {text:?}")), "{error}");
        }
    }
}
