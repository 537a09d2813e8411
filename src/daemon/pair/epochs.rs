//! The epochs of the last claims, on the disk: a dispatcher that starts claims with a higher one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::daemon::keeper::{KeepError, Keeper};
use crate::high_availability::{Epoch, GroupId};

/// The file, and what is in it.
#[derive(Debug)]
pub(super) struct Epochs {
    path: PathBuf,
    known: RefCell<BTreeMap<u8, u64>>,
}

impl Epochs {
    /// Reads `pair-epochs` of the state directory. A file that is not there or not understood is told, and counts for nothing:
    /// the partner knows the epochs, too.
    pub fn read(state: &Path) -> Self {
        let path = state.join("pair-epochs");
        let known = match fs::read_to_string(&path) {
            Ok(text) => parse(&text).unwrap_or_else(|| {
                tracing::warn!("{} is not understood; the pair's epochs begin anew", path.display());
                BTreeMap::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                tracing::warn!("cannot read {}: {error}; the pair's epochs begin anew", path.display());
                BTreeMap::new()
            }
        };
        Self { path, known: RefCell::new(known) }
    }

    pub fn all(&self) -> Vec<(GroupId, Epoch)> {
        self.known.borrow().iter().map(|(group, epoch)| (GroupId(*group), Epoch(*epoch))).collect()
    }

    /// Writes a new epoch down; it is on the disk when this returns.
    pub async fn keep(&self, keeper: &Keeper, group: GroupId, epoch: Epoch) -> Result<(), KeepError> {
        let text = {
            let mut known = self.known.borrow_mut();
            let kept = known.entry(group.0).or_default();
            *kept = epoch.0.max(*kept);
            write(&known)
        };
        keeper.keep(&self.path, text).await
    }
}

/// A line for each group: its number, its epoch.
fn write(epochs: &BTreeMap<u8, u64>) -> String {
    epochs.iter().fold(String::new(), |mut text, (group, epoch)| {
        let _infallible = writeln!(text, "{group} {epoch}");
        text
    })
}

fn parse(text: &str) -> Option<BTreeMap<u8, u64>> {
    text.lines()
        .map(|line| {
            let (group, epoch) = line.split_once(' ')?;
            Some((group.parse().ok()?, epoch.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_read_as_they_were_written() {
        let epochs = BTreeMap::from([(0, 7), (1, u64::MAX)]);
        assert_eq!(parse(&write(&epochs)), Some(epochs));
        assert_eq!(parse(""), Some(BTreeMap::new()));
        for broken in ["x 1", "0", "0 1 2", "256 1", "0 -1"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
