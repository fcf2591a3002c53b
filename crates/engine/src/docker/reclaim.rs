//! Memory of a container, offered to the kernel. How long the kernel takes for it is not ours to say, so that a process of its own asks,
//! which can be ended in the middle of it.

use super::Docker;
use super::bodies::blocking;
use super::cgroups::{Place, Version, Wanted};
use crate::{EngineError, Result};
use model::EngineId;
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
    pub(super) async fn reclaim_from(&self, id: &EngineId) -> Result<Option<u64>> {
        let Some(place) = self.run(id).await?.and_then(|run| run.memory.clone()) else { return Ok(None) };
        reclaim(place).await.map(Some).map_err(|source| EngineError::Host {
            doing: "take memory back from the container".into(),
            source: source.into(),
        })
    }
}

async fn reclaim(place: Place) -> io::Result<u64> {
    let here = place.clone();
    let before = blocking(move || used(&here)).await?;
    if let Ok(asked) = tokio::time::timeout(WITHIN, ask(&place, before)).await {
        asked?;
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
