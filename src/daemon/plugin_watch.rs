//! Looks whether a plugin-cfg.xml has changed, and has it loaded again.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use crate::config::import::{Front, import_plugin};

use super::desk::Desk;
use super::files;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// The plug-in's own default.
const DEFAULT_REFRESH: Duration = Duration::from_secs(60);

/// A file that is written just now is left alone until it rests.
const REST: Duration = Duration::from_millis(500);

/// A file and the state of it that is loaded.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    known: Option<Stamp>,
}

impl Watch {
    /// Of a file that is about to be loaded.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), known: stamp(path) }
    }

    /// Looks every RefreshInterval; a negative one means never. A file that cannot be used leaves everything as it is (which
    /// loading sees to) and is looked at again when it has changed once more.
    pub async fn run(mut self, desk: Rc<Desk>) {
        let path = self.path.as_path();
        let (_, said) = look(path).await;
        let mut refresh = said.unwrap_or(Some(DEFAULT_REFRESH));
        while let Some(interval) = refresh {
            tokio::time::sleep(interval).await;
            let stamp = stamp_of(path).await;
            if stamp.is_none() || stamp == self.known {
                continue;
            }
            let (settled, next) = settle(path).await;
            tracing::info!(target: "tsuji::state", file = %path.display(), "the plug-in's configuration has changed");
            desk.reload().await;
            self.known = settled;
            // A broken file says nothing about it.
            refresh = next.unwrap_or(refresh);
        }
    }
}

/// Waits until the file is the same at two looks.
async fn settle(path: &Path) -> (Option<Stamp>, Option<Refresh>) {
    let mut before = stamp_of(path).await;
    loop {
        tokio::time::sleep(REST).await;
        let now = stamp_of(path).await;
        if now == before {
            return look(path).await;
        }
        before = now;
    }
}

async fn stamp_of(path: &Path) -> Option<Stamp> {
    let path = path.to_owned();
    off_thread(move || stamp(&path)).await
}

/// `None`: never.
type Refresh = Option<Duration>;

/// The stamp first: what is written after it shows at the next look.
async fn look(path: &Path) -> (Option<Stamp>, Option<Refresh>) {
    let path = path.to_owned();
    off_thread(move || {
        let stamp = stamp(&path);
        let read = files::read(&path).ok();
        let imported = read.and_then(|text| import_plugin(&text, &path.to_string_lossy(), &Front::default()).ok());
        (stamp, imported.map(|imported| imported.refresh))
    })
    .await
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len() })
}

/// The disk may be slow; the control thread must not wait with it.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("looking at a file does not panic")
}
