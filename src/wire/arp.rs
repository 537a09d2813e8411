//! The Address Resolution Protocol for IPv4 over Ethernet (RFC 826), with its probes and announcements (RFC 5227).

use std::net::Ipv4Addr;

use super::Mac;

/// Of a whole frame: Ethernet header and packet.
pub const ARP_FRAME: usize = 42;

/// Whether something is asked or told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    Request,
    Reply,
}

/// One packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arp {
    pub operation: Operation,
    pub sender: (Mac, Ipv4Addr),
    pub target: (Mac, Ipv4Addr),
}

const ETHERNET_IPV4: [u8; 6] = [0, 1, 0x08, 0, 6, 4];

impl Arp {
    /// Reads an untagged frame; `None`: it is no ARP for IPv4 over Ethernet, or not whole.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(12..)?.strip_prefix(&[0x08, 0x06])?.strip_prefix(&ETHERNET_IPV4)?;
        let (operation, packet) = packet.split_first_chunk::<2>()?;
        let (sender_mac, packet) = packet.split_first_chunk::<6>()?;
        let (sender, packet) = packet.split_first_chunk::<4>()?;
        let (target_mac, packet) = packet.split_first_chunk::<6>()?;
        let (target, _) = packet.split_first_chunk::<4>()?;
        let operation = match operation {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return None,
        };
        Some(Self {
            operation,
            sender: (Mac(*sender_mac), Ipv4Addr::from(*sender)),
            target: (Mac(*target_mac), Ipv4Addr::from(*target)),
        })
    }

    /// The frame to this station.
    pub fn frame(&self, to: Mac) -> Vec<u8> {
        let operation = match self.operation {
            Operation::Request => [0, 1],
            Operation::Reply => [0, 2],
        };
        let mut frame = Vec::with_capacity(ARP_FRAME);
        frame.extend(to.0);
        frame.extend(self.sender.0.0);
        frame.extend([0x08, 0x06]);
        frame.extend(ETHERNET_IPV4);
        frame.extend(operation);
        for (mac, address) in [self.sender, self.target] {
            frame.extend(mac.0);
            frame.extend(address.octets());
        }
        frame
    }

    /// Asks whether anybody has the address, without claiming it (RFC 5227, 2.1.1).
    pub fn probe(own: Mac, address: Ipv4Addr) -> Vec<u8> {
        let sender = (own, Ipv4Addr::UNSPECIFIED);
        Self { operation: Operation::Request, sender, target: (Mac::default(), address) }.frame(Mac::BROADCAST)
    }

    /// Tells everybody that the address is here: in the form of a request (RFC 5227, 2.3) and in that of a reply, as some
    /// stations listen to one of them only.
    pub fn announcements(own: Mac, address: Ipv4Addr) -> [Vec<u8>; 2] {
        let both = |operation, target| {
            Self { operation, sender: (own, address), target: (target, address) }.frame(Mac::BROADCAST)
        };
        [both(Operation::Request, Mac::default()), both(Operation::Reply, Mac::BROADCAST)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packets() -> impl Strategy<Value = Arp> {
        let station = || (any::<[u8; 6]>().prop_map(Mac), any::<u32>().prop_map(Ipv4Addr::from));
        let operation = prop_oneof![Just(Operation::Request), Just(Operation::Reply)];
        (operation, station(), station()).prop_map(|(operation, sender, target)| Arp { operation, sender, target })
    }

    proptest! {
        #[test]
        fn frames_come_back_as_they_went(arp in packets(), to in any::<[u8; 6]>()) {
            let frame = arp.frame(Mac(to));
            prop_assert_eq!(frame.len(), ARP_FRAME);
            prop_assert_eq!(Arp::read(&frame), Some(arp));
            for end in 0..ARP_FRAME {
                prop_assert_eq!(Arp::read(&frame[..end]), None);
            }
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Arp::read(&bytes);
        }
    }
}
