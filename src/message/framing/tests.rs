use super::super::reason::ErrorReason;
use super::super::testing::{request, response};
use super::super::upgrade::Upgrade;
use super::*;

fn check(text: &str, expected: Result<Body, ErrorReason>) {
    assert_eq!(examine_request(&request(text)).map(|facts| facts.body()), expected, "{text:.80}");
}

#[test]
fn hosts() {
    check("GET / HTTP/1.1\nHost: shop.example", Ok(Body::None));
    check("GET / HTTP/1.1\nHost: [2001:db8::1]:8080", Ok(Body::None));
    check("GET / HTTP/1.0", Ok(Body::None));
    for fields in
        ["Accept: a", "Host:", "Host: a\nHost: a", "Host: a,b", "Host: u@a", "Host: a:0", "Host: a#b", "Host: a\\b"]
    {
        check(&format!("GET / HTTP/1.1\n{fields}"), Err(ErrorReason::BadHost));
    }
    check("GET / HTTP/1.0\nHost: a\nHost: b", Err(ErrorReason::BadHost));
}

#[test]
fn targets() {
    let cases = [
        ("GET http://shop.example/a HTTP/1.1\nHost: SHOP.example:80", Ok(Body::None)),
        ("GET https://shop.example/a HTTP/1.1\nHost: shop.example:443", Ok(Body::None)),
        ("GET http://shop.example HTTP/1.0", Ok(Body::None)),
        ("OPTIONS * HTTP/1.1\nHost: a", Ok(Body::None)),
        ("GET http://shop.example/ HTTP/1.1\nHost: other.example", Err(ErrorReason::HostMismatch)),
        ("GET http://shop.example/ HTTP/1.1\nHost: shop.example:443", Err(ErrorReason::HostMismatch)),
        ("GET http://u:p@shop.example/ HTTP/1.1\nHost: shop.example", Err(ErrorReason::BadAuthority)),
        ("GET http://shop.example:0/ HTTP/1.1\nHost: shop.example", Err(ErrorReason::BadAuthority)),
        ("GET http://a,b/ HTTP/1.1\nHost: a", Err(ErrorReason::BadAuthority)),
        ("GET http://a/ HTTP/1.1\nHost: a\nHost: b", Err(ErrorReason::BadHost)),
        ("GET http://a/ HTTP/1.1", Err(ErrorReason::BadHost)),
        ("GET ftp://a/ HTTP/1.1\nHost: a", Err(ErrorReason::BadTarget)),
        ("GET * HTTP/1.1\nHost: a", Err(ErrorReason::BadTarget)),
        ("GET a:80 HTTP/1.1\nHost: a", Err(ErrorReason::BadTarget)),
        ("GET /a/../b%2Fc HTTP/1.1\nHost: a", Ok(Body::None)),
        ("GET /a/../../b HTTP/1.1\nHost: a", Err(ErrorReason::BadPath)),
        ("GET /a%00 HTTP/1.1\nHost: a", Err(ErrorReason::BadPath)),
        ("GET /?a=../..%00 HTTP/1.1\nHost: a", Ok(Body::None)),
        ("CONNECT a:80 HTTP/1.1\nHost: a", Err(ErrorReason::MethodConnect)),
        ("TRACE / HTTP/1.1\nHost: a", Err(ErrorReason::MethodTrace)),
    ];
    for (text, expected) in cases {
        check(text, expected);
    }
}

#[test]
fn bounds() {
    let target = |len: usize| format!("GET /{} HTTP/1.1\nHost: a", "x".repeat(len - 1));
    check(&target(MAX_TARGET), Ok(Body::None));
    check(&target(MAX_TARGET + 1), Err(ErrorReason::UriTooLong));
    let absolute = format!("GET http://a/{} HTTP/1.1\nHost: a", "x".repeat(MAX_TARGET - 8));
    check(&absolute, Err(ErrorReason::UriTooLong));
    let fields = |count: usize| format!("GET / HTTP/1.1\nHost: a{}", "\nCookie: a=b".repeat(count - 1));
    check(&fields(MAX_FIELDS), Ok(Body::None));
    check(&fields(MAX_FIELDS + 1), Err(ErrorReason::TooManyHeaders));
}

#[test]
fn lengths_and_encodings() {
    let cases = [
        ("Content-Length: 5", Ok(Body::Sized(5))),
        ("Content-Length: 0", Ok(Body::None)),
        ("Content-Length: 9999999999999999999", Ok(Body::Sized(9_999_999_999_999_999_999))),
        ("Transfer-Encoding: chunked", Ok(Body::Chunked)),
        ("Transfer-Encoding: Chunked", Ok(Body::Chunked)),
        ("Content-Length:", Err(ErrorReason::BadLength)),
        ("Content-Length: +5", Err(ErrorReason::BadLength)),
        ("Content-Length: -5", Err(ErrorReason::BadLength)),
        ("Content-Length: 5, 5", Err(ErrorReason::BadLength)),
        ("Content-Length: 0x5", Err(ErrorReason::BadLength)),
        ("Content-Length: 5 5", Err(ErrorReason::BadLength)),
        ("Content-Length: 00000000000000000005", Err(ErrorReason::BadLength)),
        ("Content-Length: 5\nContent-Length: 5", Err(ErrorReason::BadLength)),
        ("Content-Length: 5\nTransfer-Encoding: chunked", Err(ErrorReason::LengthAndEncoding)),
        ("Transfer-Encoding: chunked\nContent-Length: 0", Err(ErrorReason::LengthAndEncoding)),
        ("Transfer-Encoding: gzip, chunked", Err(ErrorReason::BadTransferEncoding)),
        ("Transfer-Encoding: chunked, chunked", Err(ErrorReason::BadTransferEncoding)),
        ("Transfer-Encoding: identity", Err(ErrorReason::BadTransferEncoding)),
        ("Transfer-Encoding: xchunked", Err(ErrorReason::BadTransferEncoding)),
        ("Transfer-Encoding: chunked;q=1", Err(ErrorReason::BadTransferEncoding)),
        ("Transfer-Encoding:", Err(ErrorReason::BadTransferEncoding)),
        ("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", Err(ErrorReason::BadTransferEncoding)),
    ];
    for (fields, expected) in cases {
        check(&format!("POST / HTTP/1.1\nHost: a\n{fields}"), expected);
    }
    check("POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked", Err(ErrorReason::BadTransferEncoding));
}

#[test]
fn expectations() {
    let expects = |text: &str| examine_request(&request(text)).map(|facts| facts.expects_continue());
    let with = |fields: &str| expects(&format!("PUT / HTTP/1.1\nHost: a\n{fields}"));
    assert_eq!(with("Content-Length: 5\nExpect: 100-Continue"), Ok(true));
    assert_eq!(with("Transfer-Encoding: chunked\nExpect: 100-continue"), Ok(true));
    assert_eq!(with("Content-Length: 0\nExpect: 100-continue"), Ok(false));
    assert_eq!(with("Content-Length: 5"), Ok(false));
    assert_eq!(expects("PUT / HTTP/1.0\nContent-Length: 5\nExpect: 100-continue"), Ok(false));
    for value in ["", "200-ok", "100-continue, x", "100-continue\nExpect: x"] {
        assert_eq!(with(&format!("Content-Length: 5\nExpect: {value}")), Err(ErrorReason::BadExpectation), "{value}");
    }
}

#[test]
fn credentials_of_a_connection() {
    let cases = [
        ("NTLM TlRMTVNTUAABAAAA", true),
        ("negotiate YIIZ", true),
        ("NTLM", true),
        ("Negotiate, NTLM", true),
        ("Basic realm=\"a\", NTLM", true),
        ("Basic bnRsbTpudGxt", false),
        ("Bearer ntlm", false),
        ("NTLMish x", false),
        ("", false),
    ];
    for (value, expected) in cases {
        let head = request(&format!("GET / HTTP/1.1\nHost: a\nAuthorization: {value}"));
        assert_eq!(examine_request(&head).unwrap().authenticates_connection(), expected, "{value}");
        let head = response(&format!("401\nWWW-Authenticate: Basic realm=\"a\"\nWWW-Authenticate: {value}"));
        assert_eq!(examine_response(&head, None).unwrap().challenges_connection(), expected, "{value}");
    }
}

#[test]
fn odd_names_are_counted() {
    let facts = examine_request(&request("GET / HTTP/1.1\nHost: a\nX_Y: 1\n$WSRA: 1\nX-Y: 1")).expect("examined");
    assert_eq!(facts.odd_names(), 2);
}

#[test]
fn responses() {
    let cases = [
        ("200\nContent-Length: 5", Ok(Some(5))),
        ("200\nTransfer-Encoding: chunked", Ok(None)),
        ("200", Ok(None)),
        ("304\nContent-Length: 5", Ok(Some(5))),
        ("200\nContent-Length: 5\nContent-Length: 5", Err(ResponseFault::SeveralLengths)),
        ("200\nContent-Length: 5, 5", Err(ResponseFault::BadLength)),
        ("200\nContent-Length: five", Err(ResponseFault::BadLength)),
        ("200\nTransfer-Encoding: gzip", Err(ResponseFault::BadTransferEncoding)),
        ("200\nTransfer-Encoding: gzip, chunked", Err(ResponseFault::BadTransferEncoding)),
        ("200\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked", Err(ResponseFault::BadTransferEncoding)),
        ("200\nTransfer-Encoding: chunked\nContent-Length: 5", Err(ResponseFault::LengthAndEncoding)),
        ("101\nConnection: upgrade\nUpgrade: websocket", Err(ResponseFault::SwitchUnasked)),
        ("103\nLink: </a>", Err(ResponseFault::Interim)),
    ];
    for (text, expected) in cases {
        assert_eq!(examine_response(&response(text), None).map(|facts| facts.content_length()), expected, "{text}");
    }
    assert_eq!(ErrorReason::from(ResponseFault::BadLength), ErrorReason::BadResponse);
}

#[test]
fn connections_that_carry_another_request() {
    let cases = [
        ("200", true),
        ("200\nConnection: close", false),
        ("204", true),
        ("204\nContent-Length: 0", true),
        ("204\nContent-Length: 6", false),
        ("204\nTransfer-Encoding: chunked", false),
        ("304\nContent-Length: 6", true),
    ];
    for (text, kept) in cases {
        assert_eq!(examine_response(&response(text), None).unwrap().keeps_alive(), kept, "{text}");
    }
}

#[test]
fn only_a_101_that_confirms_the_protocol_switches() {
    let head = request("GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: WebSocket");
    let facts = examine_request(&head).expect("examined");
    let asked = Upgrade::asked(&head, &facts, &["websocket".to_owned()]).expect("allowed");
    let cases = [
        ("101\nConnection: upgrade\nUpgrade: websocket", Ok(true)),
        ("101\nConnection: keep-alive, Upgrade\nUpgrade: WEBSOCKET", Ok(true)),
        ("200\nConnection: upgrade\nUpgrade: websocket", Ok(false)),
        ("426\nUpgrade: websocket", Ok(false)),
        ("101\nUpgrade: websocket", Err(ResponseFault::SwitchMismatch)),
        ("101\nConnection: upgrade", Err(ResponseFault::SwitchMismatch)),
        ("101\nConnection: upgrade\nUpgrade: h2c", Err(ResponseFault::SwitchMismatch)),
        ("101\nConnection: upgrade\nUpgrade: websocket, h2c", Err(ResponseFault::SwitchMismatch)),
        ("101\nConnection: upgrade\nUpgrade: websocket\nUpgrade: h2c", Err(ResponseFault::SwitchMismatch)),
    ];
    for (text, expected) in cases {
        assert_eq!(examine_response(&response(text), Some(&asked)).map(|facts| facts.switches()), expected, "{text}");
    }
}
