//! The first message of a TLS client.

use tsuji::message::Authority;
use tsuji::message::client_hello::{ClientHello, MAX_BYTES, Progress, parse};

use super::{Target, bounded, cuts};

pub const TARGET: Target = Target { name: "client_hello", check };

fn check(data: &[u8]) {
    let data = bounded(data);
    let whole = parse(data);
    for cut in cuts(data.len()) {
        let early = parse(&data[..cut]);
        assert!(early == Ok(Progress::Incomplete) || early == whole, "{cut} bytes are {early:?}, all are {whole:?}");
    }
    match &whole {
        Ok(Progress::Incomplete) => assert!(data.len() < MAX_BYTES, "nobody is waited for longer"),
        Ok(Progress::Whole(hello)) => {
            look_at(hello);
            assert_eq!(parse(&[data, b"\x17\x03\x03\0\x01x"].concat()), whole, "what follows does not matter");
            if let Some(length) = data.get(3..5).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]]))) {
                cut_otherwise(&data[5..], length, &whole);
            }
        }
        Err(_) => assert_eq!(parse(&[data, b"\r\n"].concat()), whole, "a fault stays one"),
    }
}

fn look_at(hello: &ClientHello) {
    if let Some(name) = &hello.server_name {
        let host = Authority::parse(name.as_bytes()).expect("a host as `Host` may name it");
        assert_eq!((host.host(), host.port()), (name.as_bytes(), None));
        assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()) && !name.ends_with('.'));
    }
    assert!(hello.protocols.iter().all(|name| !name.is_empty() && hello.protocols.offers(name)));
}

/// A hello that came in one record means the same in two.
fn cut_otherwise(rest: &[u8], length: usize, whole: &Result<Progress, tsuji::message::client_hello::ClientHelloFault>) {
    let Some(message) = rest.get(..length).filter(|message| message.len() > 1) else { return };
    let length_of_message = message
        .get(1..4)
        .map(|head| 4 + (usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])));
    if length_of_message != Some(message.len()) {
        return;
    }
    let (first, second) = message.split_at(message.len() / 2);
    let record = |part: &[u8]| [[22, 3, 3].as_slice(), &(part.len() as u16).to_be_bytes(), part].concat();
    assert_eq!(&parse(&[record(first), record(second)].concat()), whole, "records are wrapping only");
}
