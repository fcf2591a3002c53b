//! `/v1/images`.

use crate::error::Failure;
use crate::{App, problems};
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

/// List the tags of the engine's images
#[utoipa::path(get, path = "/v1/images", operation_id = "list_images", tag = "images", responses(
    (status = 200, description = "What a container may be made of", body = Vec<String>, example = json!([
        "atbaker/sd-mongo:latest", "atbaker/sd-postgres:latest", "atbaker/sd-django:latest", "phusion/baseimage:0.9.8",
    ])),
    problems::ListImages,
))]
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<String>>, Failure> {
    app.control.images().await.map(Json).map_err(|error| Failure::engine(&app, &error))
}
