//! The docker CLI, as a user would use it behind our back.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Runs `docker ARGS` and gives what it printed; fails the test where it fails.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the docker CLI is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {args:?} failed, {}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The same, where failing is an answer too: whatever was said of it, on either output.
pub fn docker_quietly(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(args).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&[output.stdout, output.stderr].concat()))
    }
}

/// The image of `tests/image`, built if need be.
pub fn test_image() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    const NAME: &str = "spin-docker-test/product";
    BUILT.get_or_init(|| build(NAME, "image", &[]));
    NAME
}

/// The web server of `tests/web`, built if need be: `plain`, or with a way to say when it can serve, `path` or `health`.
pub fn web_image(kind: &str) -> String {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("spin-docker-test/web-{kind}");
    build(&name, "web", &["--target", kind]);
    name
}

/// One of the servers of `tests/protocols`, built if need be.
pub fn protocol_image(server: &str) -> String {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("spin-docker-test/{server}");
    build(&name, "protocols", &["--target", server]);
    name
}

/// sd-django, whose gunicorn kills workers that have not reported for five seconds: `tests/impatient`, built if need be.
pub fn impatient_image() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    const NAME: &str = "spin-docker-test/impatient";
    BUILT.get_or_init(|| build(NAME, "impatient", &[]));
    NAME
}

fn build(name: &str, folder: &str, more: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let built = Command::new("docker")
        .args(["build", "-q", "-t", name])
        .args(more)
        .arg(folder)
        .env("DOCKER_BUILDKIT", "0")
        .output()
        .expect("the docker CLI is installed");
    assert!(built.status.success(), "cannot build {name}: {}", String::from_utf8_lossy(&built.stderr));
}
