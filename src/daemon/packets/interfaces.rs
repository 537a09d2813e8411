//! The interfaces that the configuration names, as this host has them.

use nix::net::if_::if_nametoindex;

use crate::datapath::xdp::engine::Interface;
use crate::wire::Mac;

/// An interface that packets cannot come in on.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    #[error("there is no interface {name} here; there are: {present}")]
    Missing { name: String, present: String },
    #[error("interface {name} has no Ethernet address, so MAC forwarding has no place there")]
    NotEthernet { name: String },
}

/// Looks an interface up by its name.
pub fn interface(name: &str) -> Result<Interface, InterfaceError> {
    let missing = || InterfaceError::Missing { name: name.to_owned(), present: present() };
    let index = if_nametoindex(name).map_err(|_| missing())?;
    let not_ethernet = || InterfaceError::NotEthernet { name: name.to_owned() };
    let found = pnet::datalink::interfaces().into_iter().find(|interface| interface.index == index);
    let found = found.ok_or_else(missing)?;
    let mac = found.mac.filter(|mac| !found.is_loopback() && !mac.is_zero()).ok_or_else(not_ethernet)?;
    Ok(Interface { name: name.to_owned(), index, mac: Mac(mac.octets()) })
}

fn present() -> String {
    let mut names: Vec<_> = pnet::datalink::interfaces().into_iter().map(|interface| interface.name).collect();
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
}
