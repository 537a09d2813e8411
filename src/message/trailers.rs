//! Fields that come after a body.

use http::{HeaderMap, HeaderName};

use super::names::{Meaning, meaning};

/// Takes out of a trailer section what RFC 9110 6.5.1 forbids there: whatever frames, routes, authenticates or modifies
/// the message. A server that merged it into the head would act on it after we decided.
pub fn clean_trailers(trailers: &mut HeaderMap) {
    let forbidden: Vec<HeaderName> = trailers.keys().filter(|name| is_forbidden(name)).cloned().collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

/// Whatever the other steps of this room act on is forbidden too; they look at heads only.
fn is_forbidden(name: &HeaderName) -> bool {
    let text = name.as_str();
    meaning(name) != Meaning::Ordinary
        || FORBIDDEN.contains(&text)
        || FORBIDDEN_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

const FORBIDDEN: [&str; 17] = [
    "age",
    "authorization",
    "cache-control",
    "cookie",
    "date",
    "expires",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "tsuji-error",
    "vary",
    "via",
    "www-authenticate",
];

/// `Content-*` says how to read the body, which was read by then.
const FORBIDDEN_PREFIXES: [&str; 4] = ["content-", "if-", "proxy-", "sec-"];

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
            "True-Client-IP",
            "TE",
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
