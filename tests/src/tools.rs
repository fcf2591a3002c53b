//! Programs that judge what ours says, from PyPI; `scripts/tools test` installs them.

use std::path::PathBuf;
use std::process::Command;

/// One of them. Where a program of this name is on the path and not among ours, that one.
pub fn tool(name: &str) -> Command {
    let ours = cache().join("tools/python/bin").join(name);
    let mut command = if ours.exists() { Command::new(ours) } else { Command::new(name) };
    command.env("NO_COLOR", "1");
    command
}

/// As `scripts/lib.sh` has it.
fn cache() -> PathBuf {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    folder("SPIN_DOCKER_CACHE").or_else(|| Some(usual()?.join("spin-docker"))).unwrap_or_default()
}

/// Runs it, and fails the test with what it said where it fails.
pub fn succeeds(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run scripts/tools test"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?} found something:\n{said}");
    said
}
