//! The interfaces that the configuration names, as this host has them.

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use pnet::datalink::{self, NetworkInterface};

use crate::datapath::xdp::engine::Interface;
use crate::wire::Mac;

use super::presence::Sight;

/// An interface that packets cannot come in on.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    #[error("there is no interface {name} here; there are: {present}")]
    Missing { name: String, present: String },
    #[error("interface {name} has no Ethernet address, so MAC forwarding has no place there")]
    NotEthernet { name: String },
    #[error("interface {name} cannot be looked at: {source}")]
    Unread { name: String, source: Errno },
}

/// Looks an interface up by its name.
pub fn interface(name: &str) -> Result<Interface, InterfaceError> {
    interface_among(&datalink::interfaces(), name)
}

/// What became of the interface of this name, among those that this host has.
pub fn sight(links: &[NetworkInterface], name: &str) -> Sight {
    match interface_among(links, name) {
        Ok(interface) => Sight::There(interface),
        Err(InterfaceError::Missing { .. }) => Sight::Gone,
        Err(InterfaceError::NotEthernet { .. } | InterfaceError::Unread { .. }) => Sight::Unclear,
    }
}

/// Whether there is one is asked of the kernel by name: a list is read in pieces, and may be cut short by a change.
fn interface_among(links: &[NetworkInterface], name: &str) -> Result<Interface, InterfaceError> {
    let name = name.to_owned();
    let index = match if_nametoindex(&*name) {
        Ok(index) => index,
        Err(Errno::ENODEV) => return Err(InterfaceError::Missing { name, present: present(links) }),
        Err(source) => return Err(InterfaceError::Unread { name, source }),
    };
    let Some(found) = links.iter().find(|link| link.index == index) else {
        return Err(InterfaceError::Unread { name, source: Errno::EAGAIN });
    };
    match found.mac.filter(|mac| !found.is_loopback() && !mac.is_zero()) {
        Some(mac) => Ok(Interface { name, index, mac: Mac(mac.octets()) }),
        None => Err(InterfaceError::NotEthernet { name }),
    }
}

fn present(links: &[NetworkInterface]) -> String {
    let mut names: Vec<_> = links.iter().map(|link| link.name.clone()).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_told_with_the_right_ones() {
        let said = interface("eth9999").unwrap_err().to_string();
        assert!(said.starts_with("there is no interface eth9999 here; there are: "), "{said}");
        assert!(said.contains("lo"), "{said}");
        assert!(matches!(interface("lo"), Err(InterfaceError::NotEthernet { .. })));
    }

    #[test]
    fn a_list_without_the_interface_does_not_mean_that_it_has_gone() {
        assert_eq!(sight(&datalink::interfaces(), "eth9999"), Sight::Gone);
        assert_eq!(sight(&[], "lo"), Sight::Unclear);
    }
}
