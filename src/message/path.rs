//! One spelling of a path for all who judge it.

use std::borrow::Cow;

/// Why a path has no canonical spelling: servers would not agree on where it leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadPath {
    #[error("leads above the root")]
    AboveRoot,
    #[error("has an encoded NUL")]
    Nul,
    #[error("has a separator or `..` in a spelling that some servers read as such and others do not")]
    Hidden,
}

/// The path as servers understand it: without path parameters (`;jsessionid=…`), with plain letters where percent signs
/// hide them (RFC 3986 6.2.2.2: letters, digits, `-._~`), one slash for several, and without `.` and `..`
/// (RFC 3986 5.2.4). What is forwarded stays as it came; this is what routes and rules look at, so that
/// `/shop/../admin` is not taken for the shop's.
///
/// Encoded slashes and backslashes stay encoded, and so does whatever is no ASCII: paths in EUC-JP or Latin-1 are honest.
pub fn canonical_path(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decoded(path)?;
    if OVERLONG_SEPARATORS.iter().any(|separator| decoded.contains(separator)) {
        return Err(BadPath::Hidden);
    }
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in decoded.strip_prefix('/').unwrap_or(&decoded).split('/') {
        let name = without_parameters(segment);
        ends_open = matches!(name, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => leave(&mut segments)?,
            segment if hides_dots(segment) => return Err(BadPath::Hidden),
            _ => segments.push(name),
        }
    }
    let mut canonical = String::with_capacity(decoded.len());
    for segment in segments.iter().filter(|segment| !segment.is_empty()) {
        canonical.push('/');
        canonical.push_str(segment);
    }
    if ends_open || canonical.is_empty() {
        canonical.push('/');
    }
    Ok(Cow::Owned(canonical))
}

/// Goes up one segment. In `/admin/;v=1/../x` what is left is a parameter and nothing else: servers that drop it and merge the
/// slashes leave `admin`, and the others stay below it.
fn leave(segments: &mut Vec<&str>) -> Result<(), BadPath> {
    match segments.pop() {
        None => Err(BadPath::AboveRoot),
        Some("") => Err(BadPath::Hidden),
        Some(_) => Ok(()),
    }
}

/// `/`, `\` and NUL in more bytes than UTF-8 allows (RFC 3629 3). Decoders that take them made `%C0%AF` famous
/// (CVE-2000-0884); what else of the kind is a letter in EUC-JP or GBK, and no separator to anybody.
const OVERLONG_SEPARATORS: [&str; 9] = [
    "%C0%AF",
    "%C1%9C",
    "%C0%80",
    "%E0%80%AF",
    "%E0%81%9C",
    "%E0%80%80",
    "%F0%80%80%AF",
    "%F0%80%81%9C",
    "%F0%80%80%80",
];
const OVERLONG_DOTS: [&str; 3] = ["%C0%AE", "%E0%80%AE", "%F0%80%80%AE"];

/// Whether some server finds `.` or `..` in this segment, which is neither: one that takes backslashes and encoded slashes for
/// separators, or overlong dots for dots, or that drops path parameters. It would go up where others see a name, so that
/// `/admin/..;/public` were the public's to us and the administrators' to a server that knows no parameters.
///
/// The parameters themselves are looked at too: to who does not know them, `/public;\..\admin` leads up as well.
fn hides_dots(segment: &str) -> bool {
    let mut spelled = Cow::Borrowed(segment);
    for dot in OVERLONG_DOTS {
        if spelled.contains(dot) {
            spelled = Cow::Owned(spelled.replace(dot, "."));
        }
    }
    let spelled = spelled.replace("%2F", "\\").replace("%5C", "\\").replace("%3B", ";");
    without_parameters(&spelled) == "." || spelled.split('\\').any(|piece| without_parameters(piece) == "..")
}

/// Whether there is nothing to do: most paths are so.
fn is_plain(path: &str) -> bool {
    let mut before = b'x';
    for &byte in path.as_bytes() {
        if matches!(byte, b';' | b'%' | b'\\') || (before == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        before = byte;
    }
    path.starts_with('/')
}

fn without_parameters(segment: &str) -> &str {
    segment.split_once(';').map_or(segment, |(name, _)| name)
}

fn decoded(path: &str) -> Result<String, BadPath> {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        let digits = behind.get(1..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => plain.push(char::from(byte)),
            // To some it ends the path, to others it is a letter of it.
            Some(0) => return Err(BadPath::Nul),
            // RFC 3986 6.2.2.1: the digits of the others have one spelling.
            Some(byte) => plain.push_str(&format!("%{byte:02X}")),
            // Of no meaning; written so that no second reading gives it one.
            None => plain.push_str("%25"),
        }
        rest = behind.get(if byte.is_some() { 3 } else { 1 }..).unwrap_or_default();
    }
    plain.push_str(rest);
    Ok(plain)
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
            ("/shop/..;x=y/admin", "hidden"),
            ("/admin/..;/public/x", "hidden"),
            ("/admin/.;/x", "hidden"),
            ("/admin/%2e%2E;x", "hidden"),
            ("/admin/%c0%ae.;x/y", "hidden"),
            ("/admin/..%3bx/y", "hidden"),
            ("/public;\\..\\admin", "hidden"),
            ("/public;%2f..%2fadmin", "hidden"),
            ("/public;%2F..;x%2Fadmin", "hidden"),
            ("/public;%c0%af..%c0%afadmin", "hidden"),
            ("/public;%c0%ae/x", "/public/x"),
            ("/admin/;/../public", "hidden"),
            ("/admin/;v=1/x/../../public", "hidden"),
            ("/admin//../public", "/public"),
            ("/app/page.jsp;jsessionid=0001abc:clone1", "/app/page.jsp"),
            ("/app/;jsessionid=0001abc:clone1", "/app/"),
            ("/app;jsessionid=0001abc..x:clone1/..", "/"),
            ("/;jsessionid=0001abc:clone1", "/"),
            ("/a;v=1.2/..", "/"),
            ("/shop/../..", "above"),
            ("/../..", "above"),
            ("/%2e%2e/x", "above"),
            ("//..", "above"),
            ("/a%00", "nul"),
            ("/a%00/../b", "nul"),
            ("/a/..%2Fb", "hidden"),
            ("/a/..%5cb", "hidden"),
            ("/a/..\\b", "hidden"),
            ("/a/x\\..", "hidden"),
            ("/a/x%2F%2e%2e", "hidden"),
            ("/a%c0%afb", "hidden"),
            ("/a%E0%80%AFb", "hidden"),
            ("/a/%c0%ae%C0%AE/b", "hidden"),
            ("/a/.%c0%ae/b", "hidden"),
            ("/a%C0%80", "hidden"),
            // 成, 前 and a name in EUC-JP, é in Latin-1: letters, if not in UTF-8.
            ("/%C0%AE%C1%B0/%E9", "/%C0%AE%C1%B0/%E9"),
            ("/a\\b%5c..c", "/a\\b%5C..c"),
            ("/a%2F...%2fb", "/a%2F...%2Fb"),
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
            let found = canonical_path(path);
            let found = found.as_deref().unwrap_or_else(|bad| match bad {
                BadPath::AboveRoot => "above",
                BadPath::Nul => "nul",
                BadPath::Hidden => "hidden",
            });
            assert_eq!(found, expected, "{path}");
        }
    }

    proptest! {
        /// What is canonical stays so, has no dots left, and never goes above the root.
        #[test]
        fn a_second_look_changes_nothing(path in "(/|\\.|\\.\\.|%2e|%2F|;|a|é|%|%00|%c0%ae|\\\\){0,16}") {
            let Ok(once) = canonical_path(&path).map(Cow::into_owned) else { return Ok(()) };
            prop_assert!(once.starts_with('/'));
            prop_assert!(!once.split('/').any(|segment| segment == ".." || segment == "."));
            prop_assert_eq!(canonical_path(&once).map(Cow::into_owned), Ok(once));
        }
    }
}
