//! Who the client is behind the proxies that we trust.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::HeaderMap;
use http::header::FORWARDED;

use super::forwarded::{ClientView, X_FORWARDED_FOR};

/// How many entries of the chain are looked at. No honest chain is that long; beyond it the address reached counts, so
/// that a head full of trusted addresses costs little.
const MOST_HOPS: usize = 32;

/// The address of the client: the peer, or where the peer is trusted, the first address that is not, walking from the
/// end of `X-Forwarded-For` (`Forwarded` where the port speaks only that, or both and the former is missing). What
/// cannot be read ends the walk at the last good address. The answer is the same before and after
/// [`super::introduce`].
pub fn client_address(view: &ClientView<'_>, headers: &HeaderMap) -> IpAddr {
    let peer = view.connection.peer();
    if !view.trusts(peer) {
        return peer;
    }
    let reads_forwarded =
        view.speaks_forwarded() && !(view.speaks_x_forwarded() && headers.contains_key(X_FORWARDED_FOR));
    if reads_forwarded {
        let lines = headers.get_all(FORWARDED).iter().rev().map(|line| line.as_bytes());
        walk(view, lines.flat_map(|line| Elements::of(line, b',')).map(|element| element.and_then(forwarded_for)))
    } else {
        let lines = headers.get_all(X_FORWARDED_FOR).iter().rev().map(|line| line.as_bytes());
        walk(view, lines.flat_map(|line| line.rsplit(|&byte| byte == b',')).map(<[u8]>::trim_ascii).filter_map(listed))
    }
}

/// RFC 9110 5.6.1.2: empty elements do not count.
fn listed(element: &[u8]) -> Option<Option<IpAddr>> {
    (!element.is_empty()).then(|| node(element))
}

fn walk(view: &ClientView<'_>, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
    let mut reached = view.connection.peer();
    for hop in hops.take(MOST_HOPS) {
        let Some(address) = hop else { return reached };
        reached = address;
        if !view.trusts(address) {
            return reached;
        }
    }
    reached
}

/// The elements of a list from its end, where separators inside quotes do not count. An unfinished quote makes `None`,
/// and the rest of the line is in it: it cannot reach the elements that a proxy added behind it.
struct Elements<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Elements<'a> {
    fn of(line: &'a [u8], separator: u8) -> Self {
        Self { rest: Some(line), separator }
    }

    /// The last element of `line` and what stands before it.
    fn split_last(&self, line: &'a [u8]) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        let mut quoted = false;
        for (place, &byte) in line.iter().enumerate().rev() {
            if byte == b'"' {
                quoted = !quoted;
            } else if byte == self.separator && !quoted {
                let (before, element) = line.split_at(place);
                return (Some(before), element.get(1..));
            }
        }
        (None, (!quoted).then_some(line))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (rest, element) = self.split_last(self.rest?);
            self.rest = rest;
            match element.map(<[u8]>::trim_ascii) {
                Some([]) => {}
                element => return Some(element),
            }
        }
    }
}

/// The one `for` of an element of `Forwarded`, if it is an address.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in Elements::of(element, b';') {
        let pair = pair?;
        let (name, value) = pair.split_at_checked(pair.iter().position(|&byte| byte == b'=')?)?;
        if name.eq_ignore_ascii_case(b"for") && found.replace(node(value.get(1..)?)?).is_some() {
            return None;
        }
    }
    found
}

/// An address as proxies write it: bare, in brackets, with a port, in quotes.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    };
    let text = std::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        return (port.is_empty() || is_port(port.strip_prefix(':')?)).then_some(IpAddr::V6(address).to_canonical());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = text.split_once(':')?;
    let address: Ipv4Addr = address.parse().ok()?;
    is_port(port).then_some(IpAddr::V4(address))
}

/// Digits, or RFC 7239's obfuscated `_name`.
fn is_port(text: &str) -> bool {
    let is_number = !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number || text.starts_with('_')
}
