//! The structures that the XDP program shares with this process: `datapath/xdp/program/layout.h` in Rust.
//!
//! Mapping a table fails when the kernel's elements have another size; that each field is at its place is shown by
//! `tests/packets`, which fills the tables from here and lets the program and its twin decide by them.

use super::shared_array::Plain;

/// Of the layout and of what its fields mean. What a daemon takes over of tables with another number, `datapath::xdp` says
/// (`heritage.rs`).
pub const SCHEMA: u32 = 1;

/// Declares structures that are plain in the sense of [`Plain`], which the sizes at their ends prove half of.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident[$size:literal] { $($field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        #[repr(C)]
        pub struct $name {
            $(pub $field: $kind,)*
        }
        const _: () = assert!(size_of::<$name>() == $size && $size == 0 $(+ size_of::<$kind>())*);
        // SAFETY: `repr(C)`, numbers and arrays of numbers only; the sum of the fields' sizes is the size, so there is
        // no padding; sizes are multiples of 8.
        #[expect(unsafe_code, reason = "see SAFETY")]
        unsafe impl Plain for $name {}
    )*};
}

plain! {
    /// Four connections: {key, value} each.
    Bucket[64] { words: [u64; 8], }
    /// The flow behind a fingerprint; addresses and ports as they lie in a packet.
    Tuple[40] { saddr: [u32; 4], daddr: [u32; 4], ports: [u16; 2], protocol: u8, pad: [u8; 3], }
    /// An address with one port, or, with port 0, all that it has besides.
    Service[32] {
        address: [u32; 4], port: u16, family: u8, flags: u8, service: u16, touch: u8, ranges: u8, line: u32, pad: u32,
    }
    /// A run of ports, host order, both included.
    Range[8] { first: u16, last: u16, service: u16, flags: u8, touch: u8, }
    /// The line of a service's policy.
    Selection[16] { line: u64, identity: u64, }
    /// A service's first line.
    Policy[64] {
        flags: u16, rules: u8, prefix6: u8, mask4: u32, group: u32, sticky: u32, siblings: u32, siblings_length: u32,
        target: Target, lines: u32, pad: [u32; 4],
    }
    /// Clients from `first` to `last`, as numbers of 128 bits in two halves, the upper one first.
    Rule[64] { first: [u64; 2], last: [u64; 2], target: Target, family: u32, pad: [u32; 2], }
    /// A line of the plan, whatever lies in it.
    Line[64] { words: [u64; 8], }
    /// The turn of a ring, and how often its rule chose.
    Cursor[64] { next: u64, hits: u64, identity: u64, pad: [u64; 5], }
    /// Where a server's frames go.
    Server[64] {
        mac: [u8; 6], source: [u8; 6], ifindex: u32, flags: u16, host: u16, epoch: u32, identity: u64, machine: u64,
        pad: [u64; 3],
    }
    /// Per CPU and server.
    Counters[64] {
        packets: u64, bytes: u64, opened: u64, closed_fin: u64, closed_rst: u64, picked_up: u64, sticky: u64, resets: u64,
    }
    /// Per CPU and reason.
    Tally[16] { packets: u64, bytes: u64, }
    /// Per CPU: the flood gauge.
    Gauge[64] { serial: u32, window: u32, created: u32, picked_up: u32, stateless: u32, pad: [u32; 11], }
    /// What changes while the program runs.
    Live[8528] {
        bank: u32, flags: u32, clock_offset: u64, salt: [u64; 2], new_limit: u32, partners: u32, partner: [[u8; 8]; 4],
        schema: u32, buckets: u32, keys: [u64; 32],
        gate: Gate,
    }
    /// Per CPU: a packet whose flow is not known, while it is decided on.
    Work[192] { words: [u64; 24], }
}

/// Where a choice comes from: server numbers in lines of the plan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Target {
    pub ring: u32,
    pub ring_length: u32,
    pub maglev: u32,
    pub maglev_length: u32,
    pub cursor: u32,
}

/// A bit for the last 16 bits of each cluster address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(transparent)]
pub struct Gate(pub [u64; 1024]);

impl Default for Gate {
    fn default() -> Self {
        Self([0; 1024])
    }
}

impl Counters {
    /// Field by field, wrapping.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }

    /// Field by field, wrapping.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.each(other, u64::wrapping_sub)
    }

    fn each(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            packets: of(self.packets, other.packets),
            bytes: of(self.bytes, other.bytes),
            opened: of(self.opened, other.opened),
            closed_fin: of(self.closed_fin, other.closed_fin),
            closed_rst: of(self.closed_rst, other.closed_rst),
            picked_up: of(self.picked_up, other.picked_up),
            sticky: of(self.sticky, other.sticky),
            resets: of(self.resets, other.resets),
        }
    }
}
