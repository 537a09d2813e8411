//! The local hour, for rules that go by it.

use std::time::Duration;

use jiff::Zoned;

/// The local hour now, 0 to 23.
pub fn hour() -> u8 {
    hour_of(&Zoned::now())
}

/// Time until the hour may be another one: the next full minute, because zones change at full minutes too and the
/// system's clock may be set at any time.
pub fn until_next_look() -> Duration {
    Duration::from_secs(60u64.saturating_sub(u64::from(Zoned::now().second().unsigned_abs())).max(1))
}

fn hour_of(time: &Zoned) -> u8 {
    time.hour().unsigned_abs()
}
