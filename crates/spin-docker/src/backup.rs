//! `spin-docker backup` and `restore`: what the store does, said in words.

use crate::config::Settings;
use anyhow::bail;
use control::store::backup::{self, Manifest, Present, Restored};
use control::store::{self, Contents};
use control::{chain, purge};
use engine::docker::Docker;
use std::io::{Write, stderr};
use std::path::Path;
use std::time::Duration;

/// How long the engine may take to answer at all.
const ENGINE_WITHIN: Duration = Duration::from_secs(30);

/// Writes a backup of `data_dir`, whether the daemon runs or not.
pub(crate) fn back_up(settings: &Settings, to: &Path, replace: bool) -> anyhow::Result<()> {
    if to == Path::new("-") {
        bail!("a backup goes to a file, which gets its name once it is whole; name one");
    }
    let manifest = backup::backup(&settings.data_dir, to, present(replace))?;
    crate::print(&format!("{}: {}\n", to.display(), in_words(&manifest)))
}

/// Makes `data_dir` that of the backup.
pub(crate) fn restore(settings: &Settings, from: &Path, replace: bool) -> anyhow::Result<()> {
    let folder = &settings.data_dir;
    let before = store::look(folder).ok();
    let Restored { manifest, replaced } = backup::restore(folder, from, present(replace))?;
    crate::print(&format!("restored to {}: {}\n", folder.display(), in_words(&manifest)))?;
    if let Some(replaced) = replaced {
        crate::print(&format!("the store that was there is kept in {}\n", replaced.display()))?;
    }
    match before {
        Some(before) if before.containers.is_empty() => make_way(settings, &before),
        _ => Ok(()),
    }
}

/// The network of a store without containers, which has the name that the restored store's network had. What was restored stays, whatever
/// the engine says.
fn make_way(settings: &Settings, before: &Contents) -> anyhow::Result<()> {
    if store::look(&settings.data_dir).is_ok_and(|now| now.owner == before.owner) {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let remove = async {
        let engine = Docker::connect(settings.engine_host.as_deref()).await?;
        purge::remove_network(&engine, before, &settings.instance).await
    };
    let removed = runtime.block_on(async { tokio::time::timeout(ENGINE_WITHIN, remove).await });
    let why = match removed {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("no answer within {ENGINE_WITHIN:?}"),
    };
    let owner = &before.owner;
    let advice =
        format!("remove it by hand: `docker network ls --filter label=spin-docker.owner={owner}` shows it");
    drop(writeln!(
        stderr(),
        "the network of the store that was there could not be removed ({why}); {advice}"
    ));
    Ok(())
}

fn present(replace: bool) -> Present {
    if replace { Present::Replaced } else { Present::Kept }
}

fn in_words(manifest: &Manifest) -> String {
    let Manifest { needs, schema, containers, taken_at } = manifest;
    let plural = if *containers == 1 { "" } else { "s" };
    format!(
        "{containers} container{plural}, taken {taken_at}; it needs spin-docker {needs} or newer (schema {schema})"
    )
}
