//! Freezing by a container's own control group, in either version of the hierarchy.

use crate::docker::bodies::{Turn, blocking};
use crate::docker::cgroups::{Place, Version, Wanted};
use backon::{ExponentialBuilder, Retryable};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// Where a container is frozen.
pub(in crate::docker) const WANTED: Wanted =
    Wanted { controller: "freezer", in_one: "freezer.state", in_two: "cgroup.freeze" };

/// How long a freeze may take until the kernel confirms it.
const CONFIRMED_WITHIN: Duration = Duration::from_millis(900);
/// Version 1 tells nobody when it is done, and may need to be told again: a process that was just made may have slipped
/// through.
const TELL_AGAIN: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(1))
    .with_max_delay(Duration::from_millis(20))
    .with_factor(1.5)
    .without_max_times();

/// Whether it was told to freeze, whatever of it has frozen yet.
pub(super) fn is_frozen(place: &Place) -> io::Result<bool> {
    let file = match place.version {
        Version::One => "freezer.self_freezing",
        Version::Two => WANTED.in_two,
    };
    Ok(place.read(file)?.trim() == "1")
}

/// One write. A group that is gone holds nobody.
pub(super) fn thaw(place: &Place) -> io::Result<()> {
    let thawed = match place.version {
        Version::One => place.write(WANTED.in_one, "THAWED"),
        Version::Two => place.write(WANTED.in_two, "0"),
    };
    if thawed.as_ref().is_err_and(is_gone) { Ok(()) } else { thawed }
}

/// Whether nothing of the container is left in that group.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

/// Whether we have not the right to write it.
pub(super) fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

/// Comes back once every process of it is frozen. In vain, it undoes what it did, unless somebody else has the turn by then.
pub(super) async fn freeze(place: &Place, turn: &Turn) -> io::Result<()> {
    let freezing = async {
        match place.version {
            Version::One => freeze_one(place, turn).await,
            Version::Two => freeze_two(place, turn).await,
        }
    };
    let late = |_| Err(io::Error::new(ErrorKind::TimedOut, "the kernel did not confirm it in time"));
    let frozen = tokio::time::timeout(CONFIRMED_WITHIN, freezing).await.unwrap_or_else(late);
    if frozen.is_err() {
        let place = place.clone();
        turn.act(move || thaw(&place)).await?;
    }
    frozen
}

async fn freeze_one(place: &Place, turn: &Turn) -> io::Result<()> {
    let tell = || async {
        let place = place.clone();
        let told = turn.act(move || {
            place.write(WANTED.in_one, "FROZEN")?;
            place.read(WANTED.in_one)
        });
        match told.await? {
            Some(state) if state.trim() == "FROZEN" => Ok(()),
            Some(_) => Err(io::Error::from(ErrorKind::WouldBlock)),
            None => Err(superseded()),
        }
    };
    tell.retry(TELL_AGAIN).when(|error| error.kind() == ErrorKind::WouldBlock).await
}

async fn freeze_two(place: &Place, turn: &Turn) -> io::Result<()> {
    let (here, there) = (place.clone(), place.clone());
    turn.act(move || here.write(WANTED.in_two, "1")).await?.ok_or_else(superseded)?;
    blocking(move || wait_until_confirmed(&there)).await
}

/// The kernel tells of every change since the last reading.
fn wait_until_confirmed(place: &Place) -> io::Result<()> {
    let deadline = Instant::now() + CONFIRMED_WITHIN;
    let events = File::open(place.folder.join("cgroup.events"))?;
    while !is_confirmed(&events)? {
        let left = deadline.checked_duration_since(Instant::now()).ok_or(ErrorKind::TimedOut)?;
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&left))?;
    }
    Ok(())
}

/// From the file's beginning: each time anew.
fn is_confirmed(mut events: &File) -> io::Result<bool> {
    use io::{Read, Seek};
    let mut text = String::new();
    events.rewind()?;
    events.read_to_string(&mut text)?;
    Ok(text.lines().any(|line| line == "frozen 1"))
}

fn superseded() -> io::Error {
    io::Error::new(ErrorKind::Interrupted, "it was thawed meanwhile")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::bodies::Body;
    use std::sync::Arc;

    /// A group whose processes never stop: plain files, of which no kernel takes any notice.
    fn group_of(version: Version, files: &[(&str, &str)]) -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let place = Place { version, folder: folder.path().to_owned() };
        (folder, place)
    }

    fn unmoved() -> (tempfile::TempDir, Place) {
        group_of(Version::Two, &[(WANTED.in_two, "?"), ("cgroup.events", "populated 1\nfrozen 0\n")])
    }

    async fn is_undone_within_a_second(place: &Place) {
        let turn = Arc::new(Body::default()).take_turn();
        let begun = Instant::now();
        let error = freeze(place, &turn).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // And what a busy machine takes.
        assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_freeze_that_the_kernel_does_not_confirm_is_undone_within_a_second() {
        let (_folder, place) = unmoved();
        is_undone_within_a_second(&place).await;
        assert_eq!(place.read(WANTED.in_two).unwrap(), "0");
    }

    /// What is written stands over the beginning of what was there, so that it never reads as `FROZEN`.
    #[tokio::test]
    async fn one_of_version_1_that_never_comes_to_be_frozen_is_undone_within_a_second() {
        let (_folder, place) = group_of(Version::One, &[(WANTED.in_one, "FREEZING")]);
        is_undone_within_a_second(&place).await;
        assert_eq!(place.read(WANTED.in_one).unwrap(), "THAWEDNG");
    }

    #[tokio::test]
    async fn where_somebody_else_has_the_turn_nothing_is_written_and_nothing_undone() {
        let (_folder, place) = unmoved();
        let body = Arc::new(Body::default());
        let turn = body.take_turn();
        let _others = body.take_turn();
        let error = freeze(&place, &turn).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert_eq!(place.read(WANTED.in_two).unwrap(), "?");
    }
}
