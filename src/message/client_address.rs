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
/// [`super::introduce`], but for a chain at the very bound of 32 hops.
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::super::forwarded::{ConnectionFacts, Proto};
    use super::super::testing::headers;
    use super::*;
    use crate::model::{ForwardedHeaders, Network};

    const PROXY: &str = "10.0.0.1";

    fn client(peer: &str, forwarded: ForwardedHeaders, fields: &str) -> String {
        let local = SocketAddr::from(([192, 0, 2, 10], 80));
        let connection = ConnectionFacts::new(peer.parse().expect("an address"), local, Proto::Http);
        let trusted =
            ["10.0.0.0/8", "2001:db8:aaaa::/48"].map(|network| network.parse::<Network>().expect("a network"));
        let view = ClientView { connection: &connection, trusted: &trusted, forwarded };
        client_address(&view, &headers(fields)).to_string()
    }

    #[test]
    fn along_x_forwarded_for() {
        let cases = [
            ("", PROXY),
            ("203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("198.51.100.1\nX-Forwarded-For: 203.0.113.9\nX-Forwarded-For: 10.0.0.2", "203.0.113.9"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("203.0.113.9,, ,10.0.0.2 ,", "203.0.113.9"),
            ("203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
            ("203.0.113.9, nonsense", PROXY),
            ("203.0.113.9, 1.2.3", PROXY),
            ("203.0.113.9:4711", "203.0.113.9"),
            ("203.0.113.9:99999999", PROXY),
            ("203.0.113.9:", PROXY),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:4711", "2001:db8::9"),
            ("2001:db8::9, 2001:db8:aaaa::1", "2001:db8::9"),
            ("203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[2001:db8::9]x", PROXY),
            ("[2001:db8::9", PROXY),
            ("fe80::1%eth0", PROXY),
        ];
        for (list, expected) in cases {
            for policy in [ForwardedHeaders::XForwarded, ForwardedHeaders::Both, ForwardedHeaders::Off] {
                let fields = format!("X-Forwarded-For: {list}\nForwarded: for=198.51.100.77");
                assert_eq!(client(PROXY, policy, &fields), expected, "{list}");
            }
        }
    }

    #[test]
    fn along_forwarded() {
        let cases = [
            ("for=203.0.113.9", "203.0.113.9"),
            ("For=\"203.0.113.9:4711\";proto=https;by=10.0.0.1", "203.0.113.9"),
            ("proto=https; FOR=203.0.113.9", "203.0.113.9"),
            ("for=\"[2001:db8::9]:_x\"", "2001:db8::9"),
            ("for=198.51.100.1, for=203.0.113.9;host=\"a,b\", for=10.0.0.2", "203.0.113.9"),
            ("for=198.51.100.1\nForwarded: for=203.0.113.9", "203.0.113.9"),
            ("for=203.0.113.9,for=_hidden", PROXY),
            ("for=203.0.113.9,for=unknown,for=10.0.0.2", "10.0.0.2"),
            ("for=203.0.113.9,proto=http", PROXY),
            ("for=203.0.113.9;for=203.0.113.8", PROXY),
            ("for", PROXY),
            ("", PROXY),
            // The client left a quote open, so that what the proxy adds might count as part of its text.
            ("for=\", for=203.0.113.9", "203.0.113.9"),
            ("x=\";for=198.51.100.1, for=10.0.0.2", "10.0.0.2"),
            ("for=198.51.100.1, for=\", for=\"[2001:db8:aaaa::2]\"", "2001:db8:aaaa::2"),
        ];
        for (list, expected) in cases {
            let fields = format!("Forwarded: {list}");
            assert_eq!(client(PROXY, ForwardedHeaders::Forwarded, &fields), expected, "{list}");
            assert_eq!(client(PROXY, ForwardedHeaders::Both, &fields), expected, "{list}");
            assert_eq!(client(PROXY, ForwardedHeaders::XForwarded, &fields), PROXY, "{list}");
        }
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        let fields = "X-Forwarded-For: 10.0.0.2\nForwarded: for=10.0.0.2";
        for peer in ["203.0.113.5", "2001:db8::5"] {
            assert_eq!(client(peer, ForwardedHeaders::Both, fields), peer);
        }
        assert_eq!(client("::ffff:203.0.113.5", ForwardedHeaders::Both, fields), "203.0.113.5");
        assert_eq!(
            client("::ffff:10.0.0.1", ForwardedHeaders::XForwarded, "X-Forwarded-For: 203.0.113.9"),
            "203.0.113.9"
        );
    }

    #[test]
    fn a_chain_without_end_is_left_at_the_bound() {
        let list = format!("203.0.113.9{}", ", 10.0.0.2".repeat(MOST_HOPS));
        assert_eq!(client(PROXY, ForwardedHeaders::XForwarded, &format!("X-Forwarded-For: {list}")), "10.0.0.2");
    }

    proptest! {
        /// Whatever a client writes before it, the address that the trusted proxy saw is the client's.
        #[test]
        fn nobody_writes_over_what_a_trusted_proxy_saw(lie in "[ -~]{0,60}") {
            let fields = format!("X-Forwarded-For: {lie}, 203.0.113.9");
            prop_assert_eq!(client(PROXY, ForwardedHeaders::XForwarded, &fields), "203.0.113.9");
            let fields = format!("Forwarded: {lie}, for=203.0.113.9;proto=http");
            prop_assert_eq!(client(PROXY, ForwardedHeaders::Forwarded, &fields), "203.0.113.9");
        }
    }
}
