//! Finding the service that a packet is for.

use super::Forwarder;
use super::tables::Service;
use crate::packet::layout::{live, service};
use crate::packet::reason::Reason;

/// The service of an address and port, as a packet's decision needs it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Its number, the lowest bit being UDP's.
    pub service: u16,
    pub flags: u8,
    /// Affinity records are renewed when the time shifted by this moves on.
    pub touch: u8,
}

impl Wanted {
    pub fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

impl Forwarder<'_> {
    /// The single port, then what the address has besides, then the wildcard cluster.
    pub(super) fn service_of(&self, address: &[u32; 4], port: u16, family: u32) -> Result<Wanted, Reason> {
        if let Some(single) = self.tables.service(address, port, family) {
            return wanted(single.service, single.flags, single.touch, Reason::Foreign);
        }
        if let Some(all) = self.tables.service(address, 0, family) {
            return self.by_range(&all, port);
        }
        if !self.has_wildcard(family) {
            return Err(Reason::Foreign);
        }
        if let Some(single) = self.tables.service(&[0; 4], port, family) {
            return wanted(single.service, single.flags & !service::EXACT, single.touch, Reason::Foreign);
        }
        self.tables.service(&[0; 4], 0, family).map_or(Err(Reason::Foreign), |all| self.by_range(&all, port))
    }

    fn by_range(&self, all: &Service, port: u16) -> Result<Wanted, Reason> {
        let pass = all.flags & service::UNSERVED_PASS != 0;
        let reason = if pass { Reason::UnservedPass } else { Reason::Unserved };
        let range = self.tables.range(all.line, all.ranges, u16::from_be(port)).ok_or(reason)?;
        wanted(range.service, range.flags, range.touch, reason)
    }

    pub(super) fn has_wildcard(&self, family: u32) -> bool {
        self.tables.live_flags() & if family == 4 { live::WILDCARD4 } else { live::WILDCARD6 } != 0
    }

    pub(super) fn is_cluster(&self, address: &[u32; 4], family: u32) -> bool {
        self.tables.service(address, 0, family).is_some()
    }
}

/// No service has the number 0.
fn wanted(service: u16, flags: u8, touch: u8, otherwise: Reason) -> Result<Wanted, Reason> {
    if service == 0 { Err(otherwise) } else { Ok(Wanted { service, flags, touch }) }
}
