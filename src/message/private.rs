//! The private fields by which the web-server plug-in tells WebSphere servers of the client (`$WSRA` and its kin).
//!
//! Servers believe them, so they go to servers that are marked for them, and are taken only from trusted peers: another
//! plug-in or dispatcher before us. From everybody else they are taken out before anything else is done.

use std::fmt::Write;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::forwarded::Proto;
use super::names::is_private;

/// What a trusted peer said of the client.
pub type PrivateFields = Vec<(HeaderName, HeaderValue)>;

/// What we say of it where the peer did not.
#[derive(Clone, Copy, Debug)]
pub struct PrivateFacts<'a> {
    pub client: IpAddr,
    pub proto: Proto,
    /// The request came as HTTP/1.0.
    pub is_old: bool,
    /// The host that the request names, without its port.
    pub host: &'a str,
    pub port: u16,
    /// Of the partition table, as far as it is known.
    pub partitions: Option<u64>,
    /// Another server has failed before.
    pub failed_over: bool,
}

/// Takes the private fields out of a head.
pub fn take_private(fields: &mut HeaderMap) -> PrivateFields {
    let names: Vec<HeaderName> = fields.keys().filter(|name| is_private(name.as_str().as_bytes())).cloned().collect();
    let mut taken = PrivateFields::new();
    for name in names {
        // One meaning: of several the first, as the plug-in sends one.
        if let Some(value) = fields.remove(&name) {
            taken.push((name, value));
        }
    }
    taken
}

/// Appends the fields to a head that is being written.
pub fn write_private(given: &PrivateFields, facts: PrivateFacts<'_>, out: &mut Vec<u8>) {
    let is_given = |name: &str| given.iter().any(|(known, _)| known.as_str().eq_ignore_ascii_case(name));
    for (name, value) in given.iter().filter(|(name, _)| name.as_str() != "_ws_haprt_wlmversion") {
        line(out, &name.as_str().to_ascii_uppercase(), value.as_bytes());
    }
    let client = facts.client.to_canonical().to_string();
    let port = facts.port.to_string();
    let secure = if facts.proto == Proto::Https { "true" } else { "false" };
    let version = if facts.is_old { "HTTP/1.0" } else { "HTTP/1.1" };
    let own = [
        ("$WSRA", client.as_str()),
        ("$WSRH", client.as_str()),
        ("$WSSC", facts.proto.word()),
        ("$WSIS", secure),
        ("$WSPR", version),
        ("$WSSN", facts.host),
        ("$WSSP", port.as_str()),
    ];
    for (name, value) in own.into_iter().filter(|(name, value)| !is_given(name) && !value.is_empty()) {
        line(out, name, value.as_bytes());
    }
    if facts.failed_over && !is_given("$WSFO") {
        line(out, "$WSFO", b"TRUE");
    }
    let mut known = String::new();
    let _infallible = match facts.partitions {
        Some(version) => write!(known, "{version}"),
        None => write!(known, "-1"),
    };
    line(out, "_WS_HAPRT_WLMVERSION", known.as_bytes());
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> PrivateFacts<'static> {
        PrivateFacts {
            client: "192.0.2.7".parse().unwrap(),
            proto: Proto::Http,
            is_old: false,
            host: "shop.example",
            port: 80,
            partitions: None,
            failed_over: false,
        }
    }

    fn written(given: &PrivateFields, facts: PrivateFacts<'_>) -> String {
        let mut out = Vec::new();
        write_private(given, facts, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_we_know_is_said() {
        assert_eq!(
            written(&PrivateFields::new(), facts()),
            "$WSRA: 192.0.2.7\r\n$WSRH: 192.0.2.7\r\n$WSSC: http\r\n$WSIS: false\r\n$WSPR: HTTP/1.1\r\n\
             $WSSN: shop.example\r\n$WSSP: 80\r\n_WS_HAPRT_WLMVERSION: -1\r\n"
        );
        let later = PrivateFacts { partitions: Some(9), failed_over: true, ..facts() };
        assert!(written(&PrivateFields::new(), later).ends_with("$WSFO: TRUE\r\n_WS_HAPRT_WLMVERSION: 9\r\n"));
    }

    #[test]
    fn what_a_trusted_peer_said_stays_but_the_version_is_ours() {
        let mut fields = HeaderMap::new();
        for (name, value) in
            [("$wsra", "198.51.100.1"), ("$WsCc", "MIIB"), ("_WS_HAPRT_WLMVERSION", "77"), ("host", "h")]
        {
            fields.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value));
        }
        let given = take_private(&mut fields);
        assert_eq!(fields.len(), 1);
        let text = written(&given, facts());
        assert!(text.contains("$WSRA: 198.51.100.1\r\n") && text.contains("$WSCC: MIIB\r\n"), "{text}");
        assert!(!text.contains("192.0.2.7\r\n$WSRA") && text.matches("$WSRA").count() == 1, "{text}");
        assert!(text.ends_with("_WS_HAPRT_WLMVERSION: -1\r\n"), "{text}");
    }
}
