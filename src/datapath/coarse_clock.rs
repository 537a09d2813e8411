//! The clock of the connection table, as the XDP program reads it.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::packet::connections::TIME_SHIFT;

/// Now, in the table's units (see [`units`](crate::packet::connections::units)), wrapping.
pub(super) fn coarse_units() -> u32 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).map_or(Duration::ZERO, Duration::from);
    (now.as_nanos() >> TIME_SHIFT) as u32
}
