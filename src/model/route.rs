//! Routes: which application a request belongs to, by its host and its path.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::{HeaderEdit, Name};

/// Hosts and paths, and what becomes of requests for them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    pub name: Name,
    /// Empty: every host.
    pub hosts: Vec<HostPattern>,
    /// Empty: every path.
    pub uris: Vec<UriPattern>,
    pub to: Destination,
    /// The session cookie of these paths, where it is another than the group's (`AffinityCookie`).
    pub cookie: Option<String>,
    /// The path parameter, likewise (`AffinityURLIdentifier`).
    pub url_identifier: Option<String>,
    /// What takes the place of the matched prefix (of a path pattern `/prefix/*`), or of the whole path.
    pub rewrite: Option<String>,
    /// Changes to requests for servers, after those of the port.
    pub request_edits: Vec<HeaderEdit>,
    /// Changes to servers' responses, after those of the port.
    pub response_edits: Vec<HeaderEdit>,
}

/// Where a route leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destination {
    /// To the servers of this group; `None`: to those of the port that belong to no group.
    Group(Option<Name>),
    /// Back to the client, with another address.
    Redirect(Redirect),
}

/// An address that the client is sent to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirect {
    /// With `{host}`, `{path}`, `{rest}` (behind the matched prefix) and `{query}` (with its `?`) put in.
    pub location: String,
    pub status: u16,
}

/// A host as requests name it, with or without the port: `www.example.com`, `www.example.com:8443`, `*.example.com`, `*:9443`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HostPattern {
    host: HostPart,
    port: Option<u16>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum HostPart {
    Any,
    /// What the name has to end with, its dot included; lower case.
    Below(String),
    /// Lower case.
    Exact(String),
}

/// A path as requests name it: exactly, by its beginning, or by its end.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum UriPattern {
    Exact(String),
    /// `/app/*`: `/app` itself and all below it. Kept without the `/*`.
    Prefix(String),
    /// `*.jsp`: kept with its dot.
    Extension(String),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternFault {
    #[error("`{0}` matches nothing: a path begins with `/`; `/exact`, `/prefix/*` or `*.ext` would be right")]
    Uri(String),
    #[error("`{0}` matches nothing: a host is a name, an address or `*`, with or without `:port`")]
    Host(String),
}

/// How closely a pattern fits; the greater is the more specific. Of equals the first written wins.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Fit {
    /// Exact 3, prefix 2, extension 1, any 0.
    rank: u8,
    length: usize,
}

impl Fit {
    pub const ANY: Self = Self { rank: 0, length: 0 };
}

impl HostPattern {
    /// How closely the pattern fits a request for `host` (lower case, without port and final dot) and `port`.
    pub fn fit(&self, host: &str, port: u16) -> Option<Fit> {
        if self.port.is_some_and(|wanted| wanted != port) {
            return None;
        }
        let with_port = usize::from(self.port.is_some());
        match &self.host {
            HostPart::Any => Some(Fit { rank: 0, length: with_port }),
            HostPart::Below(end) => (host.len() > end.len() && host.ends_with(end.as_str()))
                .then_some(Fit { rank: 1, length: 2 * end.len() + with_port }),
            HostPart::Exact(name) => (name == host).then_some(Fit { rank: 2, length: with_port }),
        }
    }
}

impl UriPattern {
    /// How closely the pattern fits a path (canonical, without query and parameters).
    pub fn fit(&self, path: &str) -> Option<Fit> {
        match self {
            Self::Exact(exact) => (exact == path).then_some(Fit { rank: 3, length: exact.len() }),
            Self::Prefix(prefix) => is_below(path, prefix).then_some(Fit { rank: 2, length: prefix.len() }),
            Self::Extension(end) => path.ends_with(end.as_str()).then_some(Fit { rank: 1, length: end.len() }),
        }
    }

    /// What of a matching path the pattern leaves open.
    pub fn rest<'p>(&self, path: &'p str) -> &'p str {
        match self {
            Self::Prefix(prefix) => path.get(prefix.len()..).unwrap_or_default(),
            Self::Exact(_) => "",
            Self::Extension(_) => path,
        }
    }
}

/// `/app` and `/app/x` are below `/app`; `/apple` is not.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl FromStr for HostPattern {
    type Err = PatternFault;

    fn from_str(text: &str) -> Result<Self, PatternFault> {
        let fault = || PatternFault::Host(text.to_owned());
        let (host, port) = split_port(text).ok_or_else(fault)?;
        let host = host.strip_suffix('.').filter(|name| *name != "*").unwrap_or(host).to_ascii_lowercase();
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
                && !name.split('.').any(str::is_empty)
        };
        let is_v6 = |name: &str| {
            let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
        };
        let host = match host.strip_prefix("*.") {
            _ if host == "*" => HostPart::Any,
            Some(domain) if is_name(domain) => HostPart::Below(format!(".{domain}")),
            None if is_name(&host) || is_v6(&host) => HostPart::Exact(host),
            _ => return Err(fault()),
        };
        Ok(Self { host, port })
    }
}

/// `None`: what follows the colon is no port.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let after_bracket = text.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = text.get(after_bracket..).and_then(|rest| rest.rfind(':')) else { return Some((text, None)) };
    let (host, port) = text.split_at_checked(after_bracket + colon)?;
    let port = port.strip_prefix(':')?;
    if port == "*" {
        return Some((host, None));
    }
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let number: u16 = digits.then(|| port.parse().ok()).flatten()?;
    (number > 0).then_some((host, Some(number)))
}

impl FromStr for UriPattern {
    type Err = PatternFault;

    fn from_str(text: &str) -> Result<Self, PatternFault> {
        let fault = || PatternFault::Uri(text.to_owned());
        let clean = |path: &str| path.bytes().all(|b| b.is_ascii_graphic() && !b"*?#;".contains(&b));
        if let Some(end) = text.strip_prefix('*') {
            let is_extension = end.len() > 1 && end.starts_with('.') && clean(end) && !end.contains('/');
            return is_extension.then(|| Self::Extension(plus(end))).ok_or_else(fault);
        }
        if !text.starts_with('/') {
            return Err(fault());
        }
        match text.strip_suffix("/*") {
            Some(prefix) if clean(prefix) => Ok(Self::Prefix(plus(prefix))),
            None if clean(text) => Ok(Self::Exact(plus(text))),
            _ => Err(fault()),
        }
    }
}

/// A plus sign, which joins lists, is written with a percent sign; requests mostly have it plainly.
fn plus(text: &str) -> String {
    text.replace("%2B", "+").replace("%2b", "+")
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPart::Any => f.write_str("*")?,
            HostPart::Below(end) => write!(f, "*{end}")?,
            HostPart::Exact(name) => f.write_str(name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for UriPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(&path.replace('+', "%2B")),
            Self::Prefix(path) => write!(f, "{}/*", path.replace('+', "%2B")),
            Self::Extension(end) => write!(f, "*{}", end.replace('+', "%2B")),
        }
    }
}

impl Route {
    /// How closely the route fits: the host counts before the path. With it the pattern of the path, if one was needed.
    pub fn fit(&self, host: &str, port: u16, path: &str) -> Option<((Fit, Fit), Option<&UriPattern>)> {
        let host = best(&self.hosts, |pattern| pattern.fit(host, port))?.0;
        let (path, pattern) = best(&self.uris, |pattern| pattern.fit(path))?;
        Some(((host, path), pattern))
    }
}

/// The most specific of the patterns that fit, the first of equals. None are needed where none are written.
fn best<P>(patterns: &[P], fit: impl Fn(&P) -> Option<Fit>) -> Option<(Fit, Option<&P>)> {
    if patterns.is_empty() {
        return Some((Fit::ANY, None));
    }
    let fits = patterns.iter().filter_map(|pattern| Some((fit(pattern)?, pattern)));
    let closest = fits.reduce(|best, next| if next.0.cmp(&best.0) == Ordering::Greater { next } else { best });
    closest.map(|(fit, pattern)| (fit, Some(pattern)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(hosts: &[&str], uris: &[&str]) -> Route {
        Route {
            name: Name::new("r").unwrap(),
            hosts: hosts.iter().map(|text| text.parse().unwrap()).collect(),
            uris: uris.iter().map(|text| text.parse().unwrap()).collect(),
            to: Destination::Group(None),
            cookie: None,
            url_identifier: None,
            rewrite: None,
            request_edits: Vec::new(),
            response_edits: Vec::new(),
        }
    }

    #[test]
    fn the_most_specific_route_fits_best() {
        let routes = [
            ("any", route(&[], &[])),
            ("root", route(&[], &["/*"])),
            ("jsp", route(&[], &["*.jsp"])),
            ("app", route(&[], &["/app/*"])),
            ("app-admin", route(&[], &["/app/admin/*"])),
            ("login", route(&[], &["/app/login"])),
            ("wild", route(&["*.example.com"], &[])),
            ("host", route(&["shop.example.com"], &["/app/*"])),
            ("host-port", route(&["shop.example.com:8443"], &["/*"])),
        ];
        let cases = [
            ("other", 80, "/", "root"),
            ("other", 80, "/app", "app"),
            ("other", 80, "/app/x.jsp", "app"),
            ("other", 80, "/apple", "root"),
            ("other", 80, "/app/admin/x", "app-admin"),
            ("other", 80, "/app/login", "login"),
            ("a.example.com", 80, "/app/login", "wild"),
            ("example.com", 80, "/app/login", "login"),
            ("shop.example.com", 80, "/app/login", "host"),
            ("shop.example.com", 8443, "/app/login", "host-port"),
            ("shop.example.com", 80, "/", "wild"),
        ];
        for (host, port, path, expected) in cases {
            let fits = routes.iter().filter_map(|(name, route)| Some((route.fit(host, port, path)?.0, *name)));
            let best = fits.reduce(|best, next| if next.0 > best.0 { next } else { best });
            assert_eq!(best.map(|(_, name)| name), Some(expected), "{host}:{port}{path}");
        }
    }

    #[test]
    fn patterns_are_read_and_written_alike() {
        for text in
            ["*", "*:9443", "www.example.com", "www.example.com:80", "*.example.com", "[2001:db8::1]:80", "10.0.0.1"]
        {
            assert_eq!(text.parse::<HostPattern>().map(|pattern| pattern.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("*:*".parse::<HostPattern>(), "*".parse());
        assert_eq!("WWW.Example.com.:80".parse::<HostPattern>(), "www.example.com:80".parse());
        for text in ["/", "/*", "/app/*", "/app/login", "*.jsp", "/a%2Bb"] {
            assert_eq!(text.parse::<UriPattern>().map(|pattern| pattern.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_matches_nothing_is_refused() {
        for text in ["", "app", "app/*", "/a*b", "*jsp", "*.", "*", "/a b", "/a?b", "/a;b", "/*/x", "*./x", "/ü"] {
            assert_eq!(text.parse::<UriPattern>(), Err(PatternFault::Uri(text.to_owned())));
        }
        for text in ["", "a b", "a:", "a:0", "a:x", "a:99999", "*a", "*.", ".a", "a..b", "[::1", "[x]", "a/b", "**"] {
            assert_eq!(text.parse::<HostPattern>(), Err(PatternFault::Host(text.to_owned())), "{text}");
        }
    }
}
