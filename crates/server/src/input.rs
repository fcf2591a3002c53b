//! Paths and queries that cannot be read are problems like any other.

use crate::error::Failure;
use api::Kind;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};

/// What stands in the path.
#[derive(FromRequestParts)]
#[from_request(via(Path), rejection(Failure))]
pub(crate) struct InPath<T>(pub(crate) T);

/// What stands after the question mark.
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(Failure))]
pub(crate) struct InQuery<T>(pub(crate) T);

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Kind::PathUnreadable, format!("The path cannot be read: {}", rejection.body_text()))
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Kind::PathUnreadable, format!("The query cannot be read: {}", rejection.body_text()))
    }
}
