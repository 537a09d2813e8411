use std::sync::Arc;

use proptest::prelude::*;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};

use super::ClientHelloFault as Fault;
use super::*;

/// A message to be put together, and put out of order where a case wants it.
#[derive(Clone)]
struct Hello {
    version: u16,
    session: Vec<u8>,
    suites: Vec<u8>,
    compressions: Vec<u8>,
    /// `None`: not even their length.
    extensions: Option<Vec<u8>>,
    /// Behind the extensions.
    more: Vec<u8>,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            version: 0x0303,
            session: vec![7; 32],
            suites: vec![0x13, 0x01, 0xc0, 0x2f],
            compressions: vec![0],
            extensions: None,
            more: Vec::new(),
        }
    }
}

impl Hello {
    fn with(extensions: &[Vec<u8>]) -> Self {
        Self { extensions: Some(extensions.concat()), ..Self::default() }
    }

    fn message(&self) -> Vec<u8> {
        let extensions = self.extensions.as_deref().map(long).unwrap_or_default();
        let body = [
            &self.version.to_be_bytes(),
            [0x55; 32].as_slice(),
            &short(&self.session),
            &long(&self.suites),
            &short(&self.compressions),
            &extensions,
            &self.more,
        ]
        .concat();
        message(1, &body)
    }

    fn bytes(&self) -> Vec<u8> {
        record(&self.message())
    }
}

fn short(data: &[u8]) -> Vec<u8> {
    [&[data.len() as u8], data].concat()
}

fn long(data: &[u8]) -> Vec<u8> {
    [&(data.len() as u16).to_be_bytes(), data].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut head = (body.len() as u32).to_be_bytes();
    head[0] = kind;
    [&head, body].concat()
}

fn record(fragment: &[u8]) -> Vec<u8> {
    [&[22, 3, 1], &*long(fragment)].concat()
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(record).collect()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), &*long(data)].concat()
}

fn name(host: &[u8]) -> Vec<u8> {
    extension(0, &long(&[&[0], &*long(host)].concat()))
}

fn alpn(names: &[&str]) -> Vec<u8> {
    extension(16, &long(&names.iter().flat_map(|name| short(name.as_bytes())).collect::<Vec<_>>()))
}

fn versions(numbers: &[u16]) -> Vec<u8> {
    extension(43, &short(&numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>()))
}

/// What of a hello matters: name, protocols, newest version.
fn told(hello: &ClientHello) -> (Option<&str>, Vec<String>, TlsVersion) {
    let protocols = hello.protocols.iter().map(|name| name.escape_ascii().to_string()).collect();
    (hello.server_name.as_deref(), protocols, hello.newest)
}

/// Whole with all its bytes and with more behind them, and incomplete with fewer.
#[track_caller]
fn whole(bytes: &[u8]) -> ClientHello {
    let answer = parse(bytes);
    let Ok(Progress::Whole(hello)) = &answer else { panic!("{answer:?} of {}", bytes.escape_ascii()) };
    assert_eq!(parse(&[bytes, b"\x14\x03\x03\0\x01\x01\x17\x03\x03\0\x05early"].concat()), answer);
    for length in 0..bytes.len() {
        assert_eq!(parse(&bytes[..length]), Ok(Progress::Incomplete), "{length} bytes");
    }
    hello.clone()
}

#[track_caller]
fn fault(bytes: &[u8], expected: Fault) {
    assert_eq!(parse(bytes), Err(expected), "{}", bytes.escape_ascii());
    assert_splits(bytes);
}

/// Each beginning is incomplete or already what all of it is.
#[track_caller]
fn assert_splits(bytes: &[u8]) {
    let answer = parse(bytes);
    for length in 0..bytes.len() {
        let early = parse(&bytes[..length]);
        assert!(early == Ok(Progress::Incomplete) || early == answer, "{length} bytes: {early:?}, all: {answer:?}");
    }
}

#[test]
fn hellos() {
    use TlsVersion::{Older, Tls12, Tls13};
    let legacy = |version| Hello { version, ..Hello::default() };
    let cases = [
        (Hello::default(), None, vec![], Tls12),
        (legacy(0x0302), None, vec![], Older),
        (legacy(0x0300), None, vec![], Older),
        (legacy(0x0304), None, vec![], Tls12),
        (Hello { session: vec![], ..Hello::with(&[]) }, None, vec![], Tls12),
        (
            Hello::with(&[extension(0x0a0a, b""), name(b"Shop.Example"), versions(&[0x1a1a, 0x0304, 0x0303])]),
            Some("shop.example"),
            vec![],
            Tls13,
        ),
        (Hello::with(&[alpn(&["h2", "http/1.1"]), name(b"a")]), Some("a"), vec!["h2", "http/1.1"], Tls12),
        (Hello::with(&[versions(&[0x0303])]), None, vec![], Tls12),
        (Hello::with(&[versions(&[0x7f1c, 0x2a2a])]), None, vec![], Older),
        (Hello { version: 0x0301, ..Hello::with(&[versions(&[0x0304])]) }, None, vec![], Tls13),
        // Two of a type that does not matter here.
        (Hello::with(&[extension(5, b"x"), extension(5, b"y")]), None, vec![], Tls12),
    ];
    for (hello, server_name, protocols, newest) in cases {
        let protocols: Vec<String> = protocols.into_iter().map(str::to_owned).collect();
        assert_eq!(told(&whole(&hello.bytes())), (server_name, protocols, newest));
    }
}

#[test]
fn names() {
    let label = "x".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "y".repeat(61));
    let read = |host: &str| match parse(&Hello::with(&[name(host.as_bytes())]).bytes()) {
        Ok(Progress::Whole(hello)) => Ok(hello.server_name),
        Ok(Progress::Incomplete) => panic!("{host} is whole"),
        Err(fault) => Err(fault),
    };
    let good = [
        ("shop.example", "shop.example"),
        ("SHOP.example.", "shop.example"),
        ("under_score.example", "under_score.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.2.3", "1.2.3"),
        ("localhost", "localhost"),
        (&longest, &longest),
    ];
    for (host, expected) in good {
        assert_eq!(read(host), Ok(Some(expected.to_owned())), "{host}");
    }
    for address in ["192.0.2.1", "192.0.2.1.", "2001:db8::1", "::ffff:192.0.2.1"] {
        assert_eq!(read(address), Ok(None), "{address}");
    }
    let too_long = format!("{longest}y");
    let long_label = format!("{label}x.example");
    let bad = [
        "",
        ".",
        "..",
        ".a",
        "a..b",
        "a..",
        "*",
        "a b",
        "a/b",
        "a:443",
        "[::1]",
        "a%2e",
        "bücher",
        "a\0",
        "a\n",
        "user@a",
        &too_long,
        &long_label,
    ];
    for host in bad {
        assert_eq!(read(host), Err(Fault::Malformed { part: Part::ServerName }), "{host}");
    }
}

#[test]
fn what_is_no_tls() {
    let http = Fault::NotTls { looks_like: Guess::Http };
    let unknown = Fault::NotTls { looks_like: Guess::Unknown };
    let cases: [(&[u8], Fault); 13] = [
        (b"GET / HTTP/1.1\r\n", http),
        (b"POST /x HTTP/1.1\r\n", http),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http),
        (b"OPTIONS * HTTP/1.1\r\n", http),
        (b"GETTING", unknown),
        (b"get / HTTP/1.1", unknown),
        (b"SSH-2.0-OpenSSH_9.9\r\n", unknown),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", unknown),
        // A record of TLS, but not the first that a client sends.
        (b"\x15\x03\x01\0\x02\x02\x28", unknown),
        (b"\x17\x03\x03\0\x01x", unknown),
        // SSL 2.
        (b"\x80\x2e\x01\x03\x01\0\x15", unknown),
        (b"\x16\x02\x00\0\x01\x01", unknown),
        (b"\0", unknown),
    ];
    for (bytes, expected) in cases {
        fault(bytes, expected);
    }
    for bytes in ["", "G", "GET", "P", "PRI", "OPTIONS", "\x16"] {
        assert_eq!(parse(bytes.as_bytes()), Ok(Progress::Incomplete), "{bytes:?}");
    }
    assert_eq!(http.to_string(), "the connection begins with something else than TLS, plain HTTP by its looks");
}

#[test]
fn malformed_hellos() {
    let body = |body: &[u8]| record(&message(1, body));
    let with = |extensions: &[Vec<u8>]| Hello::with(extensions).bytes();
    let two_names = long(&[&[0], &*long(b"a"), &[0], &*long(b"b")].concat());
    let cases = [
        (record(&message(2, b"x")), Part::MessageType(2)),
        ([&[22, 3, 1, 0, 0], &*Hello::default().bytes()].concat(), Part::Record),
        (b"\x16\x03\x01\x40\x01\x01".to_vec(), Part::Record),
        ([&record(&Hello::default().message()[..50]), b"\x17\x03\x03\0\x01x".as_slice()].concat(), Part::Record),
        ([&record(&Hello::default().message()[..50]), b"\x16\x02\x03\0\x01x".as_slice()].concat(), Part::Record),
        (record(&[Hello::default().message(), vec![0]].concat()), Part::Trailing),
        ([record(b"\x01\0\0"), record(b"\x01abc")].concat(), Part::Trailing),
        (body(b""), Part::Fields),
        (body(&[3; 34]), Part::Fields),
        (Hello { session: vec![0; 33], ..Hello::default() }.bytes(), Part::Fields),
        (Hello { suites: vec![], ..Hello::default() }.bytes(), Part::Fields),
        (Hello { suites: vec![0; 3], ..Hello::default() }.bytes(), Part::Fields),
        (Hello { compressions: vec![], ..Hello::default() }.bytes(), Part::Fields),
        (Hello { more: vec![0], ..Hello::with(&[]) }.bytes(), Part::Fields),
        (Hello { more: vec![0xff, 0xff, 1], ..Hello::default() }.bytes(), Part::Fields),
        (with(&[vec![0]]), Part::Extensions),
        (with(&[vec![0, 1, 0xff, 0xff]]), Part::Extensions),
        (with(&[name(b"a"), name(b"a")]), Part::Twice(0)),
        (with(&[alpn(&["a"]), alpn(&["b"])]), Part::Twice(16)),
        (with(&[versions(&[1]), versions(&[1])]), Part::Twice(43)),
        (with(&[extension(0, b"")]), Part::ServerName),
        (with(&[extension(0, &long(b""))]), Part::ServerName),
        (with(&[extension(0, &two_names)]), Part::ServerName),
        (with(&[extension(0, &long(b"\0\0\x09a"))]), Part::ServerName),
        (with(&[extension(0, &[long(b"\0\0\x01a"), vec![0]].concat())]), Part::ServerName),
        (with(&[extension(16, b"")]), Part::Protocols),
        (with(&[alpn(&[])]), Part::Protocols),
        (with(&[alpn(&["h2", ""])]), Part::Protocols),
        (with(&[extension(16, &long(b"\x09h2"))]), Part::Protocols),
        (with(&[extension(43, b"")]), Part::Versions),
        (with(&[versions(&[])]), Part::Versions),
        (with(&[extension(43, &short(&[3, 4, 3]))]), Part::Versions),
        (with(&[extension(43, &[2, 3, 4, 0])]), Part::Versions),
    ];
    for (bytes, part) in cases {
        fault(&bytes, Fault::Malformed { part });
    }
}

#[test]
fn names_of_unknown_types_are_passed_over() {
    let names = long(&[&[9], &*long(b"\xff"), &[0], &*long(b"shop.example")].concat());
    let hello = whole(&Hello::with(&[extension(0, &names)]).bytes());
    assert_eq!(hello.server_name.as_deref(), Some("shop.example"));
}

#[test]
fn a_hello_has_at_most_16_kib_in_64_records_and_a_longer_one_is_not_waited_for() {
    let filled = |length: usize| {
        let fixed = Hello::with(&[extension(21, b""), name(b"a")]).message().len();
        Hello::with(&[extension(21, &vec![0; length - fixed]), name(b"a")]).message()
    };
    let most = filled(MAX_CLIENT_HELLO);
    assert_eq!(told(&whole(&record(&most))).0, Some("a"));
    assert_eq!(told(&whole(&records(&most, MAX_CLIENT_HELLO / MAX_RECORDS))).0, Some("a"));
    let more = filled(MAX_CLIENT_HELLO + 1);
    let too_long = Fault::TooLong { length: MAX_CLIENT_HELLO + 1 };
    fault(&records(&more, 9000), too_long);
    assert_eq!(parse(&records(&more, 9000)[..9]), Err(too_long), "its head is enough");
    fault(b"\x16\x03\x01\0\x04\x01\xff\xff\xff", Fault::TooLong { length: (1 << 24) + 3 });

    let hello = Hello::default().message();
    assert!(hello.len() > MAX_RECORDS);
    fault(&records(&hello, 1), Fault::TooManyRecords);
    assert_eq!(parse(&records(&hello, 1)[..6 * MAX_RECORDS]), Err(Fault::TooManyRecords));
    whole(&records(&hello, hello.len().div_ceil(MAX_RECORDS)));
}

type Versions<'a> = &'a [&'static SupportedProtocolVersion];

static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// What rustls would send, in records of at most `piece` bytes.
fn of_rustls(host: &str, versions: Versions<'_>, protocols: &[String], piece: Option<usize>) -> Vec<u8> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(versions).expect("versions of the provider");
    let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.clone().into_bytes()).collect();
    config.max_fragment_size = piece;
    let host = ServerName::try_from(host.to_owned()).expect(host);
    let mut connection = ClientConnection::new(Arc::new(config), host).expect("a connection");
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).expect("memory takes it");
    }
    bytes
}

#[test]
fn hellos_of_a_real_client() {
    let many: Vec<String> = (0..300).map(|number| format!("protocol-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check_real(("Shop.Example", &BOTH, &["h2", "http/1.1"]), (Some("shop.example"), TlsVersion::Tls13));
    check_real(("shop.example", &[&version::TLS12], &[]), (Some("shop.example"), TlsVersion::Tls12));
    check_real(("shop.example", &[&version::TLS13], &["h2"]), (Some("shop.example"), TlsVersion::Tls13));
    check_real(("192.0.2.1", &BOTH, &[]), (None, TlsVersion::Tls13));
    check_real(("many.example", &BOTH, &many), (Some("many.example"), TlsVersion::Tls13));
}

fn check_real(
    (host, versions, protocols): (&str, Versions<'_>, &[&str]),
    (server_name, newest): (Option<&str>, TlsVersion),
) {
    let protocols: Vec<String> = protocols.iter().map(|name| (*name).to_owned()).collect();
    let sent = |piece| of_rustls(host, versions, &protocols, piece);
    for piece in [None, Some(1024), Some(101)] {
        let hello = whole(&sent(piece));
        assert_eq!(told(&hello), (server_name, protocols.clone(), newest), "{host} in pieces of {piece:?}");
    }
    assert!(sent(Some(101)).len() > sent(None).len(), "several records");
}

#[test]
fn protocols_are_compared_byte_by_byte() {
    let hello = whole(&Hello::with(&[alpn(&["h2", "http/1.1"])]).bytes());
    assert!(hello.protocols.offers(b"h2") && hello.protocols.offers(b"http/1.1"));
    assert!(!hello.protocols.offers(b"H2") && !hello.protocols.offers(b"") && !hello.protocols.offers(b"http"));
    assert!(!whole(&Hello::default().bytes()).protocols.offers(b"h2"));
}

/// Bytes that begin well and go wrong somewhere.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let hello = Hello::with(&[name(b"shop.example"), alpn(&["h2"]), versions(&[0x0304])]).message();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let hostile = (changes, 1..200usize).prop_map(move |(changes, size)| {
        let mut bytes = records(&hello, size);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    });
    prop_oneof![hostile, prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #[test]
    fn it_does_not_matter_where_bytes_are_cut(bytes in any_bytes()) {
        assert_splits(&bytes);
    }

    /// Records are wrapping only.
    #[test]
    fn it_does_not_matter_how_records_are_cut(size in 3usize..300, host in "[a-z]{1,20}(\\.[a-z0-9-]{1,20}){0,3}") {
        let hello = Hello::with(&[name(host.as_bytes()), alpn(&["h2"])]).message();
        let expected = whole(&record(&hello));
        prop_assert_eq!(whole(&records(&hello, size)), expected);
    }
}
