//! Whether the daemon lives, and whether it can serve. Open to all, so without detail.

use crate::{App, problems};
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

/// Whether the daemon lives
#[utoipa::path(get, path = "/healthz", operation_id = "is_alive", tag = "operation", responses(
    (status = 200, description = "It lives", body = String, example = json!("alive\n")),
    problems::OfHealth,
))]
pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// Whether the daemon can serve: the engine answers
#[utoipa::path(get, path = "/readyz", operation_id = "is_ready", tag = "operation", responses(
    (status = 200, description = "It can", body = String, example = json!("ready\n")),
    (status = 503, description = "It cannot: the engine is away", body = String, example = json!("not ready\n")),
    problems::OfHealth,
))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.control.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
