use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;

use super::ProxyHeaderFault as Fault;
use super::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

fn client(source: &str, destination: &str, tls: bool) -> ProxyHeader {
    let address = |text: &str| text.parse().expect(text);
    ProxyHeader::Client(ProxiedClient { source: address(source), destination: address(destination), tls })
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family], &(block.len() as u16).to_be_bytes(), block].concat()
}

fn value(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], (value.len() as u16).to_be_bytes().as_slice(), value].concat()
}

/// The header with the client's bytes behind it, then every beginning of it.
fn check(bytes: &[u8], expected: ProxyHeader) {
    let told = bytes.escape_ascii();
    let whole = Ok(Progress::Whole { header: expected, length: bytes.len() });
    assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n\r\n"].concat()), whole, "{told}");
    assert_eq!(parse(&[bytes, bytes].concat()), whole, "{told}");
    for length in 0..bytes.len() {
        assert_eq!(parse(&bytes[..length]), Ok(Progress::Incomplete), "{length} bytes of {told}");
    }
}

#[test]
fn lines() {
    // The longest that each form has (2.1).
    let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let most4 = client("255.255.255.255:65535", "255.255.255.255:65535", false);
    let most6 = client(&format!("[{long}]:65535"), &format!("[{long}]:65535"), false);
    let cases = [
        ("TCP4 255.255.255.255 255.255.255.255 65535 65535".to_owned(), most4),
        (format!("TCP6 {long} {long} 65535 65535"), most6),
        ("TCP4 192.168.0.1 192.168.0.11 56324 443".into(), client("192.168.0.1:56324", "192.168.0.11:443", false)),
        ("TCP6 2001:db8::1 ::1 0 80".into(), client("[2001:db8::1]:0", "[::1]:80", false)),
        ("TCP6 ::ffff:192.0.2.1 ::1 1 80".into(), client("[::ffff:192.0.2.1]:1", "[::1]:80", false)),
        ("UNKNOWN".into(), ProxyHeader::Own),
        ("UNKNOWN ".into(), ProxyHeader::Own),
        (format!("UNKNOWN {long} {long} 65535 65535"), ProxyHeader::Own),
        ("UNKNOWN what follows is ignored, \u{fc} and \r too, whatever it is".into(), ProxyHeader::Own),
    ];
    for (words, expected) in cases {
        check(format!("PROXY {words}\r\n").as_bytes(), expected);
    }
    assert_eq!(format!("PROXY UNKNOWN {long} {long} 65535 65535\r\n").len(), 107);
}

#[test]
fn lines_that_are_none() {
    let cases: [(&[u8], Fault); 24] = [
        (b"GET / HTTP/1.1\r\n", Fault::Missing),
        (b"PROXIED", Fault::Missing),
        (b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Fault::Missing),
        (b"\x16\x03\x01", Fault::Missing),
        (b"PROXY\r\n", Fault::Missing),
        (b"PROXY \r\n", Fault::Line),
        (b"PROXY TCP4\r\n", Fault::Line),
        (b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", Fault::Line),
        (b"PROXY UNKNOWNS\r\n", Fault::Line),
        (b"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", Fault::Line),
        (b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", Fault::Line),
        (b"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n", Fault::Line),
        (b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", Fault::Line),
        (b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", Fault::Line),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 \xff\r\n", Fault::Line),
    ];
    for (bytes, fault) in cases {
        assert_eq!(parse(bytes), Err(fault), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_line_ends_within_107_bytes() {
    let line = |length: usize| [b"PROXY UNKNOWN ".as_slice(), &vec![b'x'; length - 16], b"\r\n"].concat();
    assert_eq!(parse(&line(107)), Ok(Progress::Whole { header: ProxyHeader::Own, length: 107 }));
    assert_eq!(parse(&line(108)), Err(Fault::LineTooLong));
    assert_eq!(parse(&line(108)[..106]), Ok(Progress::Incomplete));
    assert_eq!(parse(&line(5000)), Err(Fault::LineTooLong));
}

#[test]
fn binary_headers() {
    let v6: Vec<u8> = ["2001:db8::1", "2001:db8::2"]
        .iter()
        .flat_map(|text| text.parse::<Ipv6Addr>().expect(text).octets())
        .chain([0xdc, 0x04, 0x01, 0xbb])
        .collect();
    let one4 = client("192.0.2.1:56324", "198.51.100.1:443", false);
    let one6 = client("[2001:db8::1]:56324", "[2001:db8::2]:443", false);
    let unix = [[b'a'; 108], [b'b'; 108]].concat();
    let cases = [
        (0x21, 0x11, V4.to_vec(), one4),
        (0x21, 0x12, V4.to_vec(), one4),
        (0x21, 0x21, v6.clone(), one6),
        (0x21, 0x22, v6.clone(), one6),
        (0x21, 0x31, unix.clone(), ProxyHeader::Own),
        (0x21, 0x32, unix.clone(), ProxyHeader::Own),
        (0x21, 0x00, Vec::new(), ProxyHeader::Own),
        (0x21, 0x00, vec![7; 40], ProxyHeader::Own),
        (0x21, 0x01, Vec::new(), ProxyHeader::Own),
        // LOCAL: whatever is in it.
        (0x20, 0x00, Vec::new(), ProxyHeader::Own),
        (0x20, 0x11, V4.to_vec(), ProxyHeader::Own),
        (0x20, 0x21, Vec::new(), ProxyHeader::Own),
        (0x20, 0xff, vec![7; 5], ProxyHeader::Own),
    ];
    for (command, family, block, expected) in cases {
        check(&v2(command, family, &block), expected);
    }
}

#[test]
fn binary_headers_that_are_none() {
    let cases = [
        (v2(0x22, 0x11, V4), Fault::Command(0x22)),
        (v2(0x11, 0x11, V4), Fault::Command(0x11)),
        (v2(0x31, 0x11, V4), Fault::Command(0x31)),
        (v2(0x21, 0x10, V4), Fault::Family(0x10)),
        (v2(0x21, 0x13, V4), Fault::Family(0x13)),
        (v2(0x21, 0x03, V4), Fault::Family(0x03)),
        (v2(0x21, 0x41, V4), Fault::Family(0x41)),
        (v2(0x21, 0x11, &V4[..11]), Fault::TooShort),
        (v2(0x21, 0x21, V4), Fault::TooShort),
        (v2(0x21, 0x31, &[0; 215]), Fault::TooShort),
        (v2(0x21, 0x11, &[V4, &[4]].concat()), Fault::Values),
        (v2(0x21, 0x11, &[V4, &[4, 0, 2, 0]].concat()), Fault::Values),
        (v2(0x21, 0x11, &[V4, &[0x20, 0, 4, 1, 0, 0, 0]].concat()), Fault::Values),
        (v2(0x21, 0x11, &[V4, &[3, 0, 3, 1, 2, 3]].concat()), Fault::Values),
        (b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\0".to_vec(), Fault::Missing),
        (b"\r\nGET / HTTP/1.1\r\n".to_vec(), Fault::Missing),
    ];
    for (bytes, fault) in cases {
        assert_eq!(parse(&bytes), Err(fault), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_binary_header_has_at_most_4096_bytes_and_a_longer_one_is_not_waited_for() {
    let filled = |length: usize| v2(0x21, 0x11, &[V4, &value(4, &vec![0; length - 16 - 12 - 3])].concat());
    check(&filled(MAX_PROXY_HEADER), client("192.0.2.1:56324", "198.51.100.1:443", false));
    let fault = Err(Fault::TooLong { length: MAX_PROXY_HEADER + 1 });
    assert_eq!(parse(&filled(MAX_PROXY_HEADER + 1)), fault);
    assert_eq!(parse(&filled(MAX_PROXY_HEADER + 1)[..16]), fault);
    let longest = [SIGNATURE, &[0x20, 0, 0xff, 0xff]].concat();
    assert_eq!(parse(&longest), Err(Fault::TooLong { length: 65551 }), "LOCAL too");
}

#[test]
fn values() {
    let tls = |flags: u8| value(0x20, &[&[flags, 0, 0, 0, 0], &*value(0x21, b"TLSv1.3")].concat());
    let cases = [
        (value(0x01, b"h2"), false),
        (value(0xee, b"nobody knows"), false),
        (value(0x04, b""), false),
        (tls(0x00), false),
        (tls(0x01), true),
        (tls(0x07), true),
        (tls(0x06), false),
        ([value(0x02, b"shop.example"), tls(0x01), value(0x05, b"id")].concat(), true),
    ];
    for (values, expected) in cases {
        check(&v2(0x21, 0x11, &[V4, &values].concat()), client("192.0.2.1:56324", "198.51.100.1:443", expected));
    }
}

/// CRC32C bit by bit, as RFC 3720 B.4 describes it.
fn sum(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

#[test]
fn a_checksum_that_is_there_must_be_right() {
    assert_eq!(sum(b"123456789"), 0xe306_9283);
    let mut header = v2(0x21, 0x11, &[V4, &value(1, b"h2"), &value(3, &[0; 4]), &value(0xee, b"behind")].concat());
    let place = header.len() - 9 - 4;
    let right = sum(&header).to_be_bytes();
    header[place..place + 4].copy_from_slice(&right);
    check(&header, client("192.0.2.1:56324", "198.51.100.1:443", false));
    // Signature, command, family, length and the heads of the values have faults of their own.
    for place in (16..28).chain(31..33).chain(36..40).chain(43..header.len()) {
        let mut changed = header.clone();
        changed[place] ^= 0x10;
        assert_eq!(parse(&changed), Err(Fault::Checksum), "byte {place}");
    }
}

#[test]
fn what_we_say() {
    let one = client("192.0.2.1:56324", "198.51.100.1:443", true);
    assert_eq!(one.to_bytes(ProxyVersion::V1), b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n");
    assert_eq!(one.to_bytes(ProxyVersion::V2), v2(0x21, 0x11, &[V4, &[0x20, 0, 5, 1, 0, 0, 0, 1]].concat()));
    assert_eq!(ProxyHeader::Own.to_bytes(ProxyVersion::V1), b"PROXY UNKNOWN\r\n");
    assert_eq!(ProxyHeader::Own.to_bytes(ProxyVersion::V2), v2(0x20, 0x00, &[]));
    let mixed = client("192.0.2.1:56324", "[2001:db8::2]:443", false);
    assert_eq!(
        mixed.to_bytes(ProxyVersion::V1),
        b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 443\r\n",
        "a header has one family"
    );
}

fn any_address() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    let four = any::<([u8; 4], [u8; 4])>().prop_map(|(source, destination)| (source.into(), destination.into()));
    let six = any::<([u8; 16], [u8; 16])>().prop_map(|(source, destination)| (source.into(), destination.into()));
    prop_oneof![four, six]
}

fn any_header() -> impl Strategy<Value = ProxyHeader> {
    let ends = (any_address(), any::<(u16, u16, bool)>());
    prop_oneof![
        1 => Just(ProxyHeader::Own),
        9 => ends.prop_map(|((source, destination), (from, to, tls))| {
            ProxyHeader::Client(ProxiedClient { source: (source, from).into(), destination: (destination, to).into(), tls })
        }),
    ]
}

/// Random bytes, most of them behind the beginning of a header.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let begin = prop_oneof![
        Just(Vec::new()),
        Just(b"PROXY ".to_vec()),
        Just(b"PROXY TCP4 192.0.2.1 ".to_vec()),
        Just(b"PROXY UNKNOWN".to_vec()),
        Just(SIGNATURE.to_vec()),
        Just([SIGNATURE, &[0x21, 0x11, 0]].concat()),
        Just([SIGNATURE, &[0x21, 0x21, 0]].concat()),
        Just(v2(0x21, 0x11, &[V4, &[0; 40]].concat())[..28].to_vec()),
    ];
    (begin, proptest::collection::vec(any::<u8>(), 0..300)).prop_map(|(begin, end)| [begin, end].concat())
}

proptest! {
    #[test]
    fn what_is_printed_is_read(header in any_header()) {
        check(&header.to_bytes(ProxyVersion::V2), header);
        let told = match header {
            ProxyHeader::Client(client) => ProxyHeader::Client(ProxiedClient { tls: false, ..client }),
            ProxyHeader::Own => header,
        };
        check(&header.to_bytes(ProxyVersion::V1), told);
    }

    /// No panic, no header longer than its bound or than what is there, and more bytes never change what was found.
    #[test]
    fn any_bytes_are_read(bytes in any_bytes()) {
        match parse(&bytes) {
            Ok(Progress::Whole { header, length }) => {
                prop_assert!(length <= bytes.len() && length <= MAX_PROXY_HEADER);
                prop_assert_eq!(parse(&bytes[..length]), Ok(Progress::Whole { header, length }));
                prop_assert_eq!(parse(&bytes[..length - 1]), Ok(Progress::Incomplete));
            }
            Ok(Progress::Incomplete) => prop_assert!(bytes.len() < MAX_PROXY_HEADER),
            Err(fault) => prop_assert_eq!(parse(&[&*bytes, b"\r\n"].concat()), Err(fault)),
        }
    }
}
