//! The program's tables, mapped into this process.

use std::io;
use std::os::fd::AsFd;

use aya::maps::{Map, MapData};

use crate::sys::datapath_layout::{
    Bucket, Counters, Cursor, Gauge, Line, Live, Selection, Server, Service, Tally, Tuple, Work,
};
use crate::sys::shared_array::{Plain, SharedArray};

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
