//! The vocabulary of the errors that the proxy answers itself.

use std::fmt;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

/// The field that tells, in every response that the proxy makes itself, why: its value is [`ErrorReason::word`].
pub const TSUJI_ERROR: HeaderName = HeaderName::from_static("tsuji-error");

/// Writes the enum and its tables from one list, so that a reason cannot lack one of its parts.
macro_rules! reasons {
    ($($variant:ident, $word:literal, $status:ident, $code:literal, $phrase:literal, $end:ident, $text:literal;)+) => {
        /// Why the proxy answered a request itself, or closed a connection without an answer. The only vocabulary for
        /// that: the log, the metrics and the [`TSUJI_ERROR`] field all use its words.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        pub enum ErrorReason {
            $(#[doc = $text] $variant,)+
        }

        impl ErrorReason {
            /// Every reason, in the order of [`Self::index`].
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// One lower-case word for labels, logs and the [`TSUJI_ERROR`] field.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The status of the answer.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// One sentence for people: lower case, without a full stop.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Whether the client's connection ends with the answer: its next bytes cannot be trusted, or no more of
            /// its requests are wanted.
            pub const fn closes(self) -> bool {
                match self { $(Self::$variant => matches!(After::$end, After::Close),)+ }
            }

            /// The plain text that is sent with the status: the status and the word, nothing about the inside.
            pub const fn body(self) -> &'static str {
                match self { $(Self::$variant => concat!($code, " ", $phrase, " (", $word, ")\n"),)+ }
            }
        }
    };
}

/// What becomes of the client's connection after the answer.
enum After {
    Keep,
    Close,
}

reasons! {
    // The client's request. Each of them closes: where its end is in doubt, the next request may be smuggled.
    BadRequest, "bad-request", BAD_REQUEST, "400", "Bad Request", Close,
        "the request could not be read as HTTP";
    BadHost, "bad-host", BAD_REQUEST, "400", "Bad Request", Close,
        "the request must name exactly one valid host";
    BadAuthority, "bad-authority", BAD_REQUEST, "400", "Bad Request", Close,
        "the authority in the request target is not a plain host and port";
    HostMismatch, "host-mismatch", BAD_REQUEST, "400", "Bad Request", Close,
        "the request target and the host field name different hosts";
    BadTarget, "bad-target", BAD_REQUEST, "400", "Bad Request", Close,
        "the request target has a form that its method does not allow";
    BadPath, "bad-path", BAD_REQUEST, "400", "Bad Request", Close,
        "the path leads above the root or hides where it leads";
    BadLength, "bad-length", BAD_REQUEST, "400", "Bad Request", Close,
        "the content length is repeated or not a number";
    BadTransferEncoding, "bad-transfer-encoding", BAD_REQUEST, "400", "Bad Request", Close,
        "the transfer encoding is not exactly `chunked` on http/1.1";
    LengthAndEncoding, "length-and-encoding", BAD_REQUEST, "400", "Bad Request", Close,
        "the request has both a content length and a transfer encoding";
    MethodConnect, "method-connect", NOT_IMPLEMENTED, "501", "Not Implemented", Close,
        "connect is not served here";
    MethodTrace, "method-trace", METHOD_NOT_ALLOWED, "405", "Method Not Allowed", Close,
        "trace is not served here";
    MethodExcluded, "method-excluded", METHOD_NOT_ALLOWED, "405", "Method Not Allowed", Close,
        "the port does not serve this method";
    BodyTooLarge, "body-too-large", PAYLOAD_TOO_LARGE, "413", "Payload Too Large", Close,
        "the request's body is larger than it may be";
    BadExpectation, "bad-expectation", EXPECTATION_FAILED, "417", "Expectation Failed", Close,
        "only 100-continue can be expected";
    UriTooLong, "uri-too-long", URI_TOO_LONG, "414", "URI Too Long", Close,
        "the request target is too long";
    TooManyHeaders, "too-many-headers", REQUEST_HEADER_FIELDS_TOO_LARGE, "431", "Request Header Fields Too Large", Close,
        "the request has too many header fields";
    HeadTooLarge, "head-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "431", "Request Header Fields Too Large", Close,
        "the request's head is too large";
    HeadTimeout, "head-timeout", REQUEST_TIMEOUT, "408", "Request Timeout", Close,
        "the request's head did not arrive in time";
    BodyTimeout, "body-timeout", REQUEST_TIMEOUT, "408", "Request Timeout", Close,
        "the request's body did not arrive in time";
    BadBody, "bad-body", BAD_REQUEST, "400", "Bad Request", Close,
        "the request's body broke off or was malformed";
    Misdirected, "misdirected", MISDIRECTED_REQUEST, "421", "Misdirected Request", Close,
        "the certificate of this connection is not for the request's host";
    // TLS with the client, or instead of it.
    NotTls, "plain-on-tls-port", BAD_REQUEST, "400", "Bad Request", Close,
        "the client does not speak tls, and this port does";
    TlsOnPlainPort, "tls-on-plain-port", BAD_REQUEST, "400", "Bad Request", Close,
        "the client speaks tls, and this port does not";
    TlsHandshake, "tls-handshake", BAD_REQUEST, "400", "Bad Request", Close,
        "the client and this port did not agree on a tls session";
    TlsTimeout, "tls-timeout", REQUEST_TIMEOUT, "408", "Request Timeout", Close,
        "the tls handshake was not over in time";
    NoCertificate, "no-certificate", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Close,
        "none of the port's certificates could be used";
    // HTTP/2 with the client. A connection that ends for one of these is told GOAWAY and no status.
    Http2Protocol, "h2-protocol", BAD_REQUEST, "400", "Bad Request", Close,
        "the client broke the rules of http/2";
    Http2Resets, "h2-resets", BAD_REQUEST, "400", "Bad Request", Close,
        "the client reset more streams than anybody needs to";
    Http2Pings, "h2-pings", BAD_REQUEST, "400", "Bad Request", Close,
        "the client sent more pings than anybody needs to";
    Http2Settings, "h2-settings", BAD_REQUEST, "400", "Bad Request", Close,
        "the client sent more settings than anybody needs to";
    Http2Windows, "h2-windows", BAD_REQUEST, "400", "Bad Request", Close,
        "the client opened more windows than it took data for";
    Http2Priorities, "h2-priorities", BAD_REQUEST, "400", "Bad Request", Close,
        "the client sent more priorities than anybody needs to";
    Http2Continuations, "h2-continuations", BAD_REQUEST, "400", "Bad Request", Close,
        "the client cut a block of fields into too many frames";
    Http2EmptyData, "h2-empty-data", BAD_REQUEST, "400", "Bad Request", Close,
        "the client sent too many frames of data without any";
    Http2Refused, "h2-refused", REQUEST_HEADER_FIELDS_TOO_LARGE, "431", "Request Header Fields Too Large", Close,
        "a request had larger fields than it may, or came beyond as many as there may be at once";
    Http2Stalled, "h2-stalled", REQUEST_TIMEOUT, "408", "Request Timeout", Close,
        "the client did not take its response";
    // The proxy before us. It gets no answer: whoever it serves would take it for the answer of the site.
    BadProxyHeader, "bad-proxy-header", BAD_REQUEST, "400", "Bad Request", Close,
        "the trusted proxy did not begin its connection with a proxy protocol header";
    // Choosing a server.
    NoServer, "no-server", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Keep,
        "no server is usable";
    RefusedByRule, "refused-by-rule", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Keep,
        "a rule without servers refused the request";
    NoRoute, "no-route", NOT_FOUND, "404", "Not Found", Keep,
        "no application serves this host and path";
    QueueFull, "queue-full", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Keep,
        "all servers have as many requests as they may have, and as many wait as may";
    QueueTimeout, "queue-timeout", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Keep,
        "no server had room for the request in time";
    RetryBudget, "retry-budget", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Keep,
        "the server failed, and there were too many second attempts already";
    // Reaching it.
    ConnectRefused, "connect-refused", BAD_GATEWAY, "502", "Bad Gateway", Keep,
        "the server refused the connection";
    ConnectTimeout, "connect-timeout", GATEWAY_TIMEOUT, "504", "Gateway Timeout", Keep,
        "the server did not accept the connection in time";
    Unreachable, "unreachable", BAD_GATEWAY, "502", "Bad Gateway", Keep,
        "the network has no way to the server";
    Unresolved, "unresolved", BAD_GATEWAY, "502", "Bad Gateway", Keep,
        "the server's name has no address";
    HandshakeFailed, "handshake-failed", BAD_GATEWAY, "502", "Bad Gateway", Keep,
        "the server did not answer the question that precedes a request";
    ServerTls, "server-tls", BAD_GATEWAY, "502", "Bad Gateway", Keep,
        "the server and the dispatcher did not agree on a tls session";
    // Its answer.
    ServerUnavailable, "server-unavailable", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Keep,
        "the server answered that it is unavailable";
    ServerTimeout, "server-timeout", GATEWAY_TIMEOUT, "504", "Gateway Timeout", Keep,
        "the server did not answer in time";
    ServerClosed, "server-closed", BAD_GATEWAY, "502", "Bad Gateway", Keep,
        "the server closed the connection before it answered";
    BadResponse, "bad-response", BAD_GATEWAY, "502", "Bad Gateway", Keep,
        "the server's answer could not be understood in one way only";
    ServerDown, "server-down", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Keep,
        "the server was taken down while it worked on the request";
    // Ourselves.
    MaxConnections, "max-connections", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Close,
        "the port has as many connections as it may have";
    MaxPerClient, "max-per-client", TOO_MANY_REQUESTS, "429", "Too Many Requests", Close,
        "the client's address has as many connections as it may have";
    Overloaded, "overloaded", SERVICE_UNAVAILABLE, "503", "Service Unavailable", Close,
        "the dispatcher has as many connections as it may have, or as much memory";
}

impl ErrorReason {
    /// A stable place in tables of counters: below `ALL.len()`, the same for the life of the process.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word as a header value; costs no allocation.
    pub fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.word())
    }

    /// The whole answer to a request with this method. A HEAD gets the head alone.
    pub fn answer(self, method: &Method) -> Response<Bytes> {
        let text = if self == Self::NotTls { HINT } else { self.body() };
        let body = if method == Method::HEAD { "" } else { text };
        let mut response = Response::new(Bytes::from_static(body.as_bytes()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(TSUJI_ERROR, self.header_value());
        if self.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(self, Self::MethodTrace | Self::MethodExcluded) {
            // RFC 9110 15.5.6: a 405 must say what is allowed. These pass; the server may know fewer.
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        response
    }
}

/// Whoever reads this has typed one letter too few.
const HINT: &str =
    "400 Bad Request (plain-on-tls-port)\nThis port speaks TLS: ask for it with https:// instead of http://.\n";

/// The word.
impl fmt::Display for ErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl std::error::Error for ErrorReason {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_is_spelled_and_placed() {
        let mut words = HashSet::new();
        for (index, reason) in ErrorReason::ALL.into_iter().enumerate() {
            let word = reason.word();
            assert_eq!(reason.index(), index, "{word}");
            assert!(words.insert(word), "{word} twice");
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{word}");
            assert!(!reason.text().ends_with('.') && reason.text().starts_with(|c: char| c.is_lowercase()), "{word}");
            assert!(reason.status().is_client_error() || reason.status().is_server_error(), "{word}");
        }
    }

    #[test]
    fn bodies_say_status_and_word_and_nothing_more() {
        for reason in ErrorReason::ALL {
            let status = reason.status();
            let phrase = status.canonical_reason().expect("a registered status");
            assert_eq!(reason.body(), format!("{} {phrase} ({})\n", status.as_str(), reason.word()));
        }
    }

    #[test]
    fn statuses_as_operators_expect_them() {
        let cases = [
            (ErrorReason::NoServer, 503, false),
            (ErrorReason::ConnectRefused, 502, false),
            (ErrorReason::ConnectTimeout, 504, false),
            (ErrorReason::ServerTimeout, 504, false),
            (ErrorReason::BadResponse, 502, false),
            (ErrorReason::BadHost, 400, true),
            (ErrorReason::HeadTimeout, 408, true),
            (ErrorReason::UriTooLong, 414, true),
            (ErrorReason::HeadTooLarge, 431, true),
            (ErrorReason::Overloaded, 503, true),
        ];
        for (reason, status, closes) in cases {
            assert_eq!((reason.status().as_u16(), reason.closes()), (status, closes), "{reason}");
        }
    }

    #[test]
    fn a_head_is_answered_without_its_body() {
        let get = ErrorReason::NoServer.answer(&Method::GET);
        let head = ErrorReason::NoServer.answer(&Method::HEAD);
        assert_eq!(get.body().as_ref(), b"503 Service Unavailable (no-server)\n");
        assert!(head.body().is_empty());
        assert_eq!(get.headers(), head.headers());
        assert_eq!(get.headers()[TSUJI_ERROR], "no-server");
        assert_eq!(get.headers()[CONTENT_LENGTH], get.body().len().to_string().as_str());
        assert!(!get.headers().contains_key(CONNECTION));
    }

    #[test]
    fn a_trace_is_told_what_is_allowed() {
        let answer = ErrorReason::MethodTrace.answer(&Method::TRACE);
        assert!(answer.headers().contains_key(ALLOW));
        assert_eq!(answer.headers()[CONNECTION], "close");
    }
}
