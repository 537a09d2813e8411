//! The least rate at which a client's body has to come.
//!
//! A timer that every byte sets anew is no bound: a byte a minute holds a request, its server's connection and their memory
//! for ever. So the time that is spent waiting for the client is added up over the whole body, and each byte buys some of it.
//! What the server lets us wait for is not the client's.

use std::time::{Duration, Instant};

use crate::model::PortLimits;

#[derive(Clone, Copy, Debug)]
pub(super) struct BodyRate {
    /// Bytes a second; 0: any.
    least: u32,
    /// Time that is not counted.
    grace: Duration,
    /// For the client, so far.
    waited: Duration,
    since: Option<Instant>,
}

impl BodyRate {
    pub fn new(limits: &PortLimits) -> Self {
        Self { least: limits.body_rate, grace: limits.body_grace, waited: Duration::ZERO, since: None }
    }

    /// The client is waited for from now on, after so many bytes of it. By when the next have to be here; `None`: any time.
    pub fn wait(&mut self, so_far: u64, now: Instant) -> Option<Instant> {
        if self.least == 0 {
            return None;
        }
        self.since = Some(now);
        let earned = Duration::from_millis(so_far.saturating_mul(1000) / u64::from(self.least));
        now.checked_add(self.grace.saturating_add(earned).saturating_sub(self.waited))
    }

    /// More has come.
    pub fn came(&mut self, now: impl Fn() -> Instant) {
        if let Some(since) = self.since.take() {
            self.waited += now().saturating_duration_since(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that come so far apart; after how long the client is cut.
    fn lasts(least: u32, bytes: u64, apart: Duration) -> Option<Duration> {
        let start = Instant::now();
        let (mut rate, mut now, mut so_far) =
            (BodyRate::new(&PortLimits { body_rate: least, ..PortLimits::PRESET }), start, 0);
        for _ in 0..10_000 {
            let due = rate.wait(so_far, now)?;
            if now + apart > due {
                return Some(due - start);
            }
            now += apart;
            rate.came(|| now);
            so_far += bytes;
        }
        None
    }

    #[test]
    fn who_brings_less_is_cut_however_it_is_spread() {
        let second = Duration::from_secs(1);
        assert_eq!(lasts(500, 1, 59 * second), Some(10 * second));
        assert_eq!(lasts(500, 1, second / 2), Some(10 * second + Duration::from_millis(40)));
        let almost = lasts(500, 499, second).unwrap();
        assert!(almost > 1000 * second, "{almost:?}: short of it by a thousandth");
    }

    #[test]
    fn who_brings_as_much_is_not() {
        let second = Duration::from_secs(1);
        assert_eq!(lasts(500, 500, second), None);
        assert_eq!(lasts(500, 5000, 9 * second), None, "in bursts");
        assert_eq!(lasts(0, 1, 3600 * second), None, "nothing is asked for");
    }
}
