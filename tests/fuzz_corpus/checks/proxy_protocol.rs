//! PROXY headers of both versions.

use tsuji::message::proxy_protocol::{MAX_PROXY_HEADER, Progress, ProxiedClient, ProxyHeader, parse};
use tsuji::model::ProxyVersion;

use super::{Target, bounded, cuts};

pub const TARGET: Target = Target { name: "proxy_protocol", check };

fn check(data: &[u8]) {
    let data = bounded(data);
    let whole = parse(data);
    for cut in cuts(data.len().min(MAX_PROXY_HEADER + 100)) {
        let early = parse(&data[..cut]);
        assert!(early == Ok(Progress::Incomplete) || early == whole, "{cut} bytes are {early:?}, all are {whole:?}");
    }
    match whole {
        Ok(Progress::Incomplete) => assert!(data.len() < MAX_PROXY_HEADER, "nobody is waited for longer"),
        Ok(Progress::Whole { header, length }) => {
            assert!(length <= data.len() && length <= MAX_PROXY_HEADER);
            assert_eq!(parse(&data[..length]), whole, "what follows does not matter");
            assert_eq!(parse(&data[..length - 1]), Ok(Progress::Incomplete), "each byte is needed");
            print(header);
        }
        Err(_) => assert_eq!(parse(&[data, b"\r\n"].concat()), whole, "a fault stays one"),
    }
}

/// What we pass on is read as what we were told.
fn print(header: ProxyHeader) {
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        let printed = header.to_bytes(version);
        let expected = match (header, version) {
            (ProxyHeader::Client(client), ProxyVersion::V1) => {
                ProxyHeader::Client(ProxiedClient { tls: false, ..client })
            }
            (header, _) => header,
        };
        assert_eq!(parse(&printed), Ok(Progress::Whole { header: expected, length: printed.len() }));
    }
}
