//! Memory of a frozen container, offered to the kernel. How long the kernel takes for it is not ours to say, so that a process
//! of its own asks, which can be ended in the middle of it.

use super::Docker;
use super::bodies::blocking;
use super::cgroups::{Place, Version, Wanted};
use crate::{EngineError, Result};
use model::EngineId;
use std::future::Future;
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Where it is asked for.
pub(super) const WANTED: Wanted =
    Wanted { controller: "memory", in_one: "memory.force_empty", in_two: "memory.reclaim" };

/// How long the kernel may work at it.
const WITHIN: Duration = Duration::from_secs(5);

impl Docker {
    /// A thaw ends it: what is in use again would be taken and asked back for.
    pub(super) async fn reclaim_from(&self, id: &EngineId) -> Result<Option<u64>> {
        let Some(run) = self.run(id).await? else { return Ok(None) };
        let Some(place) = run.memory.clone() else { return Ok(None) };
        let taken = reclaim(place, self.until_thawed(id, &run)).await;
        taken.map(Some).map_err(|source| EngineError::Host {
            doing: "take memory back from the container".into(),
            source: source.into(),
        })
    }
}

async fn reclaim(place: Place, end: impl Future<Output = ()>) -> io::Result<u64> {
    let here = place.clone();
    let before = blocking(move || used(&here)).await?;
    tokio::select! {
        biased;
        () = end => {}
        () = tokio::time::sleep(WITHIN) => {}
        asked = ask(&place, before) => asked?,
    }
    let after = blocking(move || used(&place)).await?;
    Ok(before.saturating_sub(after))
}

fn used(place: &Place) -> io::Result<u64> {
    let file = match place.version {
        Version::One => "memory.usage_in_bytes",
        Version::Two => "memory.current",
    };
    place.read(file)?.trim().parse().map_err(io::Error::other)
}

/// That the kernel could not take all of it back is no error.
async fn ask(place: &Place, all: u64) -> io::Result<()> {
    let (file, text) = match place.version {
        Version::One => (WANTED.in_one, "0".to_owned()),
        Version::Two => (WANTED.in_two, all.to_string()),
    };
    let mut command = Command::new("sh");
    command.args(["-c", r#"echo "$1" > "$2""#, "sh", &text]).arg(place.folder.join(file));
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).status().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};
    use std::future::{pending, ready};

    /// What asks opens a pipe that nobody reads, and gets no further.
    fn never_done() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("memory.usage_in_bytes"), "4096\n").unwrap();
        mkfifoat(CWD, folder.path().join(WANTED.in_one), Mode::RWXU).unwrap();
        let place = Place { version: Version::One, folder: folder.path().to_owned() };
        (folder, place)
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_it_is_told_to_and_when_it_has_taken_too_long() {
        let (_folder, place) = never_done();
        let begun = tokio::time::Instant::now();
        assert_eq!(reclaim(place.clone(), ready(())).await.unwrap(), 0);
        assert!(begun.elapsed() < WITHIN);
        assert_eq!(reclaim(place, pending()).await.unwrap(), 0);
        assert!(begun.elapsed() >= WITHIN);
    }

    #[tokio::test]
    async fn what_went_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { version: Version::Two, folder: folder.path().to_owned() };
        std::fs::write(folder.path().join("memory.current"), "4096\n").unwrap();
        std::fs::write(folder.path().join(WANTED.in_two), "").unwrap();
        assert_eq!(reclaim(place.clone(), pending()).await.unwrap(), 0);
        assert_eq!(place.read(WANTED.in_two).unwrap(), "4096\n", "all of it is offered");
    }
}
