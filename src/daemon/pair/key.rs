//! Reads the key file of a pair.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::daemon::bounded::read_at_most;
use crate::pairing::PairKeys;
use crate::pairing::key::KeyFileFault;

/// Why a pair has no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the pair's key {}, which `tsuji keys pair {}` makes for both dispatchers", path.display(), path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the pair's key {} is larger than {MOST_BYTES} bytes; that is no key file", .0.display())]
    TooLarge(PathBuf),
    #[error("the pair's key {} is not a text", .0.display())]
    NotText(PathBuf),
    #[error("the pair's key {} can be used by others than its owner, who could then be the partner: `chmod 600 {}` would be right", .0.display(), .0.display())]
    Open(PathBuf),
    #[error("the pair's key {} cannot be used", path.display())]
    Fault { path: PathBuf, source: KeyFileFault },
}

/// Two keys with a page of comments.
const MOST_BYTES: u64 = 64 * 1024;
/// Any right of everybody's.
const EVERYBODY: u32 = 0o007;

/// Reads the file at `path`. Blocks for as long as the disk takes.
pub fn read_keys(path: &Path) -> Result<PairKeys, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if about.mode() & EVERYBODY != 0 {
        return Err(KeyError::Open(path.to_owned()));
    }
    let content = read_at_most(file, MOST_BYTES).map_err(failed)?;
    let content = content.ok_or_else(|| KeyError::TooLarge(path.to_owned()))?;
    let text = String::from_utf8(content).map_err(|_| KeyError::NotText(path.to_owned()))?;
    PairKeys::parse(&text).map_err(|source| KeyError::Fault { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_that_cannot_be_used_is_named_with_what_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pair.key");
        assert!(matches!(read_keys(&path), Err(KeyError::Read { .. })));
        assert!(matches!(read_keys(directory.path()), Err(KeyError::Read { .. })));
        let write = |content: &[u8], mode: u32| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read_keys(&path)
        };
        let key = format!("1 {}\n", "8f3c".repeat(16));
        assert!(matches!(write(key.as_bytes(), 0o604), Err(KeyError::Open(_))));
        assert!(matches!(write(b"\xff\xfe", 0o600), Err(KeyError::NotText(_))));
        assert!(matches!(write(b"cluster add www\n", 0o600), Err(KeyError::Fault { .. })));
        assert!(matches!(write(&[b'#'; 70_000], 0o600), Err(KeyError::TooLarge(_))));
        assert_eq!(write(key.as_bytes(), 0o600).unwrap().all().count(), 1);
    }
}
