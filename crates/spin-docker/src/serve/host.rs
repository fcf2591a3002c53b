//! What the daemon asks of the host it runs on.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the descriptor limit as far as may be: two per forwarded connection.
pub(super) fn prepare() {
    let before = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum });
    match raised {
        Ok(()) => tracing::debug!(from = before.current, to = before.maximum, "descriptor limit raised"),
        Err(error) => tracing::warn!(%error, limit = before.current, "cannot raise the descriptor limit"),
    }
}

/// What is degraded for want of rights, beside an engine whose containers are within reach.
pub(super) fn without_root() -> Option<String> {
    let said =
        "not running as root: containers' port 80 is not redirected, and the way of check-ins is not tried";
    (!rustix::process::geteuid().is_root()).then(|| said.to_owned())
}
