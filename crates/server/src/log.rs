//! Request ids, and one line and one measure per request. No header and no body is logged: they hold secrets. Where the log
//! leaves the line out, nothing is made for it.

use crate::metrics;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::Response;
use std::time::{Duration, Instant};
use tracing::{Instrument, Level};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const HEX: [u8; 16] = *b"0123456789abcdef";
/// How much of an id that a request brought is logged.
const SHOWN: usize = 64;

/// Whatever is logged on behalf of the request carries its id, and so does the answer.
pub(crate) async fn each_request(
    request: Request,
    answer: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let begun = Instant::now();
    let id = request.headers().get(&REQUEST_ID).cloned().unwrap_or_else(mint);
    let span = tracing::info_span!("request", id = shown(&id));
    let method = request.method().clone();
    let path = tracing::enabled!(Level::INFO).then(|| request.uri().path().to_owned());
    let answered = async {
        let mut response = answer(request).await;
        log(&method, path, &response, begun.elapsed());
        response.headers_mut().entry(REQUEST_ID).or_insert(id);
        response
    };
    answered.instrument(span).await
}

fn log(method: &Method, path: Option<String>, response: &Response, took: Duration) {
    metrics::answered(method, response.extensions().get(), response.status(), took);
    if let Some(path) = path {
        let (status, milliseconds) = (response.status().as_u16(), (took.as_secs_f64() * 1e6).round() / 1e3);
        tracing::info!(%method, path, status, milliseconds, "answered");
    }
}

fn shown(id: &HeaderValue) -> &str {
    let text = id.to_str().unwrap_or_default();
    text.get(..SHOWN).unwrap_or(text)
}

/// 64 random bits for a request that brings no id of its own.
fn mint() -> HeaderValue {
    let bits = rand::random::<u64>();
    let digits: [u8; 16] = std::array::from_fn(|place| HEX[(bits >> (4 * place)) as usize % HEX.len()]);
    HeaderValue::from_bytes(&digits).expect("hex digits are header text")
}
