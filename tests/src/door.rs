//! A door before an engine's socket, to be slammed: whatever passes through it then is cut, and who comes next goes through.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// It stands open until the test ends.
#[derive(Debug)]
pub struct Door {
    folder: tempfile::TempDir,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Door {
    /// Before the engine at this host.
    pub fn before(host: &str) -> Self {
        let engine = PathBuf::from(host.strip_prefix("unix://").expect("a socket of this machine"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join("socket")).expect("the folder is ours");
        let open = Arc::<Mutex<Vec<_>>>::default();
        let passing = Arc::clone(&open);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if let Err(error) = client.and_then(|client| lead(client, &engine, &passing)) {
                    eprintln!("nobody is led to {}: {error}", engine.display());
                }
            }
        });
        Self { folder, open }
    }

    /// For the setting `engine_host`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// Cuts whatever passes through it at this moment.
    pub fn slam(&self) {
        for stream in self.open.lock().expect("nobody panics here").drain(..) {
            // One that has ended meanwhile is cut, too.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn lead(client: UnixStream, engine: &Path, open: &Mutex<Vec<UnixStream>>) -> io::Result<()> {
    let engine = UnixStream::connect(engine)?;
    for (from, to) in [(&client, &engine), (&engine, &client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        std::thread::spawn(move || {
            // However it ends, the other side learns of it.
            drop(io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Write));
        });
    }
    open.lock().expect("nobody panics here").extend([client, engine]);
    Ok(())
}
