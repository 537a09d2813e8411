//! Which field names this room acts on, told apart by length first and bytes second.

use http::HeaderName;

/// A field that some step of this room acts on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Field {
    Authorization,
    Connection,
    ContentLength,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    ProxyAuthenticate,
    ProxyAuthenticationInfo,
    ProxyAuthorization,
    ProxyConnection,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    WwwAuthenticate,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
}

/// What a name means to this room. Names in a `HeaderMap` are lower case already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// Passes as it is.
    Ordinary,
    /// One of the fields with a step of its own.
    Known(Field),
    /// Says something about the client that servers believe, so only trusted peers may say it.
    Claim,
    /// One of the web-server plug-in's own: for servers marked for them, from trusted peers only.
    Private,
    /// Has a character besides letters, digits and `-`. CGI and its heirs (WSGI, PHP, servlets behind AJP) write `-`
    /// and `_` alike, so such a name may be read as another.
    Odd,
}

/// The meaning of `name`.
pub(super) fn meaning(name: &HeaderName) -> Meaning {
    let name = name.as_str().as_bytes();
    if let Some(meaning) = known(name) {
        return meaning;
    }
    if !is_plain(name) {
        return if is_private(name) { Meaning::Private } else { Meaning::Odd };
    }
    if is_claim(name) { Meaning::Claim } else { Meaning::Ordinary }
}

/// Names that need no closer look. The compiler makes a decision tree of this, by length first.
fn known(name: &[u8]) -> Option<Meaning> {
    Some(Meaning::Known(match name {
        b"te" => Field::Te,
        b"host" => Field::Host,
        b"expect" => Field::Expect,
        b"trailer" => Field::Trailer,
        b"upgrade" => Field::Upgrade,
        b"forwarded" => Field::Forwarded,
        b"connection" => Field::Connection,
        b"keep-alive" => Field::KeepAlive,
        b"authorization" => Field::Authorization,
        b"content-length" => Field::ContentLength,
        b"http2-settings" => Field::Http2Settings,
        b"x-forwarded-for" => Field::XForwardedFor,
        b"proxy-connection" => Field::ProxyConnection,
        b"www-authenticate" => Field::WwwAuthenticate,
        b"x-forwarded-host" => Field::XForwardedHost,
        b"x-forwarded-port" => Field::XForwardedPort,
        b"transfer-encoding" => Field::TransferEncoding,
        b"x-forwarded-proto" => Field::XForwardedProto,
        b"proxy-authenticate" => Field::ProxyAuthenticate,
        b"proxy-authorization" => Field::ProxyAuthorization,
        b"proxy-authentication-info" => Field::ProxyAuthenticationInfo,
        // Most of the fields that browsers and servers send.
        b"date" | b"etag" | b"vary" | b"accept" | b"cookie" | b"server" | b"referer" | b"user-agent"
        | b"set-cookie" | b"content-type" | b"last-modified" | b"cache-control" | b"accept-ranges"
        | b"accept-encoding" | b"accept-language" => return Some(Meaning::Ordinary),
        _ => return None,
    }))
}

fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|&byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// `$WSRA` and its kin, and the version of the partition table.
pub(super) fn is_private(name: &[u8]) -> bool {
    name.starts_with(b"$ws") || name == b"_ws_haprt_wlmversion"
}

/// Fields besides the known ones by which proxies tell servers about the client. Nobody can list them all; these are
/// the ones that common servers, frameworks and content networks read. Each of them, sent by a client, would let it
/// choose its own address, name, certificate, scheme or URL. `X-Request-Id` is among them because logs are joined by it: who
/// chooses it puts its own lines among another's.
const CLAIMS: [&[u8]; 24] = [
    b"cf-connecting-ip",
    b"client-cert",
    b"client-cert-chain",
    b"client-ip",
    b"fastly-client-ip",
    b"front-end-https",
    b"proxy-client-ip",
    b"remote-user",
    b"rmcorrelator",
    b"true-client-ip",
    b"x-arr-clientcert",
    b"x-arr-ssl",
    b"x-client-cert",
    b"x-client-ip",
    b"x-client-verify",
    b"x-cluster-client-ip",
    b"x-original-url",
    b"x-real-ip",
    b"x-remote-ip",
    b"x-remote-user",
    b"x-request-id",
    b"x-rewrite-url",
    b"x-scheme",
    b"x-url-scheme",
];

/// Beginnings of such names; `x-original-for`, `-host` and `-proto` are what ASP.NET Core keeps of the replaced ones,
/// `wl-proxy-` is what WebLogic believes of its plug-in, `iv-` (`iv-user`, `iv-groups`, `iv-creds`) what applications believe of WebSEAL.
const CLAIM_PREFIXES: [&[u8]; 10] = [
    b"iv-",
    b"ssl-client-",
    b"wl-proxy-",
    b"x-forwarded",
    b"x-original-for",
    b"x-original-host",
    b"x-original-proto",
    b"x-ssl-",
    b"x-tls-",
    b"x-envoy-external-",
];

fn is_claim(name: &[u8]) -> bool {
    // No claim begins with another letter; most fields of a browser do.
    if !matches!(name.first(), Some(b'c' | b'f' | b'i' | b'p' | b'r' | b's' | b't' | b'w' | b'x')) {
        return false;
    }
    CLAIM_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || CLAIMS.contains(&name)
}

/// Whether `Connection` may not take the field with this name out, though it names it. RFC 9110 7.6.1 forbids senders
/// to name fields meant for all recipients; who does it all the same wants the server to miss something:
///
/// * framing and routing (`Content-Length`, `Transfer-Encoding`, `Trailer`, `Expect`, `Host`, `Via`): the server would
///   read another message than we do;
/// * who asks (`Authorization`, `Cookie`, `Origin`, …) and what we or a trusted proxy say of the client: the server
///   would take the request for somebody else's;
/// * what is asked and sent (`Content-*`, `Range`, `If-*`, `Cache-Control`, …): a shared cache behind us would store
///   the wrong thing.
pub(super) fn is_protected(name: &[u8]) -> bool {
    let mut room = [0; LONGEST_PROTECTED];
    let Some(lower) = lower_into(name, &mut room) else { return false };
    PROTECTED.contains(&lower) || PROTECTED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) || is_claim(lower)
}

const PROTECTED: [&[u8]; 25] = [
    b"accept",
    b"accept-encoding",
    b"age",
    b"authorization",
    b"cache-control",
    b"cookie",
    b"date",
    b"etag",
    b"expect",
    b"expires",
    b"forwarded",
    b"host",
    b"last-modified",
    b"location",
    b"origin",
    b"range",
    b"referer",
    b"set-cookie",
    b"strict-transport-security",
    b"trailer",
    b"transfer-encoding",
    b"tsuji-error",
    b"vary",
    b"via",
    b"www-authenticate",
];
const PROTECTED_PREFIXES: [&[u8]; 4] = [b"content-", b"if-", b"sec-", b"x-csrf"];

/// Longer names than this are never protected; all that are end well before.
const LONGEST_PROTECTED: usize = 64;

/// `name` in lower case, if it has room.
fn lower_into<'a>(name: &[u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let lower = room.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    Some(lower)
}

/// Which fields a head has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Fields(u32);

impl Fields {
    pub fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }

    /// Adds the field; `false`: it was there already.
    pub fn add(&mut self, field: Field) -> bool {
        let first = !self.has(field);
        self.0 |= 1 << field as u8;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Meaning {
        meaning(&HeaderName::from_bytes(name.as_bytes()).expect("a header name"))
    }

    #[test]
    fn meanings() {
        let known = [
            ("TE", Field::Te),
            ("Host", Field::Host),
            ("Expect", Field::Expect),
            ("Upgrade", Field::Upgrade),
            ("Trailer", Field::Trailer),
            ("Forwarded", Field::Forwarded),
            ("Connection", Field::Connection),
            ("Keep-Alive", Field::KeepAlive),
            ("Authorization", Field::Authorization),
            ("Content-Length", Field::ContentLength),
            ("HTTP2-Settings", Field::Http2Settings),
            ("X-Forwarded-For", Field::XForwardedFor),
            ("WWW-Authenticate", Field::WwwAuthenticate),
            ("X-Forwarded-Host", Field::XForwardedHost),
            ("X-Forwarded-Port", Field::XForwardedPort),
            ("X-Forwarded-Proto", Field::XForwardedProto),
            ("Proxy-Connection", Field::ProxyConnection),
            ("Transfer-Encoding", Field::TransferEncoding),
            ("Proxy-Authenticate", Field::ProxyAuthenticate),
            ("Proxy-Authorization", Field::ProxyAuthorization),
            ("Proxy-Authentication-Info", Field::ProxyAuthenticationInfo),
        ];
        for (name, field) in known {
            assert_eq!(of(name), Meaning::Known(field), "{name}");
        }
        for name in ["Accept", "Cookie", "User-Agent", "If-Match", "Via", "xx", "hosts", "1-2", "X-For"] {
            assert_eq!(of(name), Meaning::Ordinary, "{name}");
        }
        for name in ["X_Forwarded_For", "X-Forwarded_For", "$XSRA", "a.b", "_", "content_length", "x-forwarded-f!r"] {
            assert_eq!(of(name), Meaning::Odd, "{name}");
        }
        for name in ["$WSRA", "$wspt", "_WS_HAPRT_WLMVERSION"] {
            assert_eq!(of(name), Meaning::Private, "{name}");
        }
        for name in [
            "X-Real-IP",
            "X-Forwarded",
            "X-Forwarded-Server",
            "X-SSL-Client-DN",
            "Client-Cert",
            "WL-Proxy-Client-IP",
            "WL-Proxy-SSL",
            "WL-Proxy-Client-Cert",
            "Proxy-Client-IP",
            "IV-User",
            "iv-groups",
            "Remote-User",
            "X-Remote-User",
            "X-Request-Id",
        ] {
            assert_eq!(of(name), Meaning::Claim, "{name}");
        }
    }

    #[test]
    fn every_claim_passes_the_letter_gate() {
        assert!(CLAIMS.into_iter().chain(CLAIM_PREFIXES).all(|name| is_claim(name) && is_plain(name)));
    }

    #[test]
    fn protected_names() {
        for name in
            ["Host", "content-length", "Content-Anything", "COOKIE", "X-Forwarded-For", "Client-Cert", "If-Match"]
        {
            assert!(is_protected(name.as_bytes()), "{name}");
        }
        for name in ["keep-alive", "x-session", "foo", "", &"x".repeat(100)] {
            assert!(!is_protected(name.as_bytes()), "{name}");
        }
    }
}
