//! What a browser sends from somebody else's page changes nothing here: the form bodies of 2014 need no preflight, and a
//! browser adds the credentials that it remembers.

use crate::error::Failure;
use api::Kind;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};

pub(crate) fn check(request: &Request) -> Result<(), Failure> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && is_foreign(request.headers()) {
        let message = "A page of another origin may change nothing here";
        return Err(Failure::new(Kind::ForeignOrigin, message));
    }
    Ok(())
}

/// By `Sec-Fetch-Site` where the browser sends it, else by an `Origin` that is not the `Host`.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some("same-origin" | "none"), _) => false,
        (Some(_), _) => true,
        (None, None) => false,
        (None, Some(origin)) => {
            let host = text(header::HOST.as_str()).unwrap_or_default();
            origin.split_once("://").is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    #[test]
    fn foreign_is_what_is_not_our_own_page_or_no_page() {
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[("host", "localhost:8080")], false),
            (&[("host", "localhost:8080"), ("origin", "http://localhost:8080")], false),
            (&[("host", "localhost:8080"), ("origin", "http://evil.example")], true),
            (&[("host", "localhost:8080"), ("origin", "http://localhost:8081")], true),
            (&[("host", "localhost:8080"), ("origin", "null")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://behind.a.proxy")], false),
            (&[("sec-fetch-site", "none")], false),
        ];
        for (headers, foreign) in table {
            let map = headers.iter().map(|(name, value)| {
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
            });
            assert_eq!(is_foreign(&map.collect()), *foreign, "{headers:?}");
        }
    }
}
