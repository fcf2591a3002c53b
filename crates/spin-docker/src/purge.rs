//! `spin-docker purge`: the end of an installation. Containers, then their network and its rule, then our files: whatever fails
//! keeps what comes after it, and the same command goes on later.

use crate::config::Settings;
use crate::print;
use anyhow::{Context, bail};
use control::store::{self, Contents, Store};
use control::{Sqlite, purge};
use engine::Engine;
use engine::docker::Docker;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Does it, or without `yes` says what would be done.
pub(crate) fn run(settings: &Settings, yes: bool) -> anyhow::Result<()> {
    let folder = &settings.data_dir;
    if !store::is_in(folder) {
        return print(&format!("nothing of ours in {}\n", folder.display()));
    }
    // Held until everything on the engine is gone, so that no daemon starts meanwhile. What only looks changes nothing.
    let (store, contents) = if yes { hold(folder)? } else { (None, store::look(folder)?) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(on_engine(settings, &contents, yes))?;
    drop(store);
    for file in files(folder)? {
        if yes {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        say(yes, &format!("file {}", file.display()))?;
    }
    if yes {
        folders(folder)?.iter().try_for_each(|folder| remove_empty(folder))?;
    }
    Ok(())
}

fn hold(folder: &Path) -> anyhow::Result<(Option<Sqlite>, Contents)> {
    if let Some(process) = store::holder(folder)? {
        bail!(
            "a spin-docker runs over {} (process {process}); stop it first, as by `systemctl stop spin-docker`",
            folder.display()
        );
    }
    let mut store = Sqlite::open(folder)?;
    let contents = store.read(&control::mint)?;
    Ok((Some(store), contents))
}

/// A store that never had a network has nothing on the engine.
async fn on_engine(settings: &Settings, contents: &Contents, yes: bool) -> anyhow::Result<()> {
    if contents.subnet.is_none() {
        return Ok(());
    }
    let advice = "containers of ours may be left on the engine: start it, and say this again; if it is gone for good, remove";
    let engine = Docker::connect(settings.engine_host.as_deref())
        .await
        .with_context(|| format!("{advice} {}", settings.data_dir.display()))?;
    for container in purge::belongings(&engine, contents, &settings.instance).await? {
        if yes {
            engine.remove(&container.engine_id).await?;
        }
        say(yes, &format!("container {} ({})", container.engine_id, container.name.trim_start_matches('/')))?;
    }
    let network = match yes {
        true => purge::remove_network(&engine, contents, &settings.instance).await?,
        false => purge::network(&engine, contents, &settings.instance).await?,
    };
    network.map_or(Ok(()), |network| say(yes, &format!("network {network}")))
}

fn say(yes: bool, what: &str) -> anyhow::Result<()> {
    print(&format!("{} {what}\n", if yes { "removed" } else { "would remove" }))
}

/// What the daemon, backups before migrations and restores wrote into its folder, which may be one that holds more.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = begin_with(&folder.join("backups"), "before-schema-")?;
    for of_a_store in replaced(folder)?.iter().map(PathBuf::as_path).chain([folder]) {
        files.extend(begin_with(of_a_store, "spin-docker.")?);
        files.extend(begin_with(&of_a_store.join("ssh"), "id_ed25519")?);
    }
    Ok(files)
}

/// The folders of those files, the innermost first.
fn folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders: Vec<_> =
        replaced(folder)?.into_iter().flat_map(|replaced| [replaced.join("ssh"), replaced]).collect();
    folders.extend(["replaced", "backups", "ssh"].map(|name| folder.join(name)));
    folders.push(folder.to_owned());
    Ok(folders)
}

/// Where restores set stores aside.
fn replaced(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = entries(&folder.join("replaced"))?;
    folders.retain(|path| path.is_dir());
    Ok(folders)
}

fn begin_with(folder: &Path, beginning: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = entries(folder)?;
    let is_meant =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning));
    files.retain(|path| path.is_file() && is_meant(path));
    Ok(files)
}

/// In order; none where there is no such folder.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    let mut paths: Vec<_> =
        entries.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn remove_empty(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir(folder) {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty | ErrorKind::ResourceBusy
            ) =>
        {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
