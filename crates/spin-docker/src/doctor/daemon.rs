//! Whether a daemon runs over `data_dir`, what its store says, and whether the API's port can be had.

use super::Check;
use crate::config::Settings;
use control::chain;
use control::store::{self, Known};
use std::io::ErrorKind;
use std::net::TcpListener;

/// What there is.
pub(super) struct Daemon {
    /// Nothing where there is no store, or it cannot be read.
    pub(super) known: Known,
}

impl Daemon {
    pub(super) fn find(settings: &Settings, checks: &mut Vec<Check>) -> Self {
        let folder = &settings.data_dir;
        let is_there = folder.join(store::FILE).exists();
        let known = if is_there { store::known(folder) } else { Ok(Known::default()) };
        let runs = store::holder(folder).unwrap_or_default();
        checks.push(match (&known, runs) {
            (Err(error), _) => {
                let advice = "is this who the daemon runs as? If it is damaged: `spin-docker restore` (docs/backup.md)";
                Check::wrong("store", chain(error), advice)
            }
            (Ok(known), Some(process)) => Check::right("store", told(known, &format!("a daemon runs (process {process})"))),
            (Ok(_), None) if !is_there => Check::right("store", "none yet: the first start makes it"),
            (Ok(known), None) => Check::right("store", told(known, "no daemon runs")),
        });
        checks.extend(runs.is_none().then(|| listener(settings)));
        Self { known: known.unwrap_or_default() }
    }
}

fn told(known: &Known, runs: &str) -> String {
    let Known { containers, ports, .. } = known;
    format!("{runs}; containers: {containers}, ports of theirs: {}", ports.len())
}

fn listener(settings: &Settings) -> Check {
    let listen = settings.listen;
    match TcpListener::bind(listen) {
        Ok(_) => Check::right("listen", format!("{listen} is free")),
        Err(error) => {
            let advice = match error.kind() {
                ErrorKind::AddrInUse => format!(
                    "`ss -ltnp sport = :{}` tells who has it; end that, or set `listen`",
                    listen.port()
                ),
                _ => "set `listen` to an address of this host and a port that may be bound".to_owned(),
            };
            Check::wrong("listen", format!("{listen} cannot be bound: {error}"), advice)
        }
    }
}
