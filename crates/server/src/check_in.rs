//! `/v1/check-in`: a container's own report. Who sent it is told by the address it came from, and by nothing in it.

use crate::App;
use crate::body::Fields;
use crate::error::Failure;
use api::{CheckIn, Kind};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) async fn take(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Fields(check_in): Fields<CheckIn>,
) -> Result<StatusCode, Failure> {
    let count = check_in.count().map_err(|error| Failure::new(Kind::InvalidField, error.to_string()))?;
    app.control.check_in(peer.ip(), &count);
    Ok(StatusCode::OK)
}
