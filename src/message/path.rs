//! One spelling of a path for all who judge it.

use std::borrow::Cow;

/// The path as servers understand it: without path parameters (`;jsessionid=…`), with plain letters where percent signs
/// hide them (RFC 3986 6.2.2.2: letters, digits, `-._~`), one slash for several, and without `.` and `..`
/// (RFC 3986 5.2.4). What is forwarded stays as it came; this is what routes and rules look at, so that
/// `/shop/../admin` is not taken for the shop's.
pub fn canonical_path(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path);
    }
    let decoded = without_parameters(&decoded(path));
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in decoded.split('/') {
        ends_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut canonical = String::with_capacity(decoded.len());
    for segment in &segments {
        canonical.push('/');
        canonical.push_str(segment);
    }
    if ends_open || canonical.is_empty() {
        canonical.push('/');
    }
    Cow::Owned(canonical)
}

/// Whether there is nothing to do: most paths are so.
fn is_plain(path: &str) -> bool {
    let mut before = b'x';
    for &byte in path.as_bytes() {
        if matches!(byte, b';' | b'%') || (before == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        before = byte;
    }
    path.starts_with('/')
}

fn without_parameters(path: &str) -> String {
    let mut kept = String::with_capacity(path.len());
    let mut is_parameter = false;
    for c in path.chars() {
        is_parameter = c != '/' && (is_parameter || c == ';');
        if !is_parameter {
            kept.push(c);
        }
    }
    kept
}

fn decoded(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        let digits = behind.get(1..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => plain.push(char::from(byte)),
            // RFC 3986 6.2.2.1: the digits of the others have one spelling.
            Some(byte) => plain.push_str(&format!("%{byte:02X}")),
            // Of no meaning; written so that no second reading gives it one.
            None => plain.push_str("%25"),
        }
        rest = behind.get(if byte.is_some() { 3 } else { 1 }..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_spelling() {
        let cases = [
            ("/shop/cart", "/shop/cart"),
            ("/", "/"),
            ("/shop/", "/shop/"),
            ("/shop;jsessionid=0001:x", "/shop"),
            ("/shop;v=1/cart;w=2", "/shop/cart"),
            ("/shop/../admin", "/admin"),
            ("/shop/%2e%2E/admin", "/admin"),
            ("/shop/..;x=y/admin", "/admin"),
            ("/../..", "/"),
            ("/shop/.", "/shop/"),
            ("/shop/..", "/"),
            ("//shop///cart", "/shop/cart"),
            ("/%73hop/a%2fb%3b", "/shop/a%2Fb%3B"),
            ("/100%", "/100%25"),
            ("/%zz%4", "/%25zz%254"),
            ("/.well-known/x", "/.well-known/x"),
            ("*", "/*"),
            ("", "/"),
        ];
        for (path, expected) in cases {
            assert_eq!(canonical_path(path), expected, "{path}");
        }
    }

    proptest! {
        /// What is canonical stays so, has no dots left, and never goes above the root.
        #[test]
        fn a_second_look_changes_nothing(path in "(/|\\.|\\.\\.|%2e|%2F|;|a|é|%){0,16}") {
            let once = canonical_path(&path).into_owned();
            prop_assert!(once.starts_with('/'));
            prop_assert!(!once.split('/').any(|segment| segment == ".." || segment == "."));
            prop_assert_eq!(canonical_path(&once).into_owned(), once);
        }
    }
}
