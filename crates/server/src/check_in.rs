//! `/v1/check-in`: a container's own report. Who sent it is told by the address it came from, and by nothing in it.

use crate::body::Fields;
use crate::error::Failure;
use crate::{App, problems};
use api::{CheckIn, Kind};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use std::net::SocketAddr;
use std::sync::Arc;

/// Report activity, from inside a container
///
/// Who reports is told by the address that the request comes from: a container sends it to its default gateway, at port 80.
/// From anybody else it changes nothing. `0` says that nobody is there.
#[utoipa::path(post, path = "/v1/check-in", operation_id = "check_in", tag = "check-in",
    request_body(content(
        (CheckIn = "application/x-www-form-urlencoded", examples(
            ("documented" = (summary = "The name in the documentation of 2014", value = json!({"active-connections": "1"}))),
            ("shipped" = (summary = "The name in its code", value = json!({"active": "0"}))),
        )),
        (CheckIn = "application/json", example = json!({"active-connections": 1})),
    )),
    responses((status = 200, description = "Taken, if it came from a running container"), problems::CheckIn),
)]
pub(crate) async fn take(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Fields(check_in): Fields<CheckIn>,
) -> Result<StatusCode, Failure> {
    let count = check_in.count().map_err(|error| Failure::new(Kind::InvalidField, error.to_string()))?;
    app.control.check_in(peer.ip(), &count);
    Ok(StatusCode::OK)
}
