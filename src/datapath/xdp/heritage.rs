//! What a daemon of another version left: its connections, where they mean the same here, and its place at the interfaces.
//!
//! Tables of another schema lie in a directory of their own. Those that hold what clients would miss (connections, affinity,
//! the numbers of servers and services in both) are pinned here a second time, so that for the moment of the change both
//! programs work on the same ones; all others begin anew. Then this version's program takes the place of the other one at each
//! interface, without a packet in between, and the other pins go.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use aya::maps::{Map, MapData};

use crate::packet::hash::HashKeys;
use crate::packet::layout::MAX_SERVICES;
use crate::sys::datapath_layout::{SCHEMA, Selection};
use crate::sys::shared_array::SharedArray;

use super::load::in_full;
use super::lock::PinLock;
use super::numbers::Identity;
use super::pins::{Legacy, PinError, Pins};

/// Schemas whose [`SHARED`] tables, and what [`Estate`] reads of the others, mean the same as in this one. 0 stands for a version
/// before the first, which tests make of this one. A new schema goes on with those before it for which that is still true.
const ALIKE: [u32; 1] = [0];

/// Tables that this version goes on with.
const SHARED: [&str; 5] = ["connections", "tuples", "servers", "affinity", "fragments"];

/// The pins of another version, for this process alone until this is dropped.
#[derive(Debug)]
pub(super) struct Heritage {
    pins: Pins,
    _lock: PinLock,
}

/// What is read of another version's tables, beyond those that are shared.
#[derive(Debug)]
pub(super) struct Estate {
    pub legacy: Legacy,
    /// The numbers by which connections and affinity records know services.
    pub services: Vec<(u32, Identity)>,
}

impl Heritage {
    /// What other versions left, the newest of them last.
    pub fn all(bpffs: &Path) -> Result<Vec<Self>, PinError> {
        let mut others = Pins::all(bpffs)?;
        others.retain(|pins| pins.schema() != SCHEMA);
        others.into_iter().map(|pins| Ok(Self { _lock: PinLock::take(pins.maps())?, pins })).collect()
    }

    /// The link of an interface, where the other version's program is there.
    pub fn link(&self, interface: u32) -> Option<PathBuf> {
        Some(self.pins.link(interface)).filter(|link| link.exists())
    }

    /// Pins its connections, and what they refer to, in this directory too. `None`: nothing there can be gone on with.
    pub fn share(&self, directory: &Path) -> Option<Estate> {
        let estate = self.estate()?;
        let shared = SHARED.iter().try_for_each(|name| {
            let map = Map::from_map_data(MapData::from_pin(self.pins.maps().join(name))?)?;
            map.pin(directory.join(name)).map_err(|error| aya::maps::MapError::PinError { name: None, error })
        });
        if let Err(error) = shared {
            SHARED.iter().for_each(|name| drop(fs::remove_file(directory.join(name))));
            tracing::warn!("tables of schema {} cannot be shared: {}", self.pins.schema(), in_full(&error));
            return None;
        }
        Some(estate)
    }

    fn estate(&self) -> Option<Estate> {
        let is_alike = ALIKE.contains(&self.pins.schema());
        let live = self.pins.live().filter(|live| is_alike && live.buckets >= 2)?;
        let legacy = Legacy { keys: HashKeys(live.keys), buckets: live.buckets };
        Some(Estate { legacy, services: self.services()? })
    }

    fn services(&self) -> Option<Vec<(u32, Identity)>> {
        let pin = self.pins.maps().join("selection");
        let Ok(Map::Array(data)) = Map::from_map_data(MapData::from_pin(pin).ok()?) else { return None };
        let info = data.info().ok()?;
        (info.value_size() as usize == size_of::<Selection>() && info.max_entries() == MAX_SERVICES).then_some(())?;
        let selection = SharedArray::<Selection>::map(data.fd().as_fd(), MAX_SERVICES).ok()?;
        let owned = |number| Some((number, selection.get(number)?.identity)).filter(|(_, owner)| *owner != 0);
        Some((1..MAX_SERVICES).filter_map(owned).map(|(number, owner)| (number, Identity(owner))).collect())
    }

    /// Takes its pins away: they are of no more use.
    pub fn remove(&self) {
        if let Err(error) = self.pins.remove() {
            tracing::warn!("what an earlier version left stays: {error}");
        }
    }

    pub fn schema(&self) -> u32 {
        self.pins.schema()
    }
}
