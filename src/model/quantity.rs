//! Numbers with a range.

use std::fmt;

/// A number outside of its range.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{value} is outside {least}..{most}")]
pub struct OutOfRange {
    pub value: u64,
    pub least: u64,
    pub most: u64,
}

fn within(value: u64, least: u64, most: u64) -> Result<u64, OutOfRange> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(OutOfRange { value, least, most }) }
}

/// A server's share of new connections. Zero means: finish what you have, take nothing new.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Weight(u8);

impl Weight {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(100);

    /// 0 to 100.
    pub fn new(value: u64) -> Result<Self, OutOfRange> {
        within(value, 0, u64::from(Self::MAX.0)).map(|value| Self(value as u8))
    }

    /// The nearest weight to `value`; a value that is not a number counts as 0.
    pub fn saturating(value: f64) -> Self {
        Self(value.round().clamp(0.0, f64::from(Self::MAX.0)) as u8)
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The largest weight that the manager may give on a port: 1 makes every healthy server equal, 20 (IBM's
/// default) lets the best take up to twenty times as much as the worst.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WeightBound(u8);

impl WeightBound {
    /// IBM's default.
    pub const DEFAULT: Self = Self(20);

    /// 1 to 100.
    pub fn new(value: u64) -> Result<Self, OutOfRange> {
        within(value, 1, 100).map(|value| Self(value as u8))
    }

    pub fn get(self) -> u8 {
        self.0
    }

    pub fn max(self) -> Weight {
        Weight(self.0)
    }

    /// The weight of a server that nobody gave one: half of the bound, at least 1.
    pub fn initial(self) -> Weight {
        Weight((self.0 / 2).max(1))
    }
}

/// A TCP or UDP port, 1 to 65535; 0 is the wildcard, all ports that no other port object names, for MAC forwarding alone.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortNumber(u16);

impl PortNumber {
    pub fn new(value: u64) -> Result<Self, OutOfRange> {
        within(value, 0, 65535).map(|value| Self(value as u16))
    }

    pub fn is_wildcard(self) -> bool {
        self.0 == 0
    }

    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PortNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many leading bits of a client's address make it "the same client" for affinity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StickyMask {
    /// 1 to 32. IBM offered 8, 16, 24 and 32.
    v4: u8,
    /// 1 to 128.
    v6: u8,
}

impl StickyMask {
    /// The whole address.
    pub const DEFAULT: Self = Self { v4: 32, v6: 128 };

    pub fn new(v4: u64, v6: u64) -> Result<Self, OutOfRange> {
        Ok(Self { v4: within(v4, 1, 32)? as u8, v6: within(v6, 1, 128)? as u8 })
    }

    pub fn v4(self) -> u8 {
        self.v4
    }

    pub fn v6(self) -> u8 {
        self.v6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(Weight::new(100).map(Weight::get), Ok(100));
        assert_eq!(Weight::new(101), Err(OutOfRange { value: 101, least: 0, most: 100 }));
        assert!(WeightBound::new(0).is_err() && WeightBound::new(101).is_err());
        assert!(PortNumber::new(0).is_ok_and(PortNumber::is_wildcard) && PortNumber::new(65536).is_err());
        assert!(StickyMask::new(0, 64).is_err() && StickyMask::new(24, 129).is_err());
    }

    #[test]
    fn initial_weight_is_half_of_the_bound_and_never_zero() {
        assert_eq!(WeightBound::DEFAULT.initial().get(), 10);
        assert_eq!(WeightBound::new(1).expect("in range").initial().get(), 1);
    }

    #[test]
    fn no_number_makes_a_weight_overflow() {
        for (value, weight) in [(f64::NAN, 0), (f64::INFINITY, 100), (-3.0, 0), (9.5, 10), (1e300, 100)] {
            assert_eq!(Weight::saturating(value).get(), weight, "{value}");
        }
    }
}
