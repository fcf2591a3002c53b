//! Bodies, as a form or as JSON: the seed's clients send forms, today's send JSON.

use crate::error::Failure;
use api::{Kind, POLICY_IN_A_FORM, unknown_field, unknown_in_a_form};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::Value;
use std::time::Duration;

/// The most that a body may hold.
pub(crate) const MAX_BODY: usize = 1024 * 1024;
const READ_WITHIN: Duration = Duration::from_secs(10);

/// The fields of a body, whichever way they were written. No body is a body without fields.
pub(crate) struct Fields<T>(pub(crate) T);

/// Bodies of this connection may hold no more than this; [`MAX_BODY`] where nothing is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimit(pub(crate) usize);

impl<S: Sync, T: DeserializeOwned + api::Body> FromRequest<S> for Fields<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let limit = request.extensions().get::<BodyLimit>().map_or(MAX_BODY, |limit| limit.0);
        let (head, body) = request.into_parts();
        let bytes = read(body, limit).await?;
        match kind(&head.headers, &bytes)? {
            Written::Json => from_json(&bytes),
            Written::Form => from_form(&bytes),
        }
        .map(Self)
    }
}

/// One that says that it is too long is not begun: hyper asks a client that waits for `100 Continue` to send at the first read.
async fn read(body: Body, limit: usize) -> Result<Bytes, Failure> {
    let too_large = || Failure::new(Kind::BodyTooLarge, format!("A body may hold at most {limit} bytes"));
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(READ_WITHIN, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Failure::new(Kind::BodyUnreadable, format!("The body broke off: {error}"))),
        Err(_) => {
            let message = format!("The body did not come within {} s", READ_WITHIN.as_secs());
            Err(Failure::new(Kind::TooSlow, message))
        }
    }
}

enum Written {
    Form,
    Json,
}

/// `curl -d '{…}'` says that it sends a form. No field of ours begins with a brace: it is JSON.
fn kind(headers: &HeaderMap, bytes: &[u8]) -> Result<Written, Failure> {
    let said = headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    let said = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match said.as_str() {
        "application/json" => Ok(Written::Json),
        "" | "application/x-www-form-urlencoded" if bytes.trim_ascii_start().starts_with(b"{") => {
            Ok(Written::Json)
        }
        "" | "application/x-www-form-urlencoded" => Ok(Written::Form),
        said if said.ends_with("+json") => Ok(Written::Json),
        said => {
            let shown: String = said.chars().take(60).collect();
            let message = format!(
                "Content-Type must be application/json or application/x-www-form-urlencoded, not {shown:?}"
            );
            Err(Failure::new(Kind::MediaType, message))
        }
    }
}

fn from_json<T: DeserializeOwned + api::Body>(bytes: &[u8]) -> Result<T, Failure> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Failure::new(Kind::BodyUnreadable, format!("The body is not JSON: {error}")))?;
    let Some(fields) = value.as_object() else {
        return Err(Failure::new(Kind::InvalidField, "The body must be a JSON object"));
    };
    known(fields.keys().find_map(|name| unknown_field::<T>(name)))?;
    typed(value)
}

fn from_form<T: DeserializeOwned + api::Body>(bytes: &[u8]) -> Result<T, Failure> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(bytes)
        .map_err(|error| Failure::new(Kind::BodyUnreadable, format!("The body is not a form: {error}")))?;
    let (policy, pairs): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(name, _)| name.starts_with(POLICY_IN_A_FORM));
    known(pairs.iter().find_map(|(name, _)| unknown_in_a_form::<T>(name)))?;
    // As pairs, so that a field of ours that is there twice is told.
    let pairs = pairs.into_iter().map(|(name, value)| (name, Value::String(value)));
    typed(MapDeserializer::<_, serde_json::Error>::new(pairs.chain(nested(policy)?)))
}

fn known(mistake: Option<String>) -> Result<(), Failure> {
    mistake.map_or(Ok(()), |words| Err(Failure::new(Kind::InvalidField, words)))
}

/// As JSON has them: the terms of the policy in an object of their own, an empty one as `null`.
fn nested(policy: Vec<(String, String)>) -> Result<Option<(String, Value)>, Failure> {
    let mut terms = serde_json::Map::new();
    for (name, value) in policy {
        let term = name.trim_start_matches(POLICY_IN_A_FORM).to_owned();
        let value = if value.is_empty() { Value::Null } else { Value::String(value) };
        if terms.insert(term, value).is_some() {
            let shown: String = name.chars().take(60).collect();
            return Err(Failure::new(Kind::InvalidField, format!("{shown}: it is there twice")));
        }
    }
    let name = POLICY_IN_A_FORM.trim_end_matches('.').to_owned();
    Ok((!terms.is_empty()).then_some((name, Value::Object(terms))))
}

fn typed<'de, T: DeserializeOwned, D: Deserializer<'de>>(fields: D) -> Result<T, Failure> {
    serde_path_to_error::deserialize(fields).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { path + ": " };
        Failure::new(Kind::InvalidField, format!("{place}{}", error.inner()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::CreateContainer;

    async fn image(content_type: Option<&str>, body: &'static str) -> Result<Option<String>, u16> {
        let mut request = Request::new(Body::from(body));
        if let Some(said) = content_type {
            request.headers_mut().insert(header::CONTENT_TYPE, said.parse().unwrap());
        }
        let fields = Fields::<CreateContainer>::from_request(request, &()).await;
        fields.map(|Fields(asked)| asked.image).map_err(|failure| failure.status())
    }

    #[tokio::test]
    async fn forms_and_json_say_the_same() {
        const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
        const JSON: Option<&str> = Some("application/json; charset=utf-8");
        let a = Ok(Some("a/b:c".to_owned()));
        assert_eq!(image(FORM, "image=a%2Fb%3Ac").await, a);
        assert_eq!(image(None, "image=a/b:c").await, a);
        assert_eq!(image(JSON, r#"{"image": "a/b:c"}"#).await, a);
        assert_eq!(image(FORM, r#" {"image": "a/b:c"}"#).await, a);
        assert_eq!(image(FORM, "image=a&image=b").await, Err(422));
        assert_eq!(image(FORM, "other=a&image=b").await, Err(422));
        assert_eq!(image(JSON, r#"{"other": null, "image": "b"}"#).await, Err(422));
        assert_eq!(image(FORM, "image=a&env=b").await, Err(422));
        assert_eq!(image(JSON, r#"{"env": null}"#).await, Err(422));
        assert_eq!(image(JSON, "").await, Ok(None));
        assert_eq!(image(FORM, "").await, Ok(None));
        assert_eq!(image(JSON, r#"{"image": "#).await, Err(400));
        assert_eq!(image(JSON, r#"["image"]"#).await, Err(422));
        assert_eq!(image(JSON, r#"{"image": 5}"#).await, Err(422));
        assert_eq!(image(Some("text/plain"), "image=a").await, Err(415));
        let long: &'static str = String::from_utf8(vec![b'a'; MAX_BODY + 1]).unwrap().leak();
        assert_eq!(image(FORM, long).await, Err(413));
    }
}
