//! Keywords whose value is copied at creation.

use super::Keyword;
use super::Preset::{Seconds, Told, Whole};
use super::value_kind::{fractions, seconds, whole};

/// Keywords whose value is copied at creation: from the executor into a cluster, from a cluster into a port.
pub static INHERITED: [&str; 5] = ["stickytime", "stickymask", "stickymask6", "weightbound", "staletimeout"];

// A record without end is a leak, so 32,000,000 s (a year), IBM's own largest default, is the most.
pub(super) const STICKYTIME: Keyword = Keyword::new(
    "stickytime",
    seconds(0, 32_000_000),
    Seconds(0),
    "how long a client stays with its server; 0: no affinity",
);
pub(super) const STICKYMASK: Keyword =
    Keyword::new("stickymask", whole(1, 32), Whole(32), "leading bits of an IPv4 client that make it the same client");
pub(super) const STICKYMASK6: Keyword = Keyword::new(
    "stickymask6",
    whole(1, 128),
    Whole(128),
    "leading bits of an IPv6 client that make it the same client",
);
pub(super) const WEIGHTBOUND: Keyword =
    Keyword::new("weightbound", whole(1, 100), Whole(20), "the largest weight that the manager gives");
pub(super) const STALETIMEOUT: Keyword = Keyword::new(
    "staletimeout",
    fractions(100, 32_000_000),
    Told("300, port 21: 900, port 23: 32000000"),
    "without a byte in either direction on a tcp connection or tunnel",
);
