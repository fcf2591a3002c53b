//! `spin-docker backup` and `restore`: what the store does, said in words.

use crate::config::Settings;
use control::store::backup::{self, Manifest, Present};
use std::path::Path;

/// Writes a backup of `data_dir`, whether the daemon runs or not.
pub(crate) fn back_up(settings: &Settings, to: &Path, replace: bool) -> anyhow::Result<()> {
    let manifest = backup::backup(&settings.data_dir, to, present(replace))?;
    crate::print(&format!("{}: {}\n", to.display(), in_words(&manifest)))
}

/// Makes `data_dir` that of the backup.
pub(crate) fn restore(settings: &Settings, from: &Path, replace: bool) -> anyhow::Result<()> {
    let manifest = backup::restore(&settings.data_dir, from, present(replace))?;
    crate::print(&format!("restored to {}: {}\n", settings.data_dir.display(), in_words(&manifest)))
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
