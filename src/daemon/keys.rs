//! `tsuji keys`: secrets that operators make and carry from one dispatcher to the other.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aws_lc_rs::rand;
use clap::Subcommand;

use crate::pairing::key::{self, KeyFileFault, PairKeys, RotationUnderWay, SECRET};

use super::chain;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the key of a pair. Both dispatchers get the same file, by a way that nobody else can read (scp), and no other pair.
    Pair {
        /// The file to write, with mode 0600; one that is there is left alone. By default standard output.
        file: Option<PathBuf>,
        /// Add a new key to the file, below the one that is there: the first step of changing it. The file says the others.
        #[arg(long, requires = "file")]
        add: bool,
    },
}

/// 0 done, 1 failed.
pub fn run(command: &KeysCommand) -> ExitCode {
    let KeysCommand::Pair { file, add } = command;
    let done = match (file, add) {
        (None, _) => fresh().and_then(|text| io::stdout().write_all(text.as_bytes()).map_err(KeysError::Output)),
        (Some(file), false) => fresh().and_then(|text| create(file, &text)),
        (Some(file), true) => add_to(file),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tsuji: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error("the system gives no random bytes")]
    NoRandomness,
    #[error("standard output")]
    Output(#[source] io::Error),
    #[error("{} is there already, and its key may be in use; --add adds a second one to it", .0.display())]
    Exists(PathBuf),
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} is no key file", path.display())]
    Fault { path: PathBuf, source: KeyFileFault },
    #[error("no key was added to {}", path.display())]
    UnderWay { path: PathBuf, source: RotationUnderWay },
}

fn secret() -> Result<[u8; SECRET], KeysError> {
    let mut secret = [0; SECRET];
    rand::fill(&mut secret).map_err(|_| KeysError::NoRandomness)?;
    Ok(secret)
}

fn fresh() -> Result<String, KeysError> {
    secret().map(|secret| key::fresh_file(&secret))
}

/// A new file. One that is there stays what it is, and so does one that somebody makes at the same moment.
fn create(path: &Path, text: &str) -> Result<(), KeysError> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(KeysError::Exists(path.to_owned())),
        Err(source) => return Err(KeysError::Write { path: path.to_owned(), source }),
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|source| {
        // Half a key file is of no use and would be in the way of the next attempt. If it cannot be removed either, the next
        // attempt says that it is there.
        let _best_effort = fs::remove_file(path);
        KeysError::Write { path: path.to_owned(), source }
    })
}

fn add_to(path: &Path) -> Result<(), KeysError> {
    let text = read(path).map_err(|source| KeysError::Read { path: path.to_owned(), source })?;
    let keys = PairKeys::parse(&text).map_err(|source| KeysError::Fault { path: path.to_owned(), source })?;
    let text = key::file_with(&keys, &secret()?);
    let text = text.map_err(|source| KeysError::UnderWay { path: path.to_owned(), source })?;
    replace(path, &text).map_err(|source| KeysError::Write { path: path.to_owned(), source })
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    OpenOptions::new().read(true).open(path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// In one step: a file that is half there would be no key, and the dispatcher may read it just now. It stays its owner's, who may
/// not be the one who types this.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let owner = fs::metadata(path)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&draft)?;
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    chown(&draft, Some(owner.uid()), Some(owner.gid()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)
}

/// Who can read the key can be the partner.
const MODE: u32 = 0o600;

/// Two keys with a page of comments; a path that leads elsewhere is not read to its end.
const MOST_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(path: &Path) -> PairKeys {
        PairKeys::parse(&fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn a_key_file_is_made_once_and_gets_one_more_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pair.key");
        create(&path, &fresh().unwrap()).unwrap();
        let made = fs::read(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), keys(&path).all().count()), (MODE, 1));
        assert!(matches!(create(&path, &fresh().unwrap()), Err(KeysError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), made, "left alone");

        let first = keys(&path).sealing().id();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        add_to(&path).unwrap();
        assert_eq!((mode(&path), keys(&path).all().count()), (MODE, 2), "and closed to others");
        assert_eq!(keys(&path).sealing().id(), first);
        assert!(matches!(add_to(&path), Err(KeysError::UnderWay { .. })));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no drafts are left");
    }

    #[test]
    fn two_keys_are_never_the_same() {
        assert_ne!(fresh().unwrap(), fresh().unwrap());
    }

    #[test]
    fn nothing_is_added_to_what_is_no_key_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pair.key");
        assert!(matches!(add_to(&path), Err(KeysError::Read { .. })));
        fs::write(&path, "cluster add www\n").unwrap();
        assert!(matches!(add_to(&path), Err(KeysError::Fault { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "cluster add www\n");
    }
}
