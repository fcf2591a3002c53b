//! What clients send. Every field is optional here: which one must be there, and what it may be, is said with a message.

use serde::Deserialize;
use std::collections::BTreeMap;

/// `POST /v1/containers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CreateContainer {
    /// Any name that the engine knows.
    pub image: Option<String>,
    /// Environment beside the image's own. JSON bodies only; given to the engine and kept nowhere else.
    pub env: Option<BTreeMap<String, String>>,
}

/// `PATCH /v1/containers/ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ChangeContainer {
    /// `running` or `stopped`.
    pub status: Option<String>,
}

/// `POST /v1/check-in`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CheckIn {
    /// The name in the documentation of 2014.
    #[serde(rename = "active-connections")]
    active_connections: Option<Scalar>,
    /// The name in its code.
    active: Option<Scalar>,
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
        let text = match self.active_connections.as_ref().or(self.active.as_ref()) {
            None => return Err(InvalidCheckIn::Missing),
            Some(Scalar::Number(number)) => number.to_string(),
            Some(Scalar::Text(text)) => text.trim().to_owned(),
            Some(Scalar::Other(value)) => value.to_string(),
        };
        let count: u64 = text.parse().map_err(|_| InvalidCheckIn::NotACount(text))?;
        Ok(count.to_string())
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
        assert_eq!(count(r#"{"active": "00"}"#), Ok("0".into()));
        assert_eq!(count(r#"{"active": "18446744073709551615"}"#), Ok(u64::MAX.to_string()));
    }

    #[test]
    fn anything_else_says_what_it_should_be() {
        assert_eq!(count(r#"{"connections": "1"}"#), Err(InvalidCheckIn::Missing));
        for text in ["", "-1", "1.5", "many", "18446744073709551616"] {
            let error = count(&format!(r#"{{"active": "{text}"}}"#)).unwrap_err();
            assert!(error.to_string().ends_with(&format!("not {text:?}")), "{error}");
        }
    }
}
