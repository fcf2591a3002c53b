//! Whether a daemon runs over `data_dir`, and what its store says.

use super::{Check, listen};
use crate::config::Settings;
use crate::serve::is_loopback;
use control::chain;
use control::store::{self, Known, StoreError};
use std::io;
use std::path::Path;

const NAME: &str = "store";
const DAMAGED: &str =
    "is this who the daemon runs as? If it is damaged: `spin-docker restore` (docs/backup.md)";
const NEWER: &str = "install that version; or go back to a backup of before: `spin-docker restore --replace` (docs/backup.md)";

/// What there is.
pub(super) struct Daemon {
    /// Nothing where there is no store, or it cannot be read.
    pub(super) known: Known,
}

impl Daemon {
    pub(super) fn find(settings: &Settings, checks: &mut Vec<Check>) -> Self {
        let found = look(&settings.data_dir);
        checks.push(match &found {
            Err(wrong) => wrong.clone(),
            Ok((Some(known), Some(process))) => {
                Check::right(NAME, told(known, &format!("a daemon runs (process {process})")))
            }
            Ok((Some(known), None)) => Check::right(NAME, told(known, "no daemon runs")),
            Ok((None, _)) => Check::right(NAME, "none yet: the first start makes it"),
        });
        checks.extend(matches!(found, Ok((_, None))).then(|| listen::check(settings.listen)));
        let known = found.ok().and_then(|(known, _)| known);
        checks.extend(known.as_ref().map(|known| containers(settings, known)));
        Self { known: known.unwrap_or_default() }
    }
}

/// What the store says, where there is one, and who holds it; or else what is wrong with it.
fn look(folder: &Path) -> Result<(Option<Known>, Option<i32>), Check> {
    let file = folder.join(store::FILE);
    let beside = |error: io::Error| {
        Check::wrong(NAME, format!("{} cannot be looked at: {error}", file.display()), DAMAGED)
    };
    if !file.try_exists().map_err(beside)? {
        return Ok((None, None));
    }
    let refused =
        |error: StoreError| Check::wrong(NAME, chain(&error), if error.is_newer() { NEWER } else { DAMAGED });
    // As a start reads it, which refuses one of a later version: what is known of it would be right.
    store::look(folder).map_err(refused)?;
    let known = store::known(folder).map_err(refused)?;
    Ok((Some(known), store::holder(folder).map_err(beside)?))
}

/// Whether a start would leave them as they were told that they are.
fn containers(settings: &Settings, known: &Known) -> Check {
    let refused = known.refuses(settings.subnet, is_loopback(settings.endpoint_address));
    if refused.is_empty() {
        return Check::right("containers", "`subnet` and `endpoint_address` leave them as they are");
    }
    let why: Vec<_> = refused.iter().map(ToString::to_string).collect();
    Check::wrong("containers", why.join("; "), "until then the daemon does not start")
}

fn told(known: &Known, runs: &str) -> String {
    let Known { containers, ports, .. } = known;
    format!("{runs}; containers: {containers}, ports of theirs: {}", ports.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_cannot_be_looked_at_is_not_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(look(folder.path()), Ok((None, None))));
        // As root, no permission is lacking; a link to itself cannot be followed by anybody.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        let why = look(&link).unwrap_err().finding;
        assert!(why.contains("link/spin-docker.db cannot be looked at: "), "{why}");
    }
}
