//! Moments as text. Thousands of lines share a second, so its text is kept.

use super::digits::two;

/// Seconds that local time is ahead of UTC at this second since 1970.
pub type Offset = Box<dyn FnMut(i64) -> i32 + Send>;

/// The last second that was written, in both forms.
pub(super) struct Stamp {
    offset: Offset,
    local: Option<(u64, [u8; LOCAL])>,
    utc: Option<(u64, [u8; UTC])>,
}

const LOCAL: usize = "10/Oct/2000:13:55:36 -0700".len();
const UTC: usize = "2000-10-10T20:55:36".len();

impl Stamp {
    pub fn new(offset: Offset) -> Self {
        Self { offset, local: None, utc: None }
    }

    /// `10/Oct/2000:13:55:36 -0700`, as Apache writes it.
    pub fn local(&mut self, micros: u64) -> [u8; LOCAL] {
        let second = micros / 1_000_000;
        match self.local {
            Some((known, text)) if known == second => text,
            _ => {
                let ahead = (self.offset)(second as i64);
                let text = local_text(second, i64::from(ahead));
                self.local = Some((second, text));
                text
            }
        }
    }

    /// `2000-10-10T20:55:36`; the caller puts what is left of the second behind it.
    pub fn utc(&mut self, micros: u64) -> [u8; UTC] {
        let second = micros / 1_000_000;
        match self.utc {
            Some((known, text)) if known == second => text,
            _ => {
                let text = utc_text(second);
                self.utc = Some((second, text));
                text
            }
        }
    }
}

impl std::fmt::Debug for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stamp").finish_non_exhaustive()
    }
}

/// A moment as people count.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

/// Years up to 9999 and from 1970: beyond that the clock is wrong, and the text is as wrong as the clock.
fn civil(seconds: u64) -> Civil {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days to civil, for days from 1970 on: years begin in March, so that leap days are their last.
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    Civil { year: year % 10_000, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
}

fn local_text(second: u64, ahead: i64) -> [u8; LOCAL] {
    let Civil { year, month, day, hour, minute, second } = civil(second.saturating_add_signed(ahead));
    let sign = if ahead < 0 { b'-' } else { b'+' };
    let off = ahead.unsigned_abs() / 60;
    let [d0, d1] = two(day);
    let [m0, m1, m2] = MONTHS.get(month.wrapping_sub(1) as usize).copied().unwrap_or_default();
    let ([y0, y1], [y2, y3]) = (two(year / 100), two(year));
    let ([h0, h1], [n0, n1], [s0, s1]) = (two(hour), two(minute), two(second));
    let ([o0, o1], [o2, o3]) = (two(off / 60), two(off % 60));
    [
        d0, d1, b'/', m0, m1, m2, b'/', y0, y1, y2, y3, b':', h0, h1, b':', n0, n1, b':', s0, s1, b' ', sign, o0, o1,
        o2, o3,
    ]
}

const MONTHS: [[u8; 3]; 12] =
    [*b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct", *b"Nov", *b"Dec"];

fn utc_text(second: u64) -> [u8; UTC] {
    let Civil { year, month, day, hour, minute, second } = civil(second);
    let ([y0, y1], [y2, y3]) = (two(year / 100), two(year));
    let ([m0, m1], [d0, d1]) = (two(month), two(day));
    let ([h0, h1], [n0, n1], [s0, s1]) = (two(hour), two(minute), two(second));
    [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1]
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn moments_read_as_a_calendar_writes_them() {
        let moments = (0..4_000u64).map(|step| step * 999_331).chain([0, 951_782_399, 951_782_400, 4_107_542_399]);
        let zones: Vec<TimeZone> = [0, 3600, -12_600, 45_900]
            .map(|ahead| TimeZone::fixed(jiff::tz::Offset::from_seconds(ahead).unwrap()))
            .into();
        for second in moments.map(|second| second + 86_400) {
            let at = Timestamp::from_second(second as i64).unwrap();
            for zone in &zones {
                let ahead = zone.to_offset(at).seconds();
                let mut stamp = Stamp::new(Box::new(move |_| ahead));
                let local = at.to_zoned(zone.clone()).strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
                assert_eq!(std::str::from_utf8(&stamp.local(second * 1_000_000 + 999_999)), Ok(local.as_str()));
                let utc = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
                assert_eq!(std::str::from_utf8(&stamp.utc(second * 1_000_000)), Ok(utc.as_str()));
            }
        }
    }

    #[test]
    fn a_clock_far_off_makes_a_text_all_the_same() {
        let mut stamp = Stamp::new(Box::new(|_| -86_399));
        for micros in [0, 1, u64::MAX] {
            assert_eq!((stamp.local(micros).len(), stamp.utc(micros).len()), (LOCAL, UTC));
        }
    }
}
