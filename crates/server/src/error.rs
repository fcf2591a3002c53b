//! The one place where an error gets its status and its public text. What the log says and what the client sees are two
//! texts: the client sees the cause chain in the development environment alone.

use crate::App;
use api::{Kind, Problem};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use control::{CommandError, CreateError, FindError, LedgerError, StoreError, chain};
use std::any::Any;
use std::error::Error;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a daemon that ends may take to come back, where somebody starts it again.
const ENDING: Duration = Duration::from_secs(10);
/// How long to wait for an engine that is away before asking again.
const ENGINE_AWAY: Duration = Duration::from_secs(2);

/// A problem on its way to the client.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: Problem,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { problem: Problem::new(kind, message), retry_after: None }
    }

    fn later(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> u16 {
        self.problem.status
    }

    /// A failure below us: logged with its chain, and shown as the environment says.
    fn below(app: &App, kind: Kind, error: &dyn Error) -> Self {
        tracing::error!(kind = kind.slug(), error = %chain(error), "a request failed");
        let text = if app.show_causes.load(Ordering::Relaxed) { chain(error) } else { error.to_string() };
        Self::new(kind, capitalised(&text))
    }

    pub(crate) fn find(error: &FindError) -> Self {
        let kind = match error {
            FindError::NotFound(_) => Kind::NoSuchContainer,
            FindError::Ambiguous { .. } => Kind::Ambiguous,
        };
        Self::new(kind, error.to_string())
    }

    pub(crate) fn engine(app: &App, error: &control::EngineError) -> Self {
        if error.is_unreachable() {
            return Self::below(app, Kind::EngineAway, error).later(ENGINE_AWAY);
        }
        Self::below(app, if error.is_disk_full() { Kind::DiskFull } else { Kind::Engine }, error)
    }

    pub(crate) fn create(app: &App, error: &CreateError) -> Self {
        let kind = match error {
            CreateError::Blank => Kind::ImageBlank,
            CreateError::InvalidReference(_) => Kind::InvalidImage,
            CreateError::ImageNotFound(_) => Kind::NoSuchImage,
            CreateError::NoPorts => Kind::NoPorts,
            CreateError::TooManyPorts { .. } => Kind::TooManyPorts,
            CreateError::TooMany(error) => {
                return Self::new(Kind::TooManyCreates, error.to_string()).later(error.retry_after());
            }
            CreateError::NoRoom(error) => return Self::below(app, Kind::NoRoom, error),
            CreateError::Ledger(error) => return Self::ledger(app, error),
            CreateError::Store(error) => return Self::store(app, error),
            CreateError::Engine(error) => return Self::engine(app, error),
            CreateError::Failed(error) => return Self::command(app, "", error),
        };
        Self::new(kind, error.to_string())
    }

    fn ledger(app: &App, error: &LedgerError) -> Self {
        match error.retry_after() {
            Some(after) => Self::below(app, Kind::UsedUp, error).later(after),
            None => Self::below(app, Kind::Internal, error),
        }
    }

    pub(crate) fn command(app: &App, id: &str, error: &CommandError) -> Self {
        match error {
            CommandError::Gone(None) if !id.is_empty() => Self::find(&FindError::NotFound(id.to_owned())),
            CommandError::Gone(_) => Self::new(Kind::Gone, capitalised(&error.to_string())),
            CommandError::Ending => Self::new(Kind::Ending, capitalised(&error.to_string())).later(ENDING),
            CommandError::NoRoom(error) => Self::below(app, Kind::NoRoom, error),
            CommandError::Overtaken => Self::new(Kind::Overtaken, capitalised(&error.to_string())),
            CommandError::NotRunning => Self::new(Kind::NotRunning, capitalised(&error.to_string())),
            CommandError::NotSo(..) => Self::new(Kind::NotSo, capitalised(&error.to_string())),
            CommandError::Busy => {
                Self::new(Kind::Busy, capitalised(&error.to_string())).later(Duration::from_secs(1))
            }
            CommandError::Store(error) => Self::store(app, error),
            CommandError::EngineAway => Self::below(app, Kind::EngineAway, error).later(ENGINE_AWAY),
            CommandError::EngineFull => Self::below(app, Kind::DiskFull, error),
            CommandError::NotStarted(_) => Self::below(app, Kind::NotStarted, error),
        }
    }

    pub(crate) fn store(app: &App, error: &StoreError) -> Self {
        Self::below(app, if error.is_full() { Kind::DiskFull } else { Kind::Internal }, error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).expect("every kind has a status of HTTP");
        let mut response = (status, Json(self.problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }
}

pub(crate) async fn no_such_route(uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(200).collect();
    Failure::new(
        Kind::NoSuchRoute,
        format!("There is nothing at {path}; the API begins at /v1, and /docs shows it"),
    )
}

/// The methods that are known stand in `Allow`, which axum sets.
pub(crate) async fn method_not_allowed(method: axum::http::Method, uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(200).collect();
    Failure::new(Kind::MethodNotAllowed, format!("{path} does not know {method}"))
}

/// A panic is a bug of ours; the connection and the daemon outlive it.
pub(crate) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text =
        cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("?"), "a request met a bug");
    Failure::new(Kind::Internal, "This is a bug in spin-docker; its log says more").into_response()
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
