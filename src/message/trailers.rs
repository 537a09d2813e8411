//! Fields that come after a body.

use http::{HeaderMap, HeaderName};

/// Takes out of a trailer section what RFC 9110 6.5.1 forbids there: whatever frames, routes, authenticates or modifies
/// the message. A server that merged it into the head would act on it after we decided.
pub fn clean_trailers(trailers: &mut HeaderMap) {
    let forbidden: Vec<HeaderName> = trailers.keys().filter(|name| is_forbidden(name.as_str())).cloned().collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

fn is_forbidden(name: &str) -> bool {
    const NAMES: [&str; 27] = [
        "age",
        "authorization",
        "cache-control",
        "connection",
        "cookie",
        "date",
        "expect",
        "expires",
        "forwarded",
        "host",
        "keep-alive",
        "location",
        "max-forwards",
        "origin",
        "pragma",
        "range",
        "retry-after",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "tsuji-error",
        "upgrade",
        "vary",
        "via",
        "www-authenticate",
        "x-real-ip",
    ];
    // `Content-*` says how to read the body, which was read by then; a name with other characters may be read as any.
    const PREFIXES: [&str; 5] = ["content-", "if-", "proxy-", "sec-", "x-forwarded"];
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    !is_plain || NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_harmless_trailers_pass() {
        let sent = [
            "Grpc-Status",
            "Server-Timing",
            "X-Checksum",
            "Host",
            "Content-Length",
            "X_Checksum",
            "Cookie",
            "X-Forwarded-For",
        ];
        let mut trailers: HeaderMap = sent
            .iter()
            .map(|name| (HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_static("1")))
            .collect();
        clean_trailers(&mut trailers);
        let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "server-timing", "x-checksum"]);
    }
}
