//! Neighbour discovery for IPv6 over Ethernet (RFC 4861): solicitations and advertisements.

use std::net::Ipv6Addr;

use super::Mac;

/// Who has this address? With an unspecified source it is the asker itself that wants to have it (RFC 4862, 5.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Solicitation {
    pub source: Ipv6Addr,
    pub target: Ipv6Addr,
    pub asker: Option<Mac>,
}

/// This station has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advertisement {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub target: Ipv6Addr,
    pub owner: Option<Mac>,
    pub solicited: bool,
}

/// One of both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ndp {
    Solicitation(Solicitation),
    Advertisement(Advertisement),
}

const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// A router would have taken one off: it comes from this link (RFC 4861, 7.1).
const HOPS: u8 = 255;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;

/// All nodes of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The group in which solicitations for an address are sent (RFC 4291, 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let low = address.to_bits() & 0x00ff_ffff;
    Ipv6Addr::from_bits(0xff02_0000_0000_0000_0000_0001_ff00_0000 | low)
}

impl Ndp {
    /// Reads an untagged frame. `None`: it is neither of both, not whole, not from this link, or its checksum is wrong.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(12..)?.strip_prefix(&[0x86, 0xdd])?;
        let (head, rest) = packet.split_first_chunk::<40>()?;
        let [_, _, _, _, length @ .., ICMPV6, HOPS] = head.first_chunk::<8>()? else { return None };
        let message = rest.get(..usize::from(u16::from_be_bytes(*length.first_chunk()?)))?;
        let source = Ipv6Addr::from(*head.get(8..)?.first_chunk::<16>()?);
        let destination = Ipv6Addr::from(*head.last_chunk::<16>()?);
        (checksum(source, destination, message) == 0).then_some(())?;
        let (start, options) = message.split_first_chunk::<24>()?;
        let [kind, 0, _, _, flags, ..] = *start else { return None };
        let target = Ipv6Addr::from(*start.last_chunk::<16>()?);
        match kind {
            SOLICITATION => {
                let asker = option(options, SOURCE_LINK_ADDRESS);
                Some(Self::Solicitation(Solicitation { source, target, asker }))
            }
            ADVERTISEMENT => {
                let owner = option(options, TARGET_LINK_ADDRESS);
                let solicited = flags & SOLICITED != 0;
                Some(Self::Advertisement(Advertisement { source, destination, target, owner, solicited }))
            }
            _ => None,
        }
    }
}

impl Solicitation {
    /// The frame from this station, to the group of the target's solicitations.
    pub fn frame(&self, from: Mac) -> Vec<u8> {
        let group = solicited_node(self.target);
        let mut message = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
        message.extend(self.target.octets());
        if let Some(asker) = self.asker {
            message.extend([SOURCE_LINK_ADDRESS, 1]);
            message.extend(asker.0);
        }
        frame(from, Mac::of_ipv6_group(group), self.source, group, message)
    }
}

impl Advertisement {
    /// The frame from this station to that one. It overrides what its readers knew before.
    pub fn frame(&self, from: Mac, to: Mac) -> Vec<u8> {
        let flags = OVERRIDE | if self.solicited { SOLICITED } else { 0 };
        let mut message = vec![ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
        message.extend(self.target.octets());
        if let Some(owner) = self.owner {
            message.extend([TARGET_LINK_ADDRESS, 1]);
            message.extend(owner.0);
        }
        frame(from, to, self.source, self.destination, message)
    }

    /// Tells everybody that the address is here (RFC 4861, 7.2.6).
    pub fn unsolicited(own: Mac, address: Ipv6Addr) -> Vec<u8> {
        let all = Self { source: address, destination: ALL_NODES, target: address, owner: Some(own), solicited: false };
        all.frame(own, Mac::of_ipv6_group(ALL_NODES))
    }
}

/// The first link-layer address among the options, which are units of eight bytes (RFC 4861, 4.6).
fn option(mut options: &[u8], wanted: u8) -> Option<Mac> {
    while let [kind, units, rest @ ..] = options {
        let length = usize::from(*units) * 8;
        if length == 0 {
            return None;
        }
        if *kind == wanted {
            return rest.first_chunk::<6>().map(|mac| Mac(*mac));
        }
        options = options.get(length..)?;
    }
    None
}

fn frame(from: Mac, to: Mac, source: Ipv6Addr, destination: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let sum = checksum(source, destination, &message).to_be_bytes();
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&sum);
    }
    let mut frame = Vec::with_capacity(14 + 40 + message.len());
    frame.extend(to.0);
    frame.extend(from.0);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    frame.extend([ICMPV6, HOPS]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    frame.extend(message);
    frame
}

/// RFC 4443, 2.3, over the pseudo-header too. 0 for a message that carries its right checksum.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u64 {
        let byte = |pair: &[u8], place| pair.get(place).map_or(0, |&byte| u64::from(byte));
        bytes.chunks(2).map(|pair| byte(pair, 0) << 8 | byte(pair, 1)).sum()
    };
    let mut sum = words(&source.octets()) + words(&destination.octets()) + words(message);
    sum += message.len() as u64 + u64::from(ICMPV6);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address() -> impl Strategy<Value = Ipv6Addr> {
        any::<u128>().prop_map(Ipv6Addr::from)
    }

    fn mac() -> impl Strategy<Value = Mac> {
        any::<[u8; 6]>().prop_map(Mac)
    }

    proptest! {
        #[test]
        fn solicitations_come_back_as_they_went(source in address(), target in address(), asker in prop::option::of(mac()), from in mac()) {
            let solicitation = Solicitation { source, target, asker };
            let frame = solicitation.frame(from);
            prop_assert_eq!(Ndp::read(&frame), Some(Ndp::Solicitation(solicitation)));
            for end in 0..frame.len() {
                prop_assert_eq!(Ndp::read(&frame[..end]), None);
            }
        }

        #[test]
        fn advertisements_come_back_as_they_went(source in address(), destination in address(), target in address(), owner in prop::option::of(mac()), solicited in any::<bool>(), at in 14..54_usize) {
            let advertisement = Advertisement { source, destination, target, owner, solicited };
            let mut frame = advertisement.frame(Mac([2; 6]), Mac([3; 6]));
            prop_assert_eq!(Ndp::read(&frame), Some(Ndp::Advertisement(advertisement)));
            frame[at + 20] ^= 1;
            prop_assert_ne!(Ndp::read(&frame), Some(Ndp::Advertisement(advertisement)));
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = Ndp::read(&bytes);
        }
    }

    #[test]
    fn groups_have_the_last_three_bytes() {
        let address = "2001:db8::12:3456".parse().unwrap();
        assert_eq!(solicited_node(address), "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
    }
}
