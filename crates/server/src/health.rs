//! Whether the daemon lives, and whether it can serve. Open to all, so without detail.

use crate::App;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::Arc;

pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

pub(crate) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.control.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
