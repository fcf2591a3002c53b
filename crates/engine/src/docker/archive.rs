//! Files as the tar archives that Docker takes. Everything in them belongs to root.

use crate::File;
use std::io;
use std::path::Path;

const FOLDER_MODE: u32 = 0o700;

/// The folders above a path, the nearest first, `/` left out.
pub(super) fn parents(path: &str) -> Vec<String> {
    let above = Path::new(path).ancestors().skip(1);
    above.filter(|folder| folder.parent().is_some()).map(|folder| folder.display().to_string()).collect()
}

/// One file, and the folders that have to be made for it, the outermost first.
pub(super) fn pack(file: &File, folders: &[String]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for folder in folders {
        let mut header = header(0, FOLDER_MODE, tar::EntryType::Directory);
        archive.append_data(&mut header, relative(folder), io::empty())?;
    }
    let mut header = header(file.content.len() as u64, file.mode, tar::EntryType::Regular);
    archive.append_data(&mut header, relative(&file.path), file.content.as_slice())?;
    archive.into_inner()
}

fn header(size: u64, mode: u32, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_entry_type(kind);
    header
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_above_a_path() {
        assert_eq!(parents("/root/.ssh/authorized_keys"), ["/root/.ssh", "/root"]);
        assert_eq!(parents("/a"), Vec::<String>::new());
    }

    #[test]
    fn what_is_packed_is_there_with_its_mode() {
        let file = File { path: "/root/.ssh/keys".into(), content: b"one\n".to_vec(), mode: 0o600 };
        let packed = pack(&file, &["/root/.ssh".into()]).unwrap();
        let mut archive = tar::Archive::new(packed.as_slice());
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap(), entry.size())
            })
            .collect();
        assert_eq!(entries, [("root/.ssh".into(), 0o700, 0), ("root/.ssh/keys".into(), 0o600, 4)]);
    }
}
