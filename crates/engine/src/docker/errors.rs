//! bollard's errors in our words. Docker tells what went wrong by its HTTP status, and a dead socket by the system's.

use crate::EngineError;
use bollard::errors::Error as BollardError;
use std::error::Error;
use std::io::{self, ErrorKind};

pub(super) fn translate(doing: &str, at: &str, error: BollardError) -> EngineError {
    match error {
        BollardError::DockerResponseServerError { status_code: 404, message } => {
            EngineError::NotFound { what: missing(&message) }
        }
        BollardError::DockerResponseServerError { status_code, message } => {
            EngineError::Refused { doing: doing.to_owned(), status: status_code, message }
        }
        BollardError::RequestTimeoutError => EngineError::TimedOut { doing: doing.to_owned(), seconds: 0 },
        other => match io_kind(&other) {
            Some(ErrorKind::PermissionDenied) => EngineError::PermissionDenied { at: at.to_owned() },
            Some(_) => EngineError::Unreachable { at: at.to_owned(), source: Box::new(other) },
            None if is_transport(&other) => {
                EngineError::Unreachable { at: at.to_owned(), source: Box::new(other) }
            }
            None => EngineError::Refused { doing: doing.to_owned(), status: 0, message: other.to_string() },
        },
    }
}

/// Docker says `No such container: abc`.
fn missing(message: &str) -> String {
    let lower = message.to_ascii_lowercase();
    lower
        .find("no such ")
        .map_or_else(|| message.to_owned(), |at| message[at + "no such ".len()..].to_owned())
}

fn io_kind(error: &BollardError) -> Option<ErrorKind> {
    if let BollardError::IOError { err } = error {
        return Some(err.kind());
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

fn is_transport(error: &BollardError) -> bool {
    match error {
        // It answered, with a status that does not hand the connection over.
        BollardError::HyperResponseError { err } => !err.is_user(),
        BollardError::SocketNotFoundError(_)
        | BollardError::HyperLegacyError { .. }
        | BollardError::IOError { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status_code: u16, message: &str) -> EngineError {
        let error = BollardError::DockerResponseServerError { status_code, message: message.into() };
        translate("start it", "unix:///s", error)
    }

    #[test]
    fn statuses_become_kinds() {
        assert_eq!(said(404, "No such container: abc").to_string(), "the engine has no container: abc");
        assert!(said(404, "network x not found").is_not_found());
        assert_eq!(said(409, "in use").to_string(), "the engine cannot start it: in use");
        assert!(said(500, "no space left on device").is_disk_full());
        assert!(said(500, "busy").is_retryable() && !said(409, "no").is_retryable());
    }

    #[test]
    fn a_socket_that_refuses_is_not_one_that_forbids() {
        let io = |kind| BollardError::IOError { err: io::Error::from(kind) };
        let error = |kind| translate("x", "unix:///s", io(kind));
        assert!(matches!(error(ErrorKind::PermissionDenied), EngineError::PermissionDenied { .. }));
        assert!(matches!(error(ErrorKind::ConnectionRefused), EngineError::Unreachable { .. }));
        assert!(error(ErrorKind::NotFound).is_unreachable());
    }
}
