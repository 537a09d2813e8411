//! Where a request carries its session: cookies, path parameters, and the clone ids within a session id.
//!
//! A session id as Java servers write it: cache id and session id, then one or more clone ids, each behind a separator
//! (`0001eCtUKo0_Kj5BWGsW5UoLVpz:10j0tobbm:10j0todzd`; Tomcat: `C0FFEE.node1`). Nothing here fails: what is not understood
//! names nobody, and the request is served as one without a session.

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};

/// Cookies of one name that are looked at. Several come from several paths or domains; an honest client has two.
const MOST_COOKIES: usize = 8;

/// Clone ids of one session id that are looked at: each failover adds one. A cookie of thousands of separators costs no more.
const MOST_CLONE_IDS: usize = 16;

/// The values of the cookies called `name`, in the order in which they stand.
pub fn cookie_values<'a>(fields: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = fields.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pairs.filter_map(move |pair| value_of(pair, name)).take(MOST_COOKIES)
}

/// RFC 6265 4.1.1: a value may stand in quotes, which are not part of it.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = pair.trim_ascii_start().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.trim_ascii_end();
    Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
}

/// The value that a response sets the cookie `name` to; of several the last, as in clients. Empty ones delete.
pub fn set_cookie_value<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = fields.get_all(SET_COOKIE).iter();
    let mut values = lines.filter_map(|line| value_of(line.as_bytes().split(|&byte| byte == b';').next()?, name));
    values.next_back().filter(|value| !value.is_empty())
}

/// The value of the path parameter `name`, as in `/shop/cart;jsessionid=0001abc:clone1`. Names of path parameters are
/// compared without regard to case, as servers do.
pub fn path_parameter<'a>(path: &'a str, name: &str) -> Option<&'a [u8]> {
    if name.is_empty() || !path.contains(';') {
        return None;
    }
    let parameters =
        path.as_bytes().split(|&byte| byte == b'/').flat_map(|segment| segment.split(|&b| b == b';').skip(1));
    let named = |parameter: &'a [u8]| {
        let (found, value) = parameter.split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| value.strip_prefix(b"=")).flatten()
    };
    parameters.filter_map(named).last()
}

/// The clone ids of a session id in their order. Before them all that stands behind the first separator, for ids that have
/// a separator in themselves, as jvmRoutes like `node1.example.com`.
pub fn clone_ids(session: &[u8]) -> impl Iterator<Item = &[u8]> {
    let behind = next_separator(session).and_then(|(_, end)| session.get(end..));
    let whole = behind.filter(|rest| next_separator(rest).is_some());
    whole.into_iter().chain(CloneIds { rest: behind }.filter(|id| !id.is_empty()).take(MOST_CLONE_IDS))
}

struct CloneIds<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for CloneIds<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let Some((begin, end)) = next_separator(rest) else { return Some(rest) };
        self.rest = rest.get(end..);
        rest.get(..begin)
    }
}

/// Where the next separator begins and ends: `:` and `+` of WebSphere and Liberty, `.` of Tomcat, JBoss and Jetty, also as
/// clients and scripts write them in URLs, with a percent sign.
fn next_separator(text: &[u8]) -> Option<(usize, usize)> {
    let begins = text.iter().enumerate().filter(|(_, byte)| matches!(byte, b':' | b'+' | b'.' | b'%'));
    begins.map(|(at, _)| at).find_map(|at| match text.get(at..)? {
        [b'%', b'3', b'A' | b'a', ..] | [b'%', b'2', b'B' | b'b' | b'E' | b'e', ..] => Some((at, at + 3)),
        [b'%', ..] => None,
        _ => Some((at, at + 1)),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn ids(session: &str) -> Vec<&str> {
        clone_ids(session.as_bytes()).map(|id| std::str::from_utf8(id).unwrap()).collect()
    }

    #[test]
    fn clone_ids_of_all_makers() {
        let cases: [(&str, &[&str]); 12] = [
            ("0001eCtUKo0_Kj5BWGsW5UoLVpz:10j0tobbm", &["10j0tobbm"]),
            ("0001abc:one:two", &["one:two", "one", "two"]),
            ("0001abc+one+two", &["one+two", "one", "two"]),
            ("C0FFEE.node1", &["node1"]),
            ("C0FFEE.node1.example.com", &["node1.example.com", "node1", "example", "com"]),
            ("0001abc%3Aone%2btwo", &["one%2btwo", "one", "two"]),
            ("0001abc%41:one", &["one"]),
            ("0001abc", &[]),
            ("", &[]),
            (":", &[]),
            (":::one", &["::one", "one"]),
            ("%", &[]),
        ];
        for (session, expected) in cases {
            assert_eq!(ids(session), expected, "{session}");
        }
        assert!(ids(&":".repeat(8192)).len() <= MOST_CLONE_IDS + 1);
        assert!(ids(&":x".repeat(4096)).len() <= MOST_CLONE_IDS + 1);
    }

    #[test]
    fn cookies_of_the_name_and_no_others() {
        let mut fields = HeaderMap::new();
        let first =
            "a=1; JSESSIONID=one; XJSESSIONID=no; JSESSIONIDX=no;JSESSIONID=\"two\" ; jsessionid=no; JSESSIONID";
        fields.append(COOKIE, HeaderValue::from_static(first));
        fields.append(COOKIE, HeaderValue::from_static("JSESSIONID="));
        let values: Vec<&[u8]> = cookie_values(&fields, "JSESSIONID").collect();
        assert_eq!(values, [&b"one"[..], b"two", b""]);
        fields.append(COOKIE, HeaderValue::from_str(&"JSESSIONID=x;".repeat(100)).unwrap());
        assert_eq!(cookie_values(&fields, "JSESSIONID").count(), MOST_COOKIES);
    }

    #[test]
    fn cookies_that_are_set() {
        let mut fields = HeaderMap::new();
        fields.append(SET_COOKIE, HeaderValue::from_static("APP=first; Path=/"));
        fields.append(SET_COOKIE, HeaderValue::from_static("OTHER=x"));
        fields.append(SET_COOKIE, HeaderValue::from_static("APP=second; Path=/app; HttpOnly"));
        assert_eq!(set_cookie_value(&fields, "APP"), Some(&b"second"[..]));
        assert_eq!(set_cookie_value(&fields, "NONE"), None);
        fields.append(SET_COOKIE, HeaderValue::from_static("APP=; Max-Age=0"));
        assert_eq!(set_cookie_value(&fields, "APP"), None);
    }

    #[test]
    fn parameters_of_paths() {
        let cases = [
            ("/shop/cart;jsessionid=0001abc:one", Some("0001abc:one")),
            ("/shop;v=1;JSESSIONID=x/cart;w=2", Some("x")),
            ("/shop;jsessionidx=1", None),
            ("/shop;jsessionid", None),
            ("/jsessionid=1", None),
        ];
        for (path, expected) in cases {
            assert_eq!(path_parameter(path, "jsessionid"), expected.map(str::as_bytes), "{path}");
        }
        assert_eq!(path_parameter("/shop;=x", ""), None);
    }

    proptest! {
        #[test]
        fn every_id_that_was_put_in_comes_out(session in "[A-Za-z0-9_-]{1,30}", ids in prop::collection::vec("[a-z0-9]{1,10}", 1..8), separator in prop::sample::select(vec![":", "+", ".", "%3A"])) {
            let value = format!("{session}{separator}{}", ids.join(separator));
            let found: Vec<Vec<u8>> = clone_ids(value.as_bytes()).map(<[u8]>::to_vec).collect();
            let expected: Vec<Vec<u8>> = ids.iter().map(|id| id.clone().into_bytes()).collect();
            prop_assert!(found.ends_with(&expected));
        }

        #[test]
        fn arbitrary_bytes_are_bounded(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(clone_ids(&bytes).count() <= MOST_CLONE_IDS + 1);
        }
    }
}
