//! The key that values of our own cookies are made with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::executor::CookieKey;

/// Reads the key from `cookie.key` in the state directory, or makes one there at the first start, so that clients find their
/// servers again after a restart. A second dispatcher with the same file understands the same cookies.
pub fn load(state: &Path) -> CookieKey {
    let path = state.join("cookie.key");
    match read(&path) {
        Ok(secret) => return CookieKey::new(&secret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let file = path.display();
            tracing::warn!(%file, %error, "cannot use this key; cookies of earlier lives will not be known");
        }
    }
    let mut secret = [0; 32];
    if aws_lc_rs::rand::fill(&mut secret).is_err() {
        tracing::error!("the system gives no random bytes; values of our cookies can be guessed until the next start");
    }
    if let Err(error) = write(&path, &secret) {
        let file = path.display();
        tracing::warn!(%file, %error, "cannot keep the key of our cookies; they will not be known after a restart");
    }
    CookieKey::new(&secret)
}

fn read(path: &Path) -> io::Result<[u8; 32]> {
    let bytes = fs::read(path)?;
    bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it has not 32 bytes"))
}

/// In one step: a key that is half there would be lost. Nobody else may read it, because who knows it can choose a server.
fn write(path: &Path, secret: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_to_ourselves() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("deeper");
        let _first = load(&state);
        let kept = read(&state.join("cookie.key")).unwrap();
        assert_ne!(kept, [0; 32]);
        assert_eq!(fs::metadata(state.join("cookie.key")).unwrap().permissions().mode() & 0o777, 0o600);
        let _second = load(&state);
        assert_eq!(read(&state.join("cookie.key")).unwrap(), kept);
        fs::write(state.join("cookie.key"), b"short").unwrap();
        let _third = load(&state);
        assert_ne!(read(&state.join("cookie.key")).unwrap(), kept, "a broken one is made anew");
    }
}
