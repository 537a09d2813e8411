//! The service table: from an address and a port to a service.

use std::net::IpAddr;

use crate::packet::layout::{SERVICE_BANK, SERVICE_MIX, SERVICE_PROBES, service_place};
use crate::sys::datapath_layout::Service;

/// One bank of the table with its entries in place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directory {
    pub salt: u64,
    pub entries: Vec<Service>,
}

/// More entries than the table can hold with short searches.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} ports and addresses are more than the service table holds; {SERVICE_BANK} are too many in any case")]
pub struct DirectoryFull(pub usize);

/// Searches with another salt before the table counts as full. With half of its places taken one in some thousand salts
/// fails, so this is never reached below that.
const SALTS: u64 = 64;

/// An address as the table and the program have it: four words in the order of the wire, IPv4 in the last one.
pub fn words_of(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(v4) => [0, 0, 0, u32::from_ne_bytes(v4.octets())],
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.segments().map(u16::to_be_bytes);
            [[a, b], [c, d], [e, f], [g, h]].map(|[x, y]| u32::from_ne_bytes([x[0], x[1], y[0], y[1]]))
        }
    }
}

/// The address that these words stand for: [`words_of`] backwards.
pub fn address_of(words: [u32; 4]) -> IpAddr {
    match words {
        [0, 0, 0, v4] => IpAddr::from(v4.to_ne_bytes()),
        words => {
            let mut octets = [0; 16];
            for (bytes, word) in octets.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                *bytes = word.to_ne_bytes();
            }
            IpAddr::from(octets)
        }
    }
}

impl Directory {
    /// Places all services so that each is found within [`SERVICE_PROBES`] steps.
    pub fn of(services: &[Service]) -> Result<Self, DirectoryFull> {
        (0..SALTS).find_map(|attempt| Self::with_salt(services, salt(attempt))).ok_or(DirectoryFull(services.len()))
    }

    fn with_salt(services: &[Service], salt: u64) -> Option<Self> {
        let mut entries = vec![Service::default(); SERVICE_BANK as usize];
        for service in services {
            let start = service_place(&service.address, service.port, salt);
            let mut places = (0..SERVICE_PROBES).map(|probe| (start + probe) % SERVICE_BANK);
            let free = |place: &u32| entries.get(*place as usize).is_some_and(|entry| entry.family == 0);
            let place = places.find(free)?;
            *entries.get_mut(place as usize)? = *service;
        }
        Some(Self { salt, entries })
    }
}

/// Odd numbers with their bits well mixed.
fn salt(attempt: u64) -> u64 {
    let mut mixed = (attempt + 1).wrapping_mul(SERVICE_MIX);
    mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 32) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(count: u32) -> Vec<Service> {
        let service = |number: u32| Service {
            address: words_of(IpAddr::from((0x0a00_0000 + number / 8).to_be_bytes())),
            port: (80 + (number % 8) as u16).to_be(),
            family: 4,
            service: number as u16 * 2,
            ..Service::default()
        };
        (0..count).map(service).collect()
    }

    #[test]
    fn every_service_is_found_within_the_probes() {
        let wanted = services(2048);
        let directory = Directory::of(&wanted).unwrap();
        for service in wanted {
            let start = service_place(&service.address, service.port, directory.salt);
            let found = (0..SERVICE_PROBES)
                .map(|probe| directory.entries[((start + probe) % SERVICE_BANK) as usize])
                .take_while(|entry| entry.family != 0)
                .any(|entry| entry == service);
            assert!(found, "{service:?}");
        }
    }

    #[test]
    fn too_many_are_refused() {
        assert_eq!(Directory::of(&services(SERVICE_BANK + 1)), Err(DirectoryFull(SERVICE_BANK as usize + 1)));
    }

    #[test]
    fn addresses_lie_as_on_the_wire() {
        for address in ["192.0.2.10", "2001:db8::42"].map(|text| text.parse().unwrap()) {
            assert_eq!(address_of(words_of(address)), address);
        }
        assert_eq!(words_of("192.0.2.10".parse().unwrap())[3].to_ne_bytes(), [192, 0, 2, 10]);
        let v6 = words_of("2001:db8::42".parse().unwrap()).map(u32::to_ne_bytes);
        assert_eq!(v6, [[0x20, 0x01, 0x0d, 0xb8], [0; 4], [0; 4], [0, 0, 0, 0x42]]);
    }
}
