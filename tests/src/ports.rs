//! A range of ports for each daemon. Where two tests had one range, one would take what the other's daemon lets go while it is dead; and
//! where outgoing connections take their ports from (`net.ipv4.ip_local_port_range`, 32768 and above), any of them would do so too.

use crate::until;
use std::fs::File;
use std::net::TcpListener;
use std::time::Duration;

const FIRST: u16 = 21_000;
const SIZE: u16 = 500;
const RANGES: u16 = 23;

/// A range that no other test's daemon has. It is free again where this is dropped, or its process ends.
pub(crate) struct Ports {
    first: u16,
    range: String,
    _lock: File,
}

impl Ports {
    /// Waits until one is free.
    pub(crate) fn take() -> Self {
        let folder = std::env::temp_dir().join("spin-docker-tests");
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let free = |first: u16| {
            let lock = File::create(folder.join(format!("ports-{first}"))).expect("the folder is ours");
            lock.try_lock().ok().map(|()| Self {
                first,
                range: format!("{first}-{}", first + SIZE - 1),
                _lock: lock,
            })
        };
        until("a range of ports is free", Duration::from_secs(60), || {
            (0..RANGES).map(|n| FIRST + n * SIZE).find_map(free)
        })
    }

    /// Those at which somebody listens on loopback.
    pub(crate) fn listening(&self) -> Vec<u16> {
        let is_taken = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_err();
        (self.first..self.first + SIZE).filter(is_taken).collect()
    }

    /// As `endpoint_ports` is written.
    pub(crate) fn range(&self) -> &str {
        &self.range
    }
}
