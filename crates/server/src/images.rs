//! `/v1/images`.

use crate::App;
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<String>>, Failure> {
    app.control.images().await.map(Json).map_err(|error| Failure::engine(&app, &error))
}
