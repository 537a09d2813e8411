//! A host with its optional port, as `Host` and absolute request targets name it.

use std::net::Ipv6Addr;

/// A checked authority: a name or address and perhaps a port. No userinfo, no comma, no backslash, no `#`, no percent
/// signs: those are read differently by different servers and occur in no honest request.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    host: &'a [u8],
    port: Option<u16>,
}

/// As in the domain name system.
const LONGEST_HOST: usize = 255;

impl<'a> Authority<'a> {
    /// `None`: not an authority as described above. A port is 1 to 65535.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (host, port) = split(text)?;
        let valid = if host.starts_with(b"[") { is_ipv6_literal(host) } else { is_name(host) };
        if !valid {
            return None;
        }
        let port = match port {
            Some(digits) => Some(parse_port(digits)?),
            None => None,
        };
        Some(Self { host, port })
    }

    /// As it was written; IPv6 with its brackets.
    pub fn host(&self) -> &'a [u8] {
        self.host
    }

    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Same host, whatever the case, and same port, where none means `default_port`.
    pub fn is_same(&self, other: &Authority<'_>, default_port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// Host and port at the colon that stands between them.
fn split(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let host_end = if text.starts_with(b"[") {
        text.iter().position(|&byte| byte == b']')? + 1
    } else {
        text.iter().position(|&byte| byte == b':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at_checked(host_end)?;
    match rest {
        [] => Some((host, None)),
        [b':', port @ ..] => Some((host, Some(port))),
        _ => None,
    }
}

/// Letters, digits, `-`, `_`, `~` and single dots that do not begin it: servers make directory names of hosts.
fn is_name(host: &[u8]) -> bool {
    let mut before = b'.';
    for &byte in host {
        let allowed =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') || (byte == b'.' && before != b'.');
        if !allowed {
            return false;
        }
        before = byte;
    }
    !host.is_empty() && host.len() <= LONGEST_HOST
}

/// An address in brackets, without a zone.
fn is_ipv6_literal(host: &[u8]) -> bool {
    let inner = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    inner.and_then(|inner| std::str::from_utf8(inner).ok()).is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    u16::try_from(value).ok().filter(|&port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let good = [
            "a",
            "shop.example",
            "shop.example.",
            "SHOP_1.example:8080",
            "192.0.2.1:1",
            "[::1]",
            "[2001:db8::1]:65535",
        ];
        for text in good {
            assert!(Authority::parse(text.as_bytes()).is_some(), "{text}");
        }
        let bad = [
            "",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:8a",
            "a:+8",
            "a:000080",
            "a:80:80",
            "user@a",
            "a,b",
            "a\\b",
            "a#b",
            "a/b",
            "a b",
            "a%2e",
            ".",
            "..",
            ".a",
            "a..b",
            "a'b",
            "a;b",
            "ä",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[fe80::1%25eth0]",
            "[v1.x]",
            "::1",
            "[]",
            "*",
        ];
        for text in bad {
            assert!(Authority::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Authority::parse("x".repeat(255).as_bytes()).is_some());
        assert!(Authority::parse("x".repeat(256).as_bytes()).is_none());
    }

    #[test]
    fn equality_ignores_case_and_the_default_port() {
        let same = |left: &str, right: &str, default| {
            let parse = |text: &'static str| Authority::parse(text.as_bytes()).expect("an authority");
            parse(left.to_owned().leak()).is_same(&parse(right.to_owned().leak()), default)
        };
        assert!(same("Shop.Example", "shop.example:80", 80));
        assert!(same("shop.example:443", "SHOP.example", 443));
        assert!(!same("shop.example:443", "shop.example", 80));
        assert!(!same("shop.example", "shop.example.", 80));
        assert!(same("[2001:DB8::1]:8080", "[2001:db8::1]:8080", 80));
    }
}
