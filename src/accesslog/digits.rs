//! Numbers and addresses as text, faster than the general machinery.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// `00` to `99`.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        #[allow(clippy::indexing_slicing, reason = "at compile time")]
        {
            pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        }
        number += 1;
    }
    pairs
};

/// Two digits; what is above 99 shows its last two.
pub(super) fn two(number: u64) -> [u8; 2] {
    PAIRS.get((number % 100) as usize).copied().unwrap_or_default()
}

pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    if number < 10 {
        return out.push(b'0' + number as u8);
    }
    if number < 100 {
        return out.extend_from_slice(&two(number));
    }
    // From the last pair to the first; 20 digits are the most.
    let (mut text, mut left) = ([[0; 2]; 10], number);
    let mut pairs = 0;
    for pair in text.iter_mut().rev() {
        *pair = two(left);
        left /= 100;
        pairs += 1;
        if left == 0 {
            break;
        }
    }
    let digits = text.as_flattened();
    let digits = digits.get(digits.len() - 2 * pairs..).unwrap_or_default();
    out.extend_from_slice(digits.strip_prefix(b"0").unwrap_or(digits));
}

pub(super) fn ip(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address.to_canonical() else {
        // Writing to memory does not fail.
        let _infallible = write!(out, "{address}");
        return;
    };
    let [a, b, c, d] = address.octets();
    number(out, a.into());
    for part in [b, c, d] {
        out.push(b'.');
        number(out, part.into());
    }
}

pub(super) fn socket(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip().to_canonical() {
        ipv4 @ IpAddr::V4(_) => ip(out, ipv4),
        ipv6 @ IpAddr::V6(_) => {
            out.push(b'[');
            ip(out, ipv6);
            out.push(b']');
        }
    }
    out.push(b':');
    number(out, address.port().into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_the_standard_library_writes_them() {
        let mut numbers: Vec<u64> = (0..20).flat_map(|power| [10u64.pow(power) - 1, 10u64.pow(power)]).collect();
        numbers.extend([u64::MAX, 12345, 101, 1_000_001]);
        for wanted in numbers {
            let mut out = Vec::new();
            number(&mut out, wanted);
            assert_eq!(String::from_utf8(out).unwrap(), wanted.to_string());
        }
    }

    #[test]
    fn addresses_read_as_the_standard_library_writes_them() {
        for text in ["192.0.2.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[2001:db8::1]:443", "[::]:1"] {
            let mut out = Vec::new();
            socket(&mut out, text.parse().unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        let mut out = Vec::new();
        ip(&mut out, "::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(out, b"192.0.2.1", "an IPv4 client of an IPv6 socket is that IPv4 client");
    }
}
