//! Request ids, and one line and one measure per request. No header and no body is logged: they hold secrets.

use crate::metrics;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use std::time::Instant;
use tower_http::request_id::{MakeRequestId, RequestId};
use tracing::Instrument;

/// 64 random bits for a request that brings no id of its own.
#[derive(Clone, Copy)]
pub(crate) struct MintRequestId;

impl MakeRequestId for MintRequestId {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let id = format!("{:016x}", rand::random::<u64>());
        HeaderValue::try_from(id).ok().map(RequestId::new)
    }
}

/// Whatever is logged on behalf of the request carries its id.
pub(crate) async fn each_request(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    let id: String = id.unwrap_or_default().chars().take(64).collect();
    let span = tracing::info_span!("request", id);
    async move {
        let begun = Instant::now();
        let response = next.run(request).await;
        let took = begun.elapsed();
        metrics::answered(&method, response.extensions().get(), response.status(), took);
        let (status, milliseconds) = (response.status().as_u16(), (took.as_secs_f64() * 1e6).round() / 1e3);
        tracing::info!(%method, path, status, milliseconds, "answered");
        response
    }
    .instrument(span)
    .await
}
