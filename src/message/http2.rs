//! Requests of HTTP/2 in the words of HTTP/1.1, so that all later steps know one kind of request.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

use super::framing::MAX_FIELDS;

/// Says in fields what HTTP/2 says otherwise: the authority, and that a body comes of which no length is said. What `h2` has
/// refused before (RFC 9113 8.2 and 8.3): fields of a connection, names with capitals, pseudo-fields that are missing,
/// twice or unknown, a length that the body does not have.
///
/// The authority stays in the target: where a `Host` says something else, that is found there.
pub fn restate_request(head: &mut Parts, has_body: bool) {
    if let Some(authority) = head.uri.authority()
        && !head.headers.contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers.insert(HOST, host);
    }
    if has_body && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    // Crumbs count one by one, as they came (CVE-2026-49975 and its kin): a head of too many stays one, and is refused.
    if head.headers.len() <= MAX_FIELDS {
        join_cookies(&mut head.headers);
    }
}

/// A request for a tunnel (RFC 8441 4) as HTTP/1.1 asks for one.
pub fn restate_connect(head: &mut Parts, protocol: &str) {
    restate_request(head, false);
    // What follows is the tunnel's. A length would make it a body that nobody sends, and the next request on the server's
    // connection would be read as that.
    for name in [CONTENT_LENGTH, EXPECT] {
        head.headers.remove(name);
    }
    head.method = Method::GET;
    head.version = Version::HTTP_11;
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Ok(protocol) = HeaderValue::from_str(protocol) {
        head.headers.insert(UPGRADE, protocol);
    }
}

/// RFC 9113 8.2.3: clients may send each cookie by itself; who does not know that must see one field.
fn join_cookies(fields: &mut HeaderMap) {
    let mut crumbs = fields.get_all(COOKIE).iter();
    let (Some(first), Some(_)) = (crumbs.next(), crumbs.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for crumb in fields.get_all(COOKIE).iter().skip(1) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    // Made of values that were right, so it is right.
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        fields.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn restated(fields: &[(&str, &str)], has_body: bool) -> Parts {
        let builder = Request::get("https://shop.example/a");
        let builder = fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        let mut head = builder.body(()).unwrap().into_parts().0;
        restate_request(&mut head, has_body);
        head
    }

    #[test]
    fn the_authority_is_the_host() {
        assert_eq!(restated(&[], false).headers[HOST], "shop.example");
        assert_eq!(restated(&[("host", "other")], false).headers[HOST], "other", "to be refused later");
    }

    #[test]
    fn a_body_without_a_length_is_chunked() {
        assert!(restated(&[], true).headers.contains_key(TRANSFER_ENCODING));
        for (fields, has_body) in [(&[("content-length", "3")][..], true), (&[], false)] {
            assert!(!restated(fields, has_body).headers.contains_key(TRANSFER_ENCODING));
        }
    }

    #[test]
    fn a_tunnel_has_no_body() {
        let builder = Request::connect("https://shop.example/chat").header("content-length", 5).header("expect", "x");
        let mut head = builder.body(()).unwrap().into_parts().0;
        restate_connect(&mut head, "websocket");
        assert_eq!((head.method, head.version), (Method::GET, Version::HTTP_11));
        assert!(!head.headers.contains_key(CONTENT_LENGTH) && !head.headers.contains_key(EXPECT));
        assert_eq!(
            (&head.headers[UPGRADE], &head.headers[HOST]),
            (&"websocket".parse().unwrap(), &"shop.example".parse().unwrap())
        );
    }

    #[test]
    fn crumbs_become_one_cookie() {
        let head = restated(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")], false);
        let cookies: Vec<_> = head.headers.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
        assert_eq!(restated(&[("cookie", "a=1")], false).headers[COOKIE], "a=1");
        let crumbs = |count| restated(&vec![("cookie", "a=1"); count], false).headers.len();
        assert_eq!((crumbs(MAX_FIELDS - 1), crumbs(MAX_FIELDS)), (2, MAX_FIELDS + 1), "beside the host");
    }
}
