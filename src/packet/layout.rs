//! What the numbers and bits in the tables mean, for who writes them and for who decides by them.
//!
//! `datapath/xdp/program/layout.h` says the same in C; [`crate::sys::datapath_layout`] has the structures.

use crate::model::MAX_PORT_RANGES;

/// Servers that the tables hold; each has counters of its own for every CPU.
pub const MAX_SERVERS: u32 = 4096;
/// Services that the tables hold.
pub const MAX_SERVICES: u32 = 4096;
/// In place of a server's number: nobody.
pub const NO_SERVER: u16 = 0xffff;
/// Lines of the plan, of 64 bytes each.
pub const PLAN_LINES: u32 = 65536;
/// Server numbers in a line of the plan.
pub const WORDS_A_LINE: usize = 32;
/// Runs of ports in a line of the plan.
pub const RANGES_A_LINE: usize = 8;
/// Runs of ports that an address may have.
pub const RANGES: usize = MAX_PORT_RANGES;
/// Rules of a service that may ask for the client's address.
pub const RULES: usize = 16;
/// Turns of rings, one for each rule and one for each service.
pub const CURSORS: u32 = 16384;
/// Places for what is counted by reason; more than there are reasons.
pub const REASONS: u32 = 32;
/// A window of the flood gauge lasts this many units of the tables' time, as a power of two.
pub const FLOOD_WINDOW_SHIFT: u32 = 2;

/// Places in each of the service table's two banks.
pub const SERVICE_BANK: u32 = 8192;
/// Steps within which an entry of the service table is found.
pub const SERVICE_PROBES: u32 = 4;
/// An odd number with its bits well mixed: 2^64 over the golden ratio.
pub const SERVICE_MIX: u64 = 0x9e37_79b9_7f4a_7c15;
const SERVICE_HASH_SHIFT: u32 = 51;

/// Where the search for a service begins in its bank; `hash_service` of the program. Address and port are as on the wire.
pub fn service_place(address: &[u32; 4], port: u16, salt: u64) -> u32 {
    let [a, b, c, d] = address.map(u64::from);
    let (upper, lower) = (b << 32 | a, d << 32 | c);
    let mixed = upper.wrapping_mul(SERVICE_MIX) ^ lower ^ u64::from(port);
    (mixed.wrapping_mul(salt) >> SERVICE_HASH_SHIFT) as u32
}

/// One bit each, in what is said of a service or of a run of ports.
pub mod service {
    pub const EXACT: u8 = 1;
    pub const STICKY: u8 = 2;
    pub const UNRECORDED: u8 = 4;
    pub const UNSERVED_PASS: u8 = 8;
}

/// One bit each, in a policy.
pub mod policy {
    pub const HASH: u16 = 1;
    pub const PICKUP: u16 = 2;
    pub const CROSSPORT: u16 = 4;
}

/// One bit each, in what is said of a server.
pub mod server {
    pub const AFFINITY: u16 = 1;
    pub const DOWN: u16 = 2;
    pub const DEAD: u16 = 4;
    pub const RESET: u16 = 8;
    pub const LOCAL: u16 = 16;
    pub const STICKY_NO: u16 = 32;
    pub const FORGOTTEN: u16 = 64;
}

/// One bit each, in what holds for all packets.
pub mod live {
    pub const ACTIVE: u32 = 1;
    pub const STATELESS: u32 = 2;
    pub const WILDCARD4: u32 = 4;
    pub const WILDCARD6: u32 = 8;
    pub const IPV6: u32 = 16;
}
