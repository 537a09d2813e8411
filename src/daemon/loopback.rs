//! Cluster addresses of proxies in a pair: on the loopback interface of both dispatchers, so that listeners stand ready before a
//! takeover, while neither kernel says on the wire that they are here.
//!
//! A kernel answers ARP for all addresses of its host, whatever interface they are on, and sends ARP with them, unless
//! `arp_ignore` and `arp_announce` say otherwise. For IPv6 it speaks only for the interface's own addresses.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use futures_util::StreamExt;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};

/// Why proxies in a pair cannot have their addresses.
#[derive(Debug, thiserror::Error)]
pub enum LoopbackError {
    #[error(
        "cannot put the cluster address {address} on {LOOPBACK}: {why}; CAP_NET_ADMIN is needed, or `ip address add {address} dev {LOOPBACK}` beforehand"
    )]
    Add { address: IpAddr, why: String },
    #[error(
        "{name} is {found} and must be {wanted}, or this host would answer for cluster addresses that its partner has: {source}; \
         `sysctl -w {name}={wanted}` would be right"
    )]
    Sysctl { name: String, found: String, wanted: &'static str, source: io::Error },
    #[error("the kernel cannot be asked for addresses: {0}")]
    Netlink(io::Error),
}

/// The loopback interface, as every Linux calls it.
pub const LOOPBACK: &str = "lo";

/// What this daemon put there.
#[derive(Debug, Default)]
pub struct Loopback(BTreeSet<IpAddr>);

impl Loopback {
    /// Puts these addresses there, and lets the kernel be silent about them on the interfaces. What is there already stays.
    pub async fn put(&mut self, addresses: &[IpAddr], interfaces: &[String]) -> Result<(), LoopbackError> {
        if addresses.is_empty() {
            return Ok(());
        }
        silence(interfaces)?;
        let (connection, handle, _) = rtnetlink::new_connection().map_err(LoopbackError::Netlink)?;
        let connection = tokio::task::spawn_local(connection);
        let index = if_nametoindex(LOOPBACK).map_err(|errno| LoopbackError::Netlink(errno.into()))?;
        let present = present(&handle, index).await;
        for &address in addresses.iter().filter(|address| !present.contains(address)) {
            let added = handle.address().add(index, address, length(address)).execute().await;
            added.map_err(|error| LoopbackError::Add { address, why: error.to_string() })?;
            self.0.insert(address);
        }
        connection.abort();
        Ok(())
    }

    /// Takes away what was put there and is not among these. What cannot be taken away does no harm.
    pub async fn keep(&mut self, addresses: &[IpAddr]) {
        let gone: Vec<IpAddr> = self.0.extract_if(.., |address| !addresses.contains(address)).collect();
        if gone.is_empty() {
            return;
        }
        let Ok((connection, handle, _)) = rtnetlink::new_connection() else { return };
        let connection = tokio::task::spawn_local(connection);
        let messages: Vec<_> = handle.address().get().execute().collect().await;
        for message in messages.into_iter().flatten() {
            if on_loopback(&message) && address_of(&message).is_some_and(|address| gone.contains(&address)) {
                let removed = handle.address().del(message).execute().await;
                if let Err(error) = removed {
                    tracing::warn!("a cluster address stays on {LOOPBACK}: {error}");
                }
            }
        }
        connection.abort();
    }
}

async fn present(handle: &rtnetlink::Handle, index: u32) -> BTreeSet<IpAddr> {
    let messages: Vec<_> = handle.address().get().set_link_index_filter(index).execute().collect().await;
    messages.iter().flatten().filter_map(address_of).collect()
}

fn on_loopback(message: &AddressMessage) -> bool {
    if_nametoindex(LOOPBACK).is_ok_and(|index| index == message.header.index)
}

fn address_of(message: &AddressMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    })
}

fn length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// For all interfaces, and for each that clients come in by: the kernel takes the higher of the two.
fn silence(interfaces: &[String]) -> Result<(), LoopbackError> {
    for interface in ["all"].into_iter().chain(interfaces.iter().map(String::as_str)) {
        set(interface, "arp_ignore", "1", |value| (1..=2).contains(&value))?;
        set(interface, "arp_announce", "2", |value| value == 2)?;
    }
    Ok(())
}

/// Writes only what is not right already: in a service `/proc/sys` may be read-only, with `deploy/` having set it before.
fn set(
    interface: &str,
    which: &str,
    wanted: &'static str,
    is_right: impl Fn(u32) -> bool,
) -> Result<(), LoopbackError> {
    let file: PathBuf = ["/proc/sys/net/ipv4/conf", interface, which].iter().collect();
    let found = fs::read_to_string(&file).map(|text| text.trim().to_owned()).unwrap_or_default();
    if found.parse().is_ok_and(is_right) {
        return Ok(());
    }
    let name = format!("net.ipv4.conf.{interface}.{which}");
    fs::write(&file, wanted).map_err(|source| LoopbackError::Sysctl { name, found, wanted, source })
}
