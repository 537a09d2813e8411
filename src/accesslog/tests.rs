//! Whatever a client sends: one line, from which what it sent can be told.

use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::message::ErrorReason;
use crate::model::{AccessLogFormat, AccessLogId};

fn line() -> Line {
    Line {
        file: AccessLogId(3),
        format: AccessLogFormat::Combined,
        kind: Kind::Http,
        began: 1_700_000_000_123_456,
        total: 1_234,
        connect: None,
        first_byte: Some(900),
        request: None,
        sent: 5_120,
        received: 0,
        status: 200,
        attempts: 1,
        error: None,
        end: End::Complete,
        upstream: Upstream::Reused,
        client: "192.0.2.1".parse().unwrap(),
        peer: "192.0.2.1:40000".parse().unwrap(),
        port: 80,
    }
}

fn server() -> Server<'static> {
    Server { name: b"w1", address: "10.0.0.1:9080".parse().unwrap() }
}

fn request(texts: [&[u8]; 5]) -> Request {
    let mut request = Request { version: Version::Http11, ..Request::default() };
    for (text, bytes) in Text::ALL.into_iter().zip(texts).filter(|(_, bytes)| !bytes.is_empty()) {
        request.put(text, &[bytes]);
    }
    request
}

/// An hour ahead of UTC.
fn text_of(record: &Record<'_>) -> String {
    let mut out = Vec::new();
    Lines::new(Box::new(|_| 3600)).write(&mut out, record);
    String::from_utf8(out).unwrap()
}

fn json_of(record: &Record<'_>) -> serde_json::Value {
    let line = Line { format: AccessLogFormat::Json, ..record.line };
    let text = text_of(&Record { line, ..*record });
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    serde_json::from_str(&text).unwrap()
}

const ORDINARY: [&[u8]; 5] = [b"GET", b"/cart?item=7", b"shop.example", b"https://shop.example/", b"Mozilla/5.0 (X11)"];

#[test]
fn an_ordinary_request_word_for_word() {
    let request = request(ORDINARY);
    let record = Record::new(line(), b"shop", Some(server()), &request);
    assert_eq!(
        text_of(&record),
        "192.0.2.1 - - [14/Nov/2023:23:13:20 +0100] \"GET /cart?item=7 HTTP/1.1\" 200 5120 \
         \"https://shop.example/\" \"Mozilla/5.0 (X11)\" kind=http port=shop:80 peer=192.0.2.1:40000 \
         host=\"shop.example\" server=\"w1\" address=10.0.0.1:9080 attempts=1 upstream=reused received=0 \
         first_byte_us=900 total_us=1234 end=complete\n"
    );
    let line = Line { format: AccessLogFormat::Json, ..line() };
    assert_eq!(
        text_of(&Record { line, ..record }),
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"client\":\"192.0.2.1\",\"peer\":\"192.0.2.1:40000\",\
         \"port\":\"shop:80\",\"kind\":\"http\",\"method\":\"GET\",\"target\":\"/cart?item=7\",\"host\":\"shop.example\",\
         \"referer\":\"https://shop.example/\",\"agent\":\"Mozilla/5.0 (X11)\",\"protocol\":\"HTTP/1.1\",\"status\":200,\
         \"sent\":5120,\"received\":0,\"server\":\"w1\",\"address\":\"10.0.0.1:9080\",\"upstream\":\"reused\",\
         \"attempts\":1,\"first_byte_us\":900,\"total_us\":1234,\"end\":\"complete\"}\n"
    );
}

#[test]
fn nothing_known_word_for_word() {
    let nothing = Request::default();
    let line = Line {
        kind: Kind::Tcp,
        first_byte: None,
        status: 0,
        sent: 0,
        attempts: 0,
        error: Some(ErrorReason::NoServer),
        end: End::Refused,
        upstream: Upstream::None,
        client: "2001:db8::1".parse().unwrap(),
        peer: "[2001:db8::1]:40000".parse().unwrap(),
        ..line()
    };
    let record = Record::new(line, b"2001:db8::10", None, &nothing);
    assert_eq!(
        text_of(&record),
        "2001:db8::1 - - [14/Nov/2023:23:13:20 +0100] \"-\" - - \"-\" \"-\" kind=tcp port=2001:db8::10@80 \
         peer=[2001:db8::1]:40000 host=\"-\" server=\"-\" address=- attempts=0 upstream=- received=0 \
         total_us=1234 error=no-server end=refused\n"
    );
    let found = json_of(&record);
    assert_eq!((found.get("target"), found.get("server"), found.get("connect_us")), (None, None, None));
    assert_eq!(
        (&found["port"], &found["error"], &found["status"]),
        (&"2001:db8::10@80".into(), &"no-server".into(), &0.into())
    );
}

#[test]
fn texts_have_a_bound_and_say_so() {
    let long = "\u{6771}".repeat(1000);
    let request = request([b"GET", long.as_bytes(), b"", b"", b""]);
    let record = Record::new(line(), b"shop", None, &request);
    let kept = "\u{6771}".repeat(2048 / 3);
    assert!(text_of(&record).contains(&format!("\"GET {kept}\\... HTTP/1.1\"")), "at a whole character");
    let found = json_of(&record);
    assert_eq!((found["target"].as_str(), found["cut"].to_string()), (Some(kept.as_str()), "[\"target\"]".to_owned()));
}

#[test]
fn texts_in_parts_are_one_text() {
    let mut request = Request::default();
    request.put(Text::Target, &[b"http", b"://", b"shop", b"/a"]);
    request.put(Text::Agent, &[&[b'a'; 1000], &[b'b'; 1000]]);
    let record = Record::new(line(), b"shop", None, &request);
    assert_eq!((record.text(Text::Method), record.text(Text::Target)), (&b""[..], &b"http://shop/a"[..]));
    assert_eq!(record.text(Text::Agent), [[b'a'; 1000].as_slice(), &[b'b'; 24]].concat());
}

#[test]
fn the_worst_record_fits_in_a_buffer() {
    let longest = vec![0xff; 70_000];
    let request = request([&longest; 5]);
    let name = vec![b'n'; crate::model::MAX_NAME];
    let server = Server { name: &name, ..server() };
    let record = Record::new(line(), &name, Some(server), &request);
    assert_eq!(record.size(), MAX_RECORD);
    const { assert!(MAX_RECORD < 8 * 1024) }
}

#[test]
fn what_is_damaged_ends_the_records() {
    let request = request(ORDINARY);
    let mut packed = Vec::new();
    Record::new(line(), b"shop", Some(server()), &request).pack(&mut packed);
    for length in 0..packed.len() {
        assert_eq!(unpack(&packed[..length]).count(), 0, "{length} bytes of {}", packed.len());
    }
    assert_eq!(unpack(&[packed.as_slice(), &[7; 20]].concat()).count(), 1);
    assert_eq!(unpack(&[0; 1000]).count(), 0);
}

/// The fields of a combined line as a reader splits them: at blanks, but not within quotes or brackets.
fn split(line: &str) -> Vec<&str> {
    let (mut fields, mut rest) = (Vec::new(), line.strip_suffix('\n').unwrap());
    loop {
        let value = rest.find('=').filter(|at| rest[..*at].bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        let skip = value.map_or(0, |at| at + 1);
        let close = match rest.as_bytes().get(skip) {
            Some(b'"') => skip + 2 + rest[skip + 1..].find('"').unwrap(),
            Some(b'[') if fields.len() == 3 => 1 + rest.find(']').unwrap(),
            _ => rest.find(' ').unwrap_or(rest.len()),
        };
        fields.push(&rest[..close]);
        match rest[close..].strip_prefix(' ') {
            Some(more) => rest = more,
            None => {
                assert_eq!(&rest[close..], "", "{line}");
                return fields;
            }
        }
    }
}

/// What an escaped text stood for.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// As JSON shows bytes: what is no UTF-8 as the characters of their numbers.
fn shown(bytes: &[u8]) -> String {
    let chunk = |chunk: std::str::Utf8Chunk<'_>| {
        chunk.valid().chars().chain(chunk.invalid().iter().map(|byte| char::from(*byte))).collect::<String>()
    };
    bytes.utf8_chunks().map(chunk).collect()
}

fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        vec(any::<u8>(), 0..20),
        "\\PC{0,20}".prop_map(String::into_bytes),
        "[\\x00-\\x1f\"\\\\ \\]\\[=]{0,20}".prop_map(String::into_bytes),
        Just("\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}\u{85}".as_bytes().to_vec()),
        Just(b"\" 200 1 \"-\" \"-\"\n127.0.0.1 - - [".to_vec()),
        Just(b"\\x22\\u0022".to_vec()),
    ];
    vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
}

/// As hyper lets it through: a target has no blanks, and is not empty.
fn target() -> impl Strategy<Value = Vec<u8>> {
    nasty().prop_map(|bytes| [b"/".as_slice(), &bytes].concat().into_iter().filter(|byte| *byte != b' ').collect())
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

proptest! {
    #[test]
    fn any_request_is_one_line_that_gives_it_back(
        target in target(), host in nasty(), referer in nasty(), agent in nasty(),
    ) {
        let request = request([b"GET", &target, &host, &referer, &agent]);
        let record = Record::new(line(), b"shop", Some(server()), &request);
        let text = text_of(&record);
        prop_assert_eq!(text.matches('\n').count(), 1);
        prop_assert!(!text.trim_end_matches('\n').chars().any(char::is_control), "{:?}", text);
        let fields = split(&text);
        prop_assert_eq!(fields.len(), 9 + 12, "{:?}", fields);
        let back = |field: &str| unescaped(field.split_once('"').unwrap().1.strip_suffix('"').unwrap());
        let or_dash = |bytes: &[u8]| if bytes.is_empty() { b"-".to_vec() } else { bytes.to_vec() };
        prop_assert_eq!(back(fields[4]), [b"GET ", target.as_slice(), b" HTTP/1.1"].concat());
        prop_assert_eq!(back(fields[7]), or_dash(&referer));
        prop_assert_eq!(back(fields[8]), or_dash(&agent));
        prop_assert_eq!(back(fields[12]), or_dash(&host));
        let found = json_of(&record);
        for (name, bytes) in [("target", &target), ("host", &host), ("referer", &referer), ("agent", &agent)] {
            let wanted = (!bytes.is_empty()).then(|| shown(bytes));
            prop_assert_eq!(found.get(name).map(|value| value.as_str().unwrap().to_owned()), wanted);
        }
    }

    #[test]
    fn packing_loses_nothing(
        numbers in any::<[u64; 5]>(), times in any::<[Option<u32>; 3]>(), small in any::<[u16; 5]>(),
        places in (0..3usize, 0..8usize, 0..3usize, 0..ErrorReason::ALL.len() + 1, any::<bool>()),
        client in address(), peer in address(), server_at in proptest::option::of(address()),
        texts in vec(nasty(), 5),
    ) {
        let line = Line {
            file: AccessLogId(numbers[4] as u32),
            format: if places.4 { AccessLogFormat::Json } else { AccessLogFormat::Combined },
            kind: [Kind::Http, Kind::Tunnel, Kind::Tcp][places.0],
            began: numbers[0], total: numbers[1], sent: numbers[2], received: numbers[3],
            connect: times[0].map(u64::from), first_byte: times[1].map(u64::from), request: times[2].map(u64::from),
            status: small[0], attempts: small[1],
            error: ErrorReason::ALL.get(places.3).copied(),
            end: [End::Complete, End::ClientGone, End::Broken, End::Cut, End::Stalled, End::Refused, End::Stopped,
                End::Fault][places.1],
            upstream: [Upstream::None, Upstream::New, Upstream::Reused][places.2],
            client, peer: SocketAddr::new(peer, small[2]), port: small[3],
        };
        let server = server_at.map(|ip| Server { name: b"w1", address: SocketAddr::new(ip, small[4]) });
        let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let request = request(texts.try_into().unwrap());
        let record = Record::new(line, b"shop", server, &request);
        let mut packed = b"before".to_vec();
        record.pack(&mut packed);
        record.pack(&mut packed);
        prop_assert_eq!(packed.len(), 6 + 2 * record.size());
        let found: Vec<_> = unpack(&packed[6..]).collect();
        prop_assert_eq!(found, [record, record]);
    }

    #[test]
    fn cutting_never_halves_a_character(length in 2040..2060usize, character in any::<char>()) {
        let mut text = "a".repeat(length);
        text.push(character);
        text.push_str("end");
        let request = request([b"GET", text.as_bytes(), b"", b"", b""]);
        let record = Record::new(line(), b"shop", None, &request);
        let kept = std::str::from_utf8(record.text(Text::Target));
        prop_assert!(kept.is_ok_and(|kept| text.starts_with(kept) && kept.len() > 2044 - 3), "{:?}", kept);
    }
}
