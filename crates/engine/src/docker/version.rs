//! The version of its API that we speak to the engine: the newest that both know, said in every request.
//!
//! bollard agrees on a version and keeps it to itself: its requests carry none, and an engine answers such a request as its
//! own newest version says, which may be newer than anything that bollard can read.

use super::{Docker, QUICK, hosts, podman};
use crate::{EngineError, Result};
use bollard::{BollardRequest, ClientVersion};

/// The oldest API that we speak: Debian 12's Docker 20.10.
const OLDEST: (usize, usize) = (1, 41);

impl Docker {
    /// A client that says in every request what version it speaks.
    pub(super) async fn agree(self) -> Result<Self> {
        let said = self.call("say its version", QUICK, self.client.version()).await?;
        let newest = said.api_version.as_deref().and_then(version).ok_or_else(|| {
            refused(
                "it names no version of its API; is it Docker, or an engine that speaks as Docker does?"
                    .to_owned(),
            )
        })?;
        let oldest = said.min_api_version.as_deref().and_then(version).unwrap_or_default();
        let agreed = choose(oldest, newest)?;
        let (major_version, minor_version) = agreed;
        let client = hosts::open(&self.at, &ClientVersion { major_version, minor_version })?;
        let client = client.with_request_modifier(move |request| say(agreed, request));
        Ok(Self { client, is_podman: podman::is_podman(&said), ..self })
    }
}

/// The newest that both know, of an engine that knows those from `oldest` to `newest`.
fn choose(oldest: (usize, usize), newest: (usize, usize)) -> Result<(usize, usize)> {
    let ours = bollard::API_DEFAULT_VERSION;
    let ours = (ours.major_version, ours.minor_version);
    let text = |(major, minor): (usize, usize)| format!("{major}.{minor}");
    if newest < OLDEST {
        let message = format!("its API is {}; spin-docker needs 1.41 (Docker 20.10) or newer", text(newest));
        return Err(refused(message));
    }
    if oldest > ours {
        return Err(refused(format!(
            "its API begins at {} and spin-docker knows none after {}; use a newer spin-docker, or set the engine's \
             min-api-version",
            text(oldest),
            text(ours)
        )));
    }
    Ok(newest.min(ours))
}

fn say((major, minor): (usize, usize), mut request: BollardRequest) -> BollardRequest {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let versioned = format!("{}://{authority}/v{major}.{minor}{path}", uri.scheme_str().unwrap_or("http"));
    *request.uri_mut() = versioned.parse().expect("a path stays one with a version before it");
    request
}

fn version(text: &str) -> Option<(usize, usize)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn refused(message: String) -> EngineError {
    EngineError::Refused { doing: "be used".into(), status: 0, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_both_know_is_chosen() {
        let ours = (bollard::API_DEFAULT_VERSION.major_version, bollard::API_DEFAULT_VERSION.minor_version);
        for (oldest, newest, agreed) in [
            ((1, 12), (1, 41), (1, 41)),
            ((1, 44), (1, 52), (1, 52)),
            ((0, 0), (1, 99), ours),
            (ours, (2, 0), ours),
        ] {
            assert_eq!(choose(oldest, newest).unwrap(), agreed);
        }
        assert!(
            choose((1, 12), (1, 40))
                .unwrap_err()
                .to_string()
                .contains("its API is 1.40; spin-docker needs 1.41")
        );
        assert!(choose((1, 99), (1, 99)).unwrap_err().to_string().contains("begins at 1.99"));
    }

    #[test]
    fn versions_are_read_as_docker_writes_them() {
        assert_eq!((version("1.41"), version("1.100")), (Some((1, 41)), Some((1, 100))));
        assert_eq!((version(""), version("1"), version("1.x"), version("1.41.2")), (None, None, None, None));
    }
}
