//! The program's tables, mapped into this process.

use std::io;
use std::os::fd::AsFd;

use aya::maps::{Map, MapData};

use crate::packet::connections::SLOTS;
use crate::packet::forward;
use crate::packet::layout::{CURSORS, MAX_SERVERS, MAX_SERVICES, PLAN_LINES, REASONS, SERVICE_BANK};
use crate::sys::datapath_layout::{
    Bucket, Counters, Cursor, Gauge, Line, Live, Selection, Server, Service, Tally, Tuple, Work,
};
use crate::sys::shared_array::{Plain, SharedArray};

use super::load::Sizes;

/// The arrays. What the program writes here is seen at once, and the other way round.
#[derive(Debug)]
pub struct Tables {
    pub connections: SharedArray<Bucket>,
    pub tuples: SharedArray<Tuple>,
    pub services: SharedArray<Service>,
    /// The line of each service's policy: the word that swaps one plan for the next.
    pub selection: SharedArray<Selection>,
    pub plan: SharedArray<Line>,
    pub cursors: SharedArray<Cursor>,
    pub servers: SharedArray<Server>,
    pub counters: SharedArray<Counters>,
    pub reasons: SharedArray<Tally>,
    pub gauges: SharedArray<Gauge>,
    pub works: SharedArray<Work>,
    pub live: SharedArray<Live>,
}

/// A map that is not as this version expects it.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("the program has no map \"{0}\"")]
    Missing(&'static str),
    #[error("the map \"{0}\" is no array")]
    NotAnArray(&'static str),
    #[error("the map \"{name}\" has elements of {found} bytes, {expected} are expected")]
    ElementSize { name: &'static str, found: u32, expected: u32 },
    #[error("the map \"{name}\": {source}")]
    Kernel { name: &'static str, source: io::Error },
}

impl Tables {
    /// Maps all arrays among `maps`.
    pub fn map(maps: &mut dyn FnMut(&str) -> Option<Map>) -> Result<Self, TableError> {
        Ok(Self {
            connections: array("connections", maps)?,
            tuples: array("tuples", maps)?,
            services: array("services", maps)?,
            selection: array("selection", maps)?,
            plan: array("plan", maps)?,
            cursors: array("cursors", maps)?,
            servers: array("servers", maps)?,
            counters: array("counters", maps)?,
            reasons: array("reasons", maps)?,
            gauges: array("gauges", maps)?,
            works: array("works", maps)?,
            live: array("live", maps)?,
        })
    }

    /// Tables of the same layout in this process's memory.
    pub fn in_process(sizes: &Sizes) -> io::Result<Self> {
        Ok(Self {
            connections: SharedArray::anonymous(sizes.buckets)?,
            tuples: SharedArray::anonymous(sizes.buckets.saturating_mul(SLOTS))?,
            services: SharedArray::anonymous(2 * SERVICE_BANK)?,
            selection: SharedArray::anonymous(MAX_SERVICES)?,
            plan: SharedArray::anonymous(PLAN_LINES)?,
            cursors: SharedArray::anonymous(CURSORS)?,
            servers: SharedArray::anonymous(MAX_SERVERS)?,
            counters: SharedArray::anonymous(MAX_SERVERS * sizes.cpus)?,
            reasons: SharedArray::anonymous(REASONS * sizes.cpus)?,
            gauges: SharedArray::anonymous(sizes.cpus)?,
            works: SharedArray::anonymous(sizes.cpus)?,
            live: SharedArray::anonymous(1)?,
        })
    }

    /// What was counted of a server, over all lanes.
    pub fn counted(&self, server: u32) -> Counters {
        let lanes = 0..self.counters.len() / MAX_SERVERS;
        let of_lanes = lanes.filter_map(|lane| self.counters.get(lane * MAX_SERVERS + server));
        of_lanes.fold(Counters::default(), Counters::plus)
    }

    /// What was counted for the reason of this number, over all lanes.
    pub fn tallied(&self, reason: u32) -> Tally {
        let lanes = 0..self.reasons.len() / REASONS;
        let of_lanes = lanes.filter_map(|lane| self.reasons.get(lane * REASONS + reason));
        of_lanes.fold(Tally::default(), |sum, tally| Tally {
            packets: sum.packets + tally.packets,
            bytes: sum.bytes + tally.bytes,
        })
    }

    /// The words of all of them, as decisions in this process take them.
    pub fn words(&self) -> forward::Tables<'_> {
        forward::Tables {
            connections: self.connections.words(),
            tuples: self.tuples.words(),
            services: self.services.words(),
            selection: self.selection.words(),
            plan: self.plan.words(),
            cursors: self.cursors.words(),
            servers: self.servers.words(),
            counters: self.counters.words(),
            reasons: self.reasons.words(),
            gauges: self.gauges.words(),
            live: self.live.words(),
        }
    }
}

fn array<T: Plain>(
    name: &'static str,
    maps: &mut dyn FnMut(&str) -> Option<Map>,
) -> Result<SharedArray<T>, TableError> {
    let Map::Array(data) = maps(name).ok_or(TableError::Missing(name))? else {
        return Err(TableError::NotAnArray(name));
    };
    map_array(name, &data)
}

fn map_array<T: Plain>(name: &'static str, data: &MapData) -> Result<SharedArray<T>, TableError> {
    let kernel = |source| TableError::Kernel { name, source };
    let info = data.info().map_err(|error| kernel(io::Error::other(error)))?;
    let expected = size_of::<T>() as u32;
    if info.value_size() != expected {
        return Err(TableError::ElementSize { name, found: info.value_size(), expected });
    }
    SharedArray::map(data.fd().as_fd(), info.max_entries()).map_err(kernel)
}
