//! The idle policy on the wire: shown by the names of its terms, and said by them. Whatever is shown may be said.

use crate::schema::policy as schema;
use model::policy::Mistake;
use model::{Amendment, IdlePolicy, Term};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// The idle policy that a container lives under, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyBody(Vec<(Term, Value)>);

/// What a request says of it. On a mistake nothing is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct PolicyRequest(BTreeMap<String, Value>);

/// Why a request says nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidPolicy {
    /// No term has this name.
    Unknown(String),
    /// The term does not take the value.
    NotTaken(Mistake),
}

impl From<&IdlePolicy> for PolicyBody {
    fn from(policy: &IdlePolicy) -> Self {
        Self(Term::ALL.iter().map(|term| (*term, shown(*term, policy.get(*term)))).collect())
    }
}

/// Numbers and booleans as such, lists as lists, everything else as text.
fn shown(term: Term, text: String) -> Value {
    if term.is_list() {
        return text.split(',').filter(|entry| !entry.is_empty()).collect();
    }
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

impl Serialize for PolicyBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(term, value)| (term.name(), value)))
    }
}

impl PolicyRequest {
    /// What is to be said from now on: `null` takes a term back.
    pub fn amendment(&self) -> Result<Amendment, InvalidPolicy> {
        let mut amendment = Amendment::default();
        for (name, value) in &self.0 {
            let term = name.parse().map_err(|()| InvalidPolicy::Unknown(name.clone()))?;
            match value {
                Value::Null => amendment.take_back(term),
                value => {
                    let text = read(term, value).ok_or_else(|| Mistake { term, text: value.to_string() })?;
                    amendment.say(term, &text)?;
                }
            }
        }
        Ok(amendment)
    }
}

/// As the term reads it; none of what it cannot be.
fn read(term: Term, value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Array(entries) if term.is_list() => {
            let is_one = |text: &&str| !text.trim().is_empty() && !text.contains(',');
            let texts = entries.iter().map(|entry| entry.as_str().filter(is_one));
            Some(texts.collect::<Option<Vec<_>>>()?.join(",").into())
        }
        Value::Number(number) if !term.is_list() && !term.is_switch() => {
            // To JSON, 60.0 is a whole number.
            let whole = number
                .as_f64()
                .filter(|number| number.fract() == 0.0 && number.abs() < 1e15)
                .map(|whole| whole as i64);
            Some(whole.map_or_else(|| number.to_string(), |whole| whole.to_string()).into())
        }
        Value::Bool(truth) if !term.is_list() => Some(truth.to_string().into()),
        _ => None,
    }
}

impl From<Mistake> for InvalidPolicy {
    fn from(mistake: Mistake) -> Self {
        Self::NotTaken(mistake)
    }
}

impl std::fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(name) => {
                let (start, nearest) =
                    (name.chars().take(40).collect::<String>(), Term::nearest(name).name());
                write!(f, "policy: {start:?} is no term of the idle policy; the nearest is {nearest}")
            }
            Self::NotTaken(mistake) => write!(f, "policy: {mistake}"),
        }
    }
}

impl ToSchema for PolicyBody {
    fn name() -> Cow<'static, str> {
        "Policy".into()
    }
}

impl PartialSchema for PolicyBody {
    fn schema() -> RefOr<Schema> {
        schema::shown()
    }
}

impl ToSchema for PolicyRequest {
    fn name() -> Cow<'static, str> {
        "PolicyRequest".into()
    }
}

impl PartialSchema for PolicyRequest {
    fn schema() -> RefOr<Schema> {
        schema::asked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn amendment(body: Value) -> Result<Amendment, String> {
        let request: PolicyRequest = serde_json::from_value(body).unwrap();
        request.amendment().map_err(|mistake| mistake.to_string())
    }

    fn said(body: Value) -> Vec<(&'static str, String)> {
        let said = amendment(body).unwrap().alone();
        said.iter().map(|(term, text)| (term.name(), text.to_owned())).collect()
    }

    #[test]
    fn what_is_shown_may_be_said() {
        let body = serde_json::to_value(PolicyBody::from(&IdlePolicy::DEFAULT)).unwrap();
        assert_eq!(body.as_object().unwrap().len(), Term::ALL.len());
        assert_eq!(IdlePolicy::DEFAULT.with([&amendment(body.clone()).unwrap().alone()]), {
            let after = model::policy::FreezeAfter::After(model::policy::FreezeAfter::UNSAID);
            IdlePolicy { freeze_after: after, ..IdlePolicy::DEFAULT }
        });
        assert_eq!(body["timeout_interval"], 1800);
        assert_eq!(body["busy_cpu"], 0.02);
        assert_eq!(body["disable_timeouts"], false);
        assert_eq!(body["expires_after"], "off");
        assert_eq!(body["wake_from"], json!([]));
    }

    #[test]
    fn values_may_be_texts_numbers_truths_and_lists() {
        let body = json!({
            "freeze_after": "60s", "timeout_interval": 5, "owed_for": 60.0, "busy_cpu": 0.5, "reclaim": true,
            "wake_from": ["10.0.0.0/8", "::1"], "ignore_paths": "/a,/b", "ignore_from": [], "wake": null,
        });
        assert_eq!(
            said(body),
            [
                ("timeout_interval", "5".to_owned()),
                ("freeze_after", "60s".to_owned()),
                ("busy_cpu", "0.5".to_owned()),
                ("owed_for", "60".to_owned()),
                ("wake_from", "10.0.0.0/8,::1".to_owned()),
                ("ignore_from", String::new()),
                ("ignore_paths", "/a,/b".to_owned()),
                ("reclaim", "true".to_owned()),
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_told_in_a_sentence() {
        let table = [
            (
                json!({"freeze_afer": 1}),
                r#"policy: "freeze_afer" is no term of the idle policy; the nearest is freeze_after"#,
            ),
            (json!({"wake": "never"}), r#"policy: wake is "never"; it takes connect, first-byte or api"#),
            (json!({"reclaim": 2}), r#"policy: reclaim is "2"; it takes true or false"#),
            (json!({"reclaim": 0}), r#"policy: reclaim is "0"; it takes true or false"#),
            (json!({"owed_for": {"s": 1}}), r#"policy: owed_for is "{\"s\":1}"; it takes seconds, or"#),
            (json!({"owed_for": [1]}), r#"policy: owed_for is "[1]"; it takes"#),
            (json!({"owed_for": 1.5}), r#"policy: owed_for is "1.5"; it takes"#),
            (json!({"owed_for": -1}), r#"policy: owed_for is "-1"; it takes"#),
            (json!({"owed_for": 1e300}), "policy: owed_for is \"1e+300\"; it takes"),
            (json!({"ignore_paths": [1]}), r#"policy: ignore_paths is "[1]"; it takes"#),
            (json!({"ignore_paths": ["/a,b"]}), r#"policy: ignore_paths is "[\"/a,b\"]"; it takes"#),
            (json!({"wake_from": [" "]}), r#"policy: wake_from is "[\" \"]"; it takes"#),
            (json!({"ignore_paths": true}), r#"policy: ignore_paths is "true"; it takes"#),
        ];
        for (body, words) in table {
            let mistake = amendment(body.clone()).unwrap_err();
            assert!(mistake.starts_with(words), "{body}: {mistake}");
        }
        assert!(
            amendment(json!({"owed_for": "2w", "freeze_after": "3650d"})).is_ok(),
            "as the page on the policy says"
        );
        assert!(amendment(json!({"owed_for": "1y"})).is_err());
        let long = amendment(json!({"a".repeat(10_000): 1})).unwrap_err();
        assert!(long.len() < 200, "{long}");
    }
}
