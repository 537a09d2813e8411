//! Partition ids of session ids, and the clone ids that they stand for now (WebSphere's memory-to-memory replication).
//!
//! With it, a session id does not name a server but a partition, and servers tell in their responses who has which:
//! `$WSPT` is the table, `_WS_HAPRT_WLMVERSION` its version. The table is learnt from any worker's response and used by all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;

/// Partitions of one port, as its servers told. It outlives tables.
#[derive(Debug, Default)]
pub struct Partitions {
    known: ArcSwapOption<Known>,
    /// One writer at a time, so that of two tables the newer stays.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Known {
    version: u64,
    clones: Clones,
}

type Id = Box<[u8]>;

/// By partition.
type Clones = HashMap<Id, Box<[Id]>>;

/// Why a table was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotTaken {
    /// It is not newer than the one that is known.
    Old,
    /// It is no table.
    Malformed,
    /// It is larger than a table may be.
    TooLarge,
}

/// Partitions of a table; WebSphere makes one per session domain and replica.
const MOST_PARTITIONS: usize = 4096;
/// Clone ids of one partition.
const MOST_CLONES: usize = 16;
/// Bytes of one id; theirs have 9 to 24.
const LONGEST_ID: usize = 64;

impl Partitions {
    /// The clone ids of a partition, in order, until one is taken.
    pub(super) fn clones(&self, partition: &[u8], take: impl FnMut(&[u8]) -> bool) -> bool {
        let known = self.known.load();
        let Some(clones) = known.as_ref().and_then(|known| known.clones.get(partition)) else { return false };
        clones.iter().map(AsRef::as_ref).any(take)
    }

    /// The version that servers are told; `None`: no table is known.
    pub fn version(&self) -> Option<u64> {
        self.known.load().as_ref().map(|known| known.version)
    }

    /// Partitions that are known.
    pub fn len(&self) -> usize {
        self.known.load().as_ref().map_or(0, |known| known.clones.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the table of a response: `version` and `partition=clone[:clone]...` separated by `;` or `,`. What is malformed
    /// or not newer changes nothing.
    pub fn learn(&self, version: &[u8], table: &[u8]) -> Result<(), NotTaken> {
        let version = std::str::from_utf8(version).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let version = version.ok_or(NotTaken::Malformed)?;
        if self.version().is_some_and(|known| known >= version) {
            return Err(NotTaken::Old);
        }
        let clones = read(table)?;
        let _one_writer = self.writing.lock();
        if self.version().is_some_and(|known| known >= version) {
            return Err(NotTaken::Old);
        }
        self.known.store(Some(Arc::new(Known { version, clones })));
        Ok(())
    }
}

fn read(table: &[u8]) -> Result<Clones, NotTaken> {
    let mut partitions = Clones::new();
    let entries = table.split(|byte| matches!(byte, b';' | b',')).map(<[u8]>::trim_ascii);
    for entry in entries.filter(|entry| !entry.is_empty()) {
        if partitions.len() >= MOST_PARTITIONS {
            return Err(NotTaken::TooLarge);
        }
        let at = entry.iter().position(|&byte| byte == b'=').ok_or(NotTaken::Malformed)?;
        let (partition, clones) = entry.split_at_checked(at).ok_or(NotTaken::Malformed)?;
        let clones = clones.get(1..).unwrap_or_default().split(|byte| matches!(byte, b':' | b'+'));
        let clones: Vec<Box<[u8]>> = clones.filter(|id| is_id(id)).take(MOST_CLONES).map(Into::into).collect();
        if !is_id(partition) || clones.is_empty() {
            return Err(NotTaken::Malformed);
        }
        partitions.insert(partition.into(), clones.into());
    }
    if partitions.is_empty() { Err(NotTaken::Malformed) } else { Ok(partitions) }
}

fn is_id(id: &[u8]) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clones(partitions: &Partitions, partition: &str) -> Vec<String> {
        let mut found = Vec::new();
        partitions.clones(partition.as_bytes(), |clone| {
            found.push(String::from_utf8(clone.to_vec()).unwrap());
            false
        });
        found
    }

    #[test]
    fn the_newest_table_counts() {
        let partitions = Partitions::default();
        assert_eq!(partitions.learn(b"7", b"p1=one:two; p2=two"), Ok(()));
        assert_eq!(
            (clones(&partitions, "p1"), partitions.version()),
            (vec!["one".to_owned(), "two".to_owned()], Some(7))
        );
        assert_eq!(partitions.learn(b"6", b"p1=three"), Err(NotTaken::Old));
        assert_eq!(partitions.learn(b"7", b"p1=three"), Err(NotTaken::Old));
        assert_eq!(partitions.learn(b" 8 ", b"p1=three,p3=one+two"), Ok(()));
        assert_eq!((clones(&partitions, "p1"), clones(&partitions, "p2")), (vec!["three".to_owned()], vec![]));
        assert_eq!(partitions.len(), 2);
    }

    #[test]
    fn a_table_that_lies_changes_nothing() {
        let partitions = Partitions::default();
        partitions.learn(b"1", b"p=one").unwrap();
        let wrong: [(&[u8], &[u8]); 8] = [
            (b"", b"p=two"),
            (b"-1", b"p=two"),
            (b"99999999999999999999999", b"p=two"),
            (b"2", b""),
            (b"2", b"p"),
            (b"2", b"=two"),
            (b"2", b"p="),
            (b"2", b"p=\x01"),
        ];
        for (version, table) in wrong {
            assert_eq!(partitions.learn(version, table), Err(NotTaken::Malformed));
        }
        let many: String = (0..5000).map(|number| format!("p{number}=one;")).collect();
        assert_eq!(partitions.learn(b"2", many.as_bytes()), Err(NotTaken::TooLarge));
        let long = format!("p={}", "x:".repeat(60_000));
        assert_eq!(partitions.learn(b"2", long.as_bytes()), Ok(()));
        assert_eq!(clones(&partitions, "p").len(), MOST_CLONES);
    }
}
