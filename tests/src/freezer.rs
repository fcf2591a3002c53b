//! A container's freezer as the kernel has it, whatever anybody says of it; of either version.

use crate::docker;
use std::path::{Path, PathBuf};

/// Freezes a running container of the shared engine behind everybody's back.
pub fn freeze(id: &str) {
    write(id, true);
}

/// Lets it go on.
pub fn thaw(id: &str) {
    write(id, false);
}

/// Whether it is frozen, or is about to be.
pub fn is_frozen(id: &str) -> bool {
    let (folder, is_one) = control_group(id);
    let file = folder.join(if is_one { "freezer.self_freezing" } else { "cgroup.freeze" });
    let told = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    told.trim() == "1"
}

fn write(id: &str, frozen: bool) {
    let (folder, is_one) = control_group(id);
    let (file, texts) =
        if is_one { ("freezer.state", ["THAWED", "FROZEN"]) } else { ("cgroup.freeze", ["0", "1"]) };
    std::fs::write(folder.join(file), texts[usize::from(frozen)]).expect("its freezer can be written");
}

/// Its folder, and whether that is of version 1.
fn control_group(id: &str) -> (PathBuf, bool) {
    let pid = docker(&["inspect", "-f", "{{.State.Pid}}", id]);
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let of_one = groups.lines().find_map(|line| line.split_once(":freezer:"));
    match of_one.filter(|(_, path)| path.contains(id)) {
        Some((_, path)) => (Path::new("/sys/fs/cgroup/freezer").join(path.trim_start_matches('/')), true),
        None => {
            let path = groups.lines().find_map(|line| line.strip_prefix("0::/")).expect("it is in a group");
            (Path::new("/sys/fs/cgroup").join(path), false)
        }
    }
}
