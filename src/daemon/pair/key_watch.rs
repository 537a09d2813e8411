//! Looks whether the key file has changed, and has the pair use what is in it now.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, spawn_blocking, spawn_local};

use crate::daemon::chain;
use crate::daemon::heart::Heart;

use super::key::read_keys;

/// Until this is dropped.
#[derive(Debug)]
pub struct KeyWatch(AbortHandle);

/// Between two looks: changing a key is three steps on two machines, by hand.
const EVERY: Duration = Duration::from_secs(2);

/// What tells one state of a file from another.
type Stamp = Option<(u64, i64, i64, u64)>;

impl KeyWatch {
    pub fn start(heart: &Rc<Heart>) -> Self {
        Self(spawn_local(watch(Rc::clone(heart))).abort_handle())
    }
}

impl Drop for KeyWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn watch(heart: Rc<Heart>) {
    let mut known = look(&heart).await;
    loop {
        tokio::time::sleep(EVERY).await;
        let now = look(&heart).await;
        if now == known {
            continue;
        }
        let is_same_file = now.as_ref().map(|now| &now.0) == known.as_ref().map(|known| &known.0);
        known = now;
        // Another file came with a change of the configuration, which has read it.
        let Some((path, Some(_))) = known.clone().filter(|_| is_same_file) else { continue };
        let read = spawn_blocking(move || read_keys(&path)).await.expect("reading a key does not panic");
        match read {
            Ok(keys) => {
                heart.partnership().rekey(Arc::new(keys));
                tracing::info!(target: "tsuji::state", "pair: the key file has changed; what is in it holds now");
            }
            Err(error) => tracing::error!(target: "tsuji::state", "pair: the keys before go on: {}", chain(&error)),
        }
    }
}

/// The key file by the configuration, and its state.
async fn look(heart: &Heart) -> Option<(PathBuf, Stamp)> {
    let path = heart.read(|dispatcher| dispatcher.pair().map(|plan| plan.settings.key.clone()))?;
    spawn_blocking(move || {
        let stamp = stamp(&path);
        Some((path, stamp))
    })
    .await
    .expect("looking at a file does not panic")
}

fn stamp(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some((about.ino(), about.mtime(), about.mtime_nsec(), about.size()))
}
