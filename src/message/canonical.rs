//! What a request names, in the one spelling that all who judge it look at.

use std::cell::OnceCell;

use http::header::HOST;
use http::{HeaderMap, Uri};

use super::path::{BadPath, canonical_path};

/// A request's host, port and path, each worked out once. Routes, rules, balances by path, the certificate's coverage and
/// `explain` all ask here, so that none of them can be led to believe something else than another; servers get the bytes as
/// they came.
///
/// It belongs to one head, which is handed in with each question: what is canonical as it was written is not copied.
#[derive(Clone, Debug)]
pub struct Canonical {
    /// `None`: as it was written.
    path: Option<Box<str>>,
    /// The port that a host without one means.
    default_port: u16,
    /// Many ports ask for no host, so it is worked out when somebody does.
    host: OnceCell<Host>,
}

#[derive(Clone, Debug)]
struct Host {
    name: Name,
    port: u16,
}

#[derive(Clone, Debug)]
enum Name {
    /// So many bytes of what was written.
    Written(usize),
    Lower(Box<str>),
}

impl Canonical {
    /// With the path as [`super::RequestFacts::take_path`] has it.
    pub fn new(path: Option<Box<str>>, default_port: u16) -> Self {
        Self { path, default_port, host: OnceCell::new() }
    }

    /// Of a head that nobody has examined.
    pub fn of(uri: &Uri, default_port: u16) -> Result<Self, BadPath> {
        let path = canonical_path(uri.path())?;
        let path = (path != uri.path()).then(|| path.into());
        Ok(Self::new(path, default_port))
    }

    pub fn path<'a>(&'a self, uri: &'a Uri) -> &'a str {
        self.path.as_deref().unwrap_or(uri.path())
    }

    /// In lower case, without port and final dot; empty when none is named.
    pub fn host<'a>(&'a self, uri: &'a Uri, fields: &'a HeaderMap) -> &'a str {
        match &self.look(uri, fields).name {
            Name::Written(length) => written(uri, fields).get(..*length).unwrap_or_default(),
            Name::Lower(name) => name,
        }
    }

    /// The one that is named, or that no port means.
    pub fn port(&self, uri: &Uri, fields: &HeaderMap) -> u16 {
        self.look(uri, fields).port
    }

    fn look(&self, uri: &Uri, fields: &HeaderMap) -> &Host {
        self.host.get_or_init(|| Host::of(written(uri, fields), self.default_port))
    }
}

/// Where a target has an authority and a `Host` as well, they were found to be the same.
fn written<'a>(uri: &'a Uri, fields: &'a HeaderMap) -> &'a str {
    let named = uri.authority().map(|authority| authority.as_str());
    let field = || fields.get(HOST).and_then(|host| host.to_str().ok());
    named.or_else(field).unwrap_or_default()
}

impl Host {
    fn of(text: &str, default_port: u16) -> Self {
        let colon = text.rfind(':').filter(|&at| text.rfind(']').is_none_or(|bracket| bracket < at));
        let (host, port) = match colon.and_then(|at| text.split_at_checked(at)) {
            Some((host, port)) => (host, port.get(1..).and_then(|port| port.parse().ok())),
            None => (text, None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let has_capitals = host.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = if has_capitals { Name::Lower(host.to_ascii_lowercase().into()) } else { Name::Written(host.len()) };
        Self { name, port: port.unwrap_or(default_port) }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_spelling_for_all() {
        let cases = [
            ("/a", "shop.example", ("/a", "shop.example", 80)),
            ("/a", "SHOP.example.:080", ("/a", "shop.example", 80)),
            ("/a", "shop.example:8080", ("/a", "shop.example", 8080)),
            ("/%61//b/../c", "[2001:DB8::1]:81", ("/a/c", "[2001:db8::1]", 81)),
            ("/", "[::1]", ("/", "[::1]", 80)),
            ("http://Other.example:81/b;c", "ignored", ("/b", "other.example", 81)),
            ("*", "", ("/*", "", 80)),
        ];
        for (target, host, expected) in cases {
            let (uri, mut fields): (Uri, _) = (target.parse().unwrap(), HeaderMap::new());
            fields.insert(HOST, HeaderValue::from_static(host));
            let canonical = Canonical::of(&uri, 80).unwrap();
            // The second answer is as the first.
            for _ in 0..2 {
                let found = (canonical.path(&uri), canonical.host(&uri, &fields), canonical.port(&uri, &fields));
                assert_eq!(found, expected, "{target} {host}");
            }
        }
        assert!(Canonical::of(&Uri::from_static("/.."), 80).is_err());
    }
}
