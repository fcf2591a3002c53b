//! `/v1/check-in`: a container's own report. Who sent it is told by the address it came from, or by the token that it was given.

use crate::body::Fields;
use crate::error::Failure;
use crate::input::InQuery;
use crate::{App, problems};
use api::{CheckIn, Kind};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;
use utoipa::IntoParams;

/// Who sends it, where its address does not tell.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Sender {
    /// What the container was given.
    token: Option<String>,
}

/// Report activity, from inside a container
///
/// Who reports is told by the address that the request comes from: a container sends it to its default gateway, at port 80. Where the
/// engine stands between (see `publish`), it sends it to the URL in its variable `SPIN_DOCKER_CHECK_IN_URL`, whose token says who it is.
/// From anybody else it changes nothing. `0` says that nobody is there.
#[utoipa::path(post, path = "/v1/check-in", operation_id = "check_in", tag = "check-in",
    params(Sender),
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
    InQuery(Sender { token }): InQuery<Sender>,
    Fields(check_in): Fields<CheckIn>,
) -> Result<StatusCode, Failure> {
    let count = check_in.count().map_err(|error| Failure::new(Kind::InvalidField, error.to_string()))?;
    match token {
        Some(token) => app.control.check_in_by(&token, &count),
        None => app.control.check_in(peer.ip(), &count),
    }
    Ok(StatusCode::OK)
}
