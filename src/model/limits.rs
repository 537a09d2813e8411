//! How many of each thing one dispatcher holds. Each bound is far above any site we know of and exists
//! so that a mistaken or hostile configuration ends in a message, not in swallowed memory.

/// Clusters of one dispatcher (IBM's default was 100).
pub const MAX_CLUSTERS: usize = 4096;
/// Ports of one dispatcher over all clusters; each costs one listening socket per worker.
pub const MAX_PORTS: usize = 4096;
/// Servers of one port (IBM's default was 32). A ring of this many at weight 100 has 102,400 places.
pub const MAX_SERVERS_PER_PORT: usize = 1024;
/// Servers of one dispatcher over all ports: a thousand ports with IBM's 32 each. Twice as many, with no word more than they
/// need, would not fit into a file of 4 MiB, so what was saved could not be loaded.
pub const MAX_SERVERS: usize = 32_768;
/// Ranges of ports of one cluster address, port 0 included. A packet whose port has no object of its own is held against
/// each of them, and the kernel's verifier follows every step.
pub const MAX_PORT_RANGES: usize = 16;
/// Rules of one port; they are asked one after the other for each new connection.
pub const MAX_RULES_PER_PORT: usize = 256;
/// Groups of one port: applications that share it.
pub const MAX_GROUPS_PER_PORT: usize = 512;
/// Routes of one port; each request is held against all of them.
pub const MAX_ROUTES_PER_PORT: usize = 1024;
/// Paths of all routes of one port, for the same reason.
pub const MAX_ROUTE_PATTERNS: usize = 16_384;
/// Characters of a name. IBM allows 20 for rules; host names of servers need more.
pub const MAX_NAME: usize = 64;
