//! Our own SSH key, made at first start: containers whose image asks for keys let it in.

use anyhow::Context;
use ssh_key::{Algorithm, LineEnding, PrivateKey, rand_core::OsRng};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The public half of `data_dir/ssh/id_ed25519`, as a line of `authorized_keys`.
pub(super) fn own_public_key(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join("ssh").join("id_ed25519");
    let key = if path.exists() { read(&path)? } else { make(&path)? };
    Ok(key.public_key().to_openssh()?)
}

fn read(path: &Path) -> anyhow::Result<PrivateKey> {
    let advice = || format!("{} is no SSH key; remove it, and another is made", path.display());
    PrivateKey::read_openssh_file(path).with_context(advice)
}

fn make(path: &Path) -> anyhow::Result<PrivateKey> {
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
    key.set_comment("spin-docker");
    let folder = path.parent().context("the key stands in a folder")?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let failed = || format!("cannot write {}", path.display());
    // The private half last: where it is there, both are.
    fs::write(path.with_extension("pub"), key.public_key().to_openssh()? + "\n").with_context(failed)?;
    key.write_openssh_file(path, LineEnding::LF).with_context(failed)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = own_public_key(folder.path()).unwrap();
        assert!(first.starts_with("ssh-ed25519 ") && first.ends_with(" spin-docker"), "{first}");
        assert_eq!(own_public_key(folder.path()).unwrap(), first);
        let mode = fs::metadata(folder.path().join("ssh/id_ed25519")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(folder.path().join("ssh/id_ed25519"), "damaged").unwrap();
        assert!(own_public_key(folder.path()).unwrap_err().to_string().contains("is no SSH key"));
    }
}
