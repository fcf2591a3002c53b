//! Where the engine is: as the docker CLI finds it, and then where rootless engines and Docker Desktop put theirs.
//!
//! Only an engine on this host will do: its containers' addresses must be reachable from here.

use super::errors;
use crate::{EngineError, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

const USUAL: &str = "/var/run/docker.sock";

/// What of the process's surroundings says where the engine is.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    pub(super) docker_host: Option<String>,
    pub(super) docker_context: Option<String>,
    pub(super) docker_config: Option<PathBuf>,
    pub(super) runtime_dir: Option<PathBuf>,
    pub(super) home: Option<PathBuf>,
}

#[derive(Deserialize)]
struct CliConfig {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct Context {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints")]
    endpoints: ContextEndpoints,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: ContextEndpoint,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host")]
    host: String,
}

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let home = text("HOME").map(PathBuf::from);
        let docker_config = text("DOCKER_CONFIG").map(PathBuf::from);
        Self {
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            docker_config: docker_config.or_else(|| Some(home.as_ref()?.join(".docker"))),
            runtime_dir: text("XDG_RUNTIME_DIR").map(PathBuf::from),
            home,
        }
    }

    /// The host of the context in use, where one other than `default` is.
    fn context(&self) -> Result<Option<String>> {
        let Some(folder) = &self.docker_config else { return Ok(None) };
        let from_file = || {
            let config: CliConfig = read_json(&folder.join("config.json"))?;
            config.current_context
        };
        let Some(name) = self.docker_context.clone().or_else(from_file).filter(|name| name != "default")
        else {
            return Ok(None);
        };
        // The CLI keeps each context in a folder named by a digest of its name; the name itself stands inside.
        let metas = std::fs::read_dir(folder.join("contexts/meta")).into_iter().flatten().flatten();
        let contexts = metas.filter_map(|entry| read_json::<Context>(&entry.path().join("meta.json")));
        let found = contexts.into_iter().find(|context| context.name == name);
        let host = found.map(|context| context.endpoints.docker.host);
        host.map(Some).ok_or_else(|| {
            refused(format!("the docker context {name:?} is not known; see `docker context ls`"))
        })
    }

    /// The first of the usual sockets that is there; the first of all if none is.
    fn socket(&self) -> String {
        let beside_home = |path: &str| self.home.as_ref().map(|home| home.join(path));
        let candidates = [
            Some(PathBuf::from(USUAL)),
            self.runtime_dir.as_ref().map(|dir| dir.join("docker.sock")),
            beside_home(".docker/run/docker.sock"),
            beside_home(".docker/desktop/docker.sock"),
        ];
        let there = candidates.into_iter().flatten().find(|path| path.exists());
        format!("unix://{}", there.unwrap_or_else(|| PathBuf::from(USUAL)).display())
    }
}

/// What names the engine: the setting, else `DOCKER_HOST`, else the context in use, else a socket.
pub(super) fn find(setting: Option<&str>, surroundings: &Surroundings) -> Result<String> {
    let named = setting.map(str::to_owned).or_else(|| surroundings.docker_host.clone());
    let host = match named {
        Some(host) => host,
        None => surroundings.context()?.unwrap_or_else(|| surroundings.socket()),
    };
    let host = if host.starts_with('/') { format!("unix://{host}") } else { host };
    if is_here(&host) {
        return Ok(host);
    }
    Err(refused(format!(
        "{host} is not an engine on this host: spin-docker must reach its containers' own addresses"
    )))
}

/// A client for it, not connected yet.
pub(super) fn open(host: &str, version: &bollard::ClientVersion) -> Result<bollard::Docker> {
    // Our own deadlines come first: they say what took so long, and how long it was.
    let seconds = 2 * super::SLOW.as_secs();
    let client = if host.starts_with("unix://") {
        bollard::Docker::connect_with_unix(host, seconds, version)
    } else {
        bollard::Docker::connect_with_http(host, seconds, version)
    };
    client.map_err(|error| errors::translate("be connected to", host, error))
}

fn is_here(host: &str) -> bool {
    if host.starts_with("unix://") {
        return true;
    }
    let authority = host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://"));
    authority.is_some_and(|at| ["localhost", "127.", "[::1]"].iter().any(|local| at.starts_with(local)))
}

fn refused(message: String) -> EngineError {
    EngineError::Refused { doing: "be found".into(), status: 0, message }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_context(folder: &Path) -> Surroundings {
        let meta = folder.join("contexts/meta/abc");
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"mine","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///mine.sock"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        std::fs::write(folder.join("config.json"), r#"{"currentContext":"mine"}"#).unwrap();
        Surroundings { docker_config: Some(folder.to_owned()), ..Surroundings::default() }
    }

    #[test]
    fn the_setting_wins_over_docker_host_over_the_context_over_the_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let context = with_context(folder.path());
        let env = Surroundings { docker_host: Some("unix:///env.sock".into()), ..context.clone() };
        assert_eq!(find(Some("/set.sock"), &env).unwrap(), "unix:///set.sock");
        assert_eq!(find(None, &env).unwrap(), "unix:///env.sock");
        assert_eq!(find(None, &context).unwrap(), "unix:///mine.sock");
        let default = Surroundings { docker_context: Some("default".into()), ..context };
        assert!(find(None, &default).unwrap().ends_with("docker.sock"));
    }

    #[test]
    fn a_rootless_engines_socket_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("docker.sock"), "").unwrap();
        let rootless =
            Surroundings { runtime_dir: Some(folder.path().to_owned()), ..Surroundings::default() };
        let usual = Path::new(USUAL).exists();
        let expected = if usual { PathBuf::from(USUAL) } else { folder.path().join("docker.sock") };
        assert_eq!(find(None, &rootless).unwrap(), format!("unix://{}", expected.display()));
    }

    #[test]
    fn an_engine_elsewhere_and_an_unknown_context_are_refused() {
        for host in ["tcp://10.0.0.1:2375", "ssh://somebody@elsewhere", "npipe:////./pipe/docker_engine"] {
            let error = find(Some(host), &Surroundings::default()).unwrap_err();
            assert!(error.to_string().contains("not an engine on this host"), "{error}");
        }
        assert!(find(Some("tcp://127.0.0.1:2375"), &Surroundings::default()).is_ok());
        let folder = tempfile::tempdir().unwrap();
        let unknown = Surroundings { docker_context: Some("other".into()), ..with_context(folder.path()) };
        assert!(find(None, &unknown).unwrap_err().to_string().contains("docker context ls"));
    }
}
