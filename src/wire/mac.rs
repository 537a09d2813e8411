//! Hardware addresses.

use std::fmt;
use std::str::FromStr;

/// An Ethernet (EUI-48) address.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Addressed to a group of stations, broadcast included (IEEE 802.3, 3.2.3: the first bit on the wire).
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The multicast address for an IPv6 group (RFC 2464, section 7).
    pub fn of_ipv6_group(group: std::net::Ipv6Addr) -> Self {
        let [.., a, b, c, d] = group.octets();
        Self([0x33, 0x33, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text is not six pairs of hexadecimal digits with colons or hyphens between them.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is not a MAC address: six pairs of hexadecimal digits are wanted, such as 02:00:5e:10:00:01")]
pub struct NotAMac(String);

impl FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let refused = || NotAMac(text.to_owned());
        let mut octets = [0; 6];
        let mut pairs = text.split([':', '-']);
        for octet in &mut octets {
            let pair = pairs.next().filter(|pair| is_octet(pair)).ok_or_else(refused)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| refused())?;
        }
        pairs.next().is_none().then_some(Self(octets)).ok_or_else(refused)
    }
}

fn is_octet(pair: &str) -> bool {
    pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_it_went() {
        let mac: Mac = "02:00:5E:10:00-01".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:10:00:01");
        for wrong in
            ["", "02:00:5e:10:00", "02:00:5e:10:00:01:02", "2:0:5e:10:0:1", "02:00:5e:10:00:zz", "+2:00:5e:10:00:01"]
        {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ipv6_groups_have_addresses_of_their_own() {
        assert_eq!(Mac::of_ipv6_group("ff02::1:ff00:10".parse().unwrap()).to_string(), "33:33:ff:00:00:10");
        assert!(Mac::of_ipv6_group("ff02::1".parse().unwrap()).is_group());
    }
}
