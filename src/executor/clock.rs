//! Moments as numbers, for what workers share in atomic words.

use std::sync::OnceLock;
use std::time::Instant;

/// Milliseconds since a moment that is the same for the whole process and well before any that is asked about.
pub(super) fn millis(now: Instant) -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(|| now);
    // A table made in pretended time may look back; 2^40 ms are 34 years.
    let behind = origin.saturating_duration_since(now).as_millis();
    let ahead = now.saturating_duration_since(origin).as_millis();
    let millis = (1_u128 << 40) + ahead - behind.min(1 << 39);
    u64::try_from(millis).unwrap_or(u64::MAX >> 2)
}
