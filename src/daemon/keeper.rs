//! Writes small files whole: a reader finds the old content or the new, never a mixture.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::privileges::without_rights;

/// Files that wait for the disk. Changes come at the pace of people; if this many wait, the disk hangs and the next
/// one is refused at once.
const WAITING: usize = 64;

/// How long an operator waits for a disk that hangs, and with him everybody who wants to change something.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

/// A thread of its own for the disk, so that a disk that hangs holds up nobody but those who wait for it.
#[derive(Clone, Debug)]
pub struct Keeper(SyncSender<Job>);

#[derive(Debug)]
struct Job {
    path: PathBuf,
    content: Vec<u8>,
    done: oneshot::Sender<Result<(), KeepError>>,
}

/// Why a file was not written. The old one is still there.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: the disk does not answer, {WAITING} files wait for it", path = .path.display())]
    Busy { path: PathBuf },
    #[error("cannot write {path}: the disk has not answered within {} s", DISK_PATIENCE.as_secs(), path = .path.display())]
    Late { path: PathBuf },
}

impl Keeper {
    /// Starts the thread; it ends when the last keeper is dropped.
    pub fn start() -> io::Result<Self> {
        let (sender, jobs) = sync_channel(WAITING);
        thread::Builder::new().name("tsuji-keeper".to_owned()).spawn(move || {
            without_rights();
            work(jobs);
        })?;
        Ok(Self(sender))
    }

    /// Puts `content` in the place of the file at `path`, on the disk when this returns.
    pub async fn keep(&self, path: &Path, content: impl Into<Vec<u8>>) -> Result<(), KeepError> {
        let (done, outcome) = oneshot::channel();
        let busy = || KeepError::Busy { path: path.to_owned() };
        let job = Job { path: path.to_owned(), content: content.into(), done };
        self.0.try_send(job).map_err(|_| busy())?;
        let outcome = tokio::time::timeout(DISK_PATIENCE, outcome).await;
        outcome.map_err(|_| KeepError::Late { path: path.to_owned() })?.map_err(|_| busy())?
    }
}

fn work(jobs: Receiver<Job>) {
    for job in jobs {
        let outcome = replace(&job.path, &job.content);
        let outcome = outcome.map_err(|source| KeepError::Write { path: job.path, source });
        // Nobody listens any more when the asker was cancelled; the file is written all the same.
        let _ = job.done.send(outcome);
    }
}

/// Writes beside the file, then renames: whatever happens in between, the old file is whole. The directory is made when it
/// is not there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    write_through(&beside, content).and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })?;
    File::open(directory)?.sync_all()
}

fn write_through(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_content_takes_the_place_of_the_old() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("saved.toml");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_whole() {
        // /dev/full takes the file and refuses its content, as a full disk does.
        let error = write_through(Path::new("/dev/full"), b"content").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("saved.toml");
        replace(&path, b"old").unwrap();
        fs::create_dir(directory.path().join("saved.toml.new")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
