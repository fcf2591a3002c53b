//! Permissions: who this is, whether the data folder is ours to write and nobody else's to read.

use super::Check;
use crate::config::Settings;
use rustix::fs::{Access, access};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(super) fn check(settings: &Settings) -> Vec<Check> {
    vec![user(), folder(&settings.data_dir)]
}

fn user() -> Check {
    if rustix::process::geteuid().is_root() {
        return Check::right("user", "root");
    }
    Check::degraded(
        "user",
        "not root: containers are frozen by the engine's pause, check-ins may be off, and unread bytes are not seen before a freeze",
        "run the daemon as root, as the package does; who is in the group `docker` is as mighty anyhow",
    )
}

fn folder(data: &Path) -> Check {
    const NAME: &str = "data_dir";
    let Some(there) = data.ancestors().find(|folder| folder.exists()) else {
        return Check::wrong(
            NAME,
            format!("{} cannot be looked for", data.display()),
            "set `data_dir` to an absolute path",
        );
    };
    if !there.is_dir() {
        return Check::wrong(NAME, format!("{} is no folder", there.display()), "set `data_dir` to one");
    }
    if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
        let finding = format!("{} may not be written: {error}", there.display());
        return Check::wrong(NAME, finding, "run as its owner, or set `data_dir` to a folder of this user's");
    }
    if there != data {
        return Check::right(NAME, format!("{} is made at the first start", data.display()));
    }
    let mode = std::fs::metadata(data).map_or(0, |about| about.permissions().mode() & 0o777);
    if mode & 0o077 == 0 {
        return Check::right(NAME, format!("{} is its owner's alone", data.display()));
    }
    let finding =
        format!("{} is open to others (mode {mode:03o}): state and keys in it are not", data.display());
    Check::degraded(NAME, finding, format!("chmod 700 {}", data.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn a_folder_that_is_open_is_degraded_and_a_file_is_wrong() {
        let data = tempfile::tempdir().unwrap();
        for (mode, state) in [(0o700, State::Right), (0o755, State::Degraded)] {
            std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(folder(data.path()).state, state);
        }
        assert_eq!(folder(&data.path().join("a/b")).state, State::Right);
        let file = data.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(folder(&file.join("below")).state, State::Wrong);
    }
}
