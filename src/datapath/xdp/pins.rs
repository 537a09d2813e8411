//! What outlives the process: maps and links, pinned in the BPF file system.
//!
//! All lies under one directory, `<bpffs>/tsuji/s<schema>`, so that a version with other tables never takes these for its own;
//! what it may take over all the same, [`heritage`](super::heritage) says.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use aya::maps::{Map, MapData};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use std::os::fd::AsFd;

use crate::packet::hash::HashKeys;
use crate::sys::datapath_layout::{Live, SCHEMA};
use crate::sys::shared_array::SharedArray;

use super::load::PINNED;
use super::lock::{Holder, holder_of};

/// The directory of one version's pins.
#[derive(Clone, Debug)]
pub struct Pins {
    directory: PathBuf,
    schema: u32,
}

/// Why nothing can be pinned, or what is pinned cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("{0} is no BPF file system: `mount -t bpf bpf {0}`, or name the right place as `bpffs` of the executor")]
    NoBpffs(PathBuf),
    #[error("{path}: {source}")]
    Files { path: PathBuf, source: io::Error },
    #[error(
        "{directory} holds tables that are not whole or not of this version; `tsuji datapath detach` removes them, and \
         connections are forgotten"
    )]
    Unusable { directory: PathBuf },
    #[error(
        "the tables in {directory} are in use by {holder}: stop it, or give this one a `bpffs` of its own (a directory that \
         is made in the BPF file system will do)"
    )]
    Held { directory: PathBuf, holder: Holder },
}

/// What an earlier process left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Legacy {
    pub keys: HashKeys,
    pub buckets: u32,
}

impl Pins {
    /// The place of this version's pins; makes the directories.
    pub fn at(bpffs: &Path) -> Result<Self, PinError> {
        let is_bpf = statfs(bpffs).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC);
        if !is_bpf {
            return Err(PinError::NoBpffs(bpffs.to_owned()));
        }
        let directory = bpffs.join(HOUSE).join(format!("s{SCHEMA}"));
        fs::create_dir_all(&directory).map_err(|source| PinError::Files { path: directory.clone(), source })?;
        Ok(Self { directory, schema: SCHEMA })
    }

    /// Root makes the directory of all versions this user's, with what an earlier life as root pinned there.
    pub fn hand_over(bpffs: &Path, uid: u32, gid: u32) -> Result<(), PinError> {
        Self::at(bpffs)?;
        let house = bpffs.join(HOUSE);
        // What belongs to somebody else already was made by him, links included, and is not for root to follow.
        let about = fs::symlink_metadata(&house).map_err(at(&house))?;
        if about.uid() == 0 && about.is_dir() && about.mode() & 0o022 == 0 {
            give(&house, uid, gid)?;
        }
        // systemd mounts it for root alone. Others may go through it now, and still see nothing there.
        let mode = fs::metadata(bpffs).map_err(at(bpffs))?.mode();
        fs::set_permissions(bpffs, fs::Permissions::from_mode(mode | 0o111)).map_err(at(bpffs))
    }

    /// The pins of all versions, the oldest first; makes nothing.
    pub fn all(bpffs: &Path) -> Result<Vec<Self>, PinError> {
        let of = |directory: PathBuf| {
            let schema = directory.file_name()?.to_str()?.strip_prefix('s')?.parse().ok()?;
            Some(Self { directory, schema })
        };
        let mut all: Vec<_> = entries(&bpffs.join(HOUSE))?.into_iter().filter_map(of).collect();
        all.sort_by_key(|pins| pins.schema);
        Ok(all)
    }

    /// Of the tables; another one than [`SCHEMA`]: another version's.
    pub fn schema(&self) -> u32 {
        self.schema
    }

    pub fn maps(&self) -> &Path {
        &self.directory
    }

    pub fn link(&self, interface: u32) -> PathBuf {
        self.directory.join(Self::link_name(interface))
    }

    /// The pin of an interface's link, in the directory.
    pub fn link_name(interface: u32) -> String {
        format!("link-{interface}")
    }

    /// The daemon that uses them now, where it can be told.
    pub fn holder(&self) -> Option<Holder> {
        holder_of(&self.directory)
    }

    /// What is there already of this version's; `None`: nothing.
    pub fn legacy(&self) -> Result<Option<Legacy>, PinError> {
        let present = PINNED.iter().filter(|name| self.directory.join(name).exists()).count();
        if present == 0 {
            return Ok(None);
        }
        let unusable = || PinError::Unusable { directory: self.directory.clone() };
        let live = (present == PINNED.len()).then(|| self.live()).flatten().ok_or_else(unusable)?;
        let whole = live.schema == SCHEMA && live.buckets >= 2;
        whole.then_some(Some(Legacy { keys: HashKeys(live.keys), buckets: live.buckets })).ok_or_else(unusable)
    }

    pub(super) fn live(&self) -> Option<Live> {
        let Ok(Map::Array(data)) = Map::from_map_data(MapData::from_pin(self.directory.join("live")).ok()?) else {
            return None;
        };
        let info = data.info().ok()?;
        (info.value_size() as usize == size_of::<Live>()).then_some(())?;
        SharedArray::<Live>::map(data.fd().as_fd(), 1).ok()?.get(0)
    }

    /// Interfaces with a pinned link, by index.
    pub fn links(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.strip_prefix("link-")?.parse().ok()).collect()
    }

    /// Removes them; how many there were. A program that nobody else holds ends with its pin.
    pub fn remove(&self) -> Result<usize, PinError> {
        let pins = entries(&self.directory)?;
        for pin in &pins {
            fs::remove_file(pin).map_err(|source| PinError::Files { path: pin.clone(), source })?;
        }
        let emptied = fs::remove_dir(&self.directory);
        emptied.map_err(|source| PinError::Files { path: self.directory.clone(), source })?;
        Ok(pins.len())
    }

    /// Removes all pins of all versions below this file system; how many there were.
    pub fn remove_all(bpffs: &Path) -> Result<usize, PinError> {
        let removed = Self::all(bpffs)?.iter().map(Self::remove).sum::<Result<usize, _>>()?;
        let _ = fs::remove_dir(bpffs.join(HOUSE));
        Ok(removed)
    }
}

/// What is in it first: nobody but root may change anything there before all is given.
fn give(path: &Path, uid: u32, gid: u32) -> Result<(), PinError> {
    if fs::symlink_metadata(path).map_err(at(path))?.is_dir() {
        entries(path)?.iter().try_for_each(|entry| give(entry, uid, gid))?;
    }
    lchown(path, Some(uid), Some(gid)).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PinError {
    let path = path.to_owned();
    move |source| PinError::Files { path, source }
}

/// The directory of all versions, in the BPF file system.
const HOUSE: &str = "tsuji";

fn entries(directory: &Path) -> Result<Vec<PathBuf>, PinError> {
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(PinError::Files { path: directory.to_owned(), source }),
    };
    Ok(listed.flatten().map(|entry| entry.path()).collect())
}
