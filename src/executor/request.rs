//! A request as decisions see it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, Method, Uri, Version};

use crate::message::Canonical;
use crate::model::{Fit, Redirect, Subject};

use super::group::GroupIndex;
use super::table::{PortTable, RouteEntry, RouteTarget};

/// What of a request's head decisions may ask for.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    pub method: &'a Method,
    /// As the client wrote it.
    pub uri: &'a Uri,
    pub version: Version,
    pub fields: &'a HeaderMap,
    /// Of this head.
    pub canonical: &'a Canonical,
}

/// Where a port's routes lead a request.
#[derive(Clone, Copy, Debug)]
pub enum Routed<'p> {
    /// To this group, by this route; `None`: the port has none.
    Group(GroupIndex, Option<&'p RouteEntry>),
    /// Back to the client, with another address.
    Redirect(&'p RouteEntry, &'p Redirect),
    /// Nowhere: no route fits, and the port has no servers outside of groups.
    Nowhere,
}

impl<'a> RequestView<'a> {
    /// Its host, without port and final dot, in lower case; empty when none is named.
    pub fn host(&self) -> &'a str {
        self.canonical.host(self.uri, self.fields)
    }

    /// The port of its host, or the one that no port means.
    pub fn port(&self) -> u16 {
        self.canonical.port(self.uri, self.fields)
    }

    /// Its path as routes look at it.
    pub fn path(&self) -> &'a str {
        self.canonical.path(self.uri)
    }
}

/// Keywords of IBM's patterns, and fields by name.
impl Subject for RequestView<'_> {
    fn any(&self, keyword: &str, is_wanted: &mut dyn FnMut(&str) -> bool) -> bool {
        match keyword {
            "method" => is_wanted(self.method.as_str()),
            "uri" => match self.uri.query() {
                None => is_wanted(self.path()),
                Some(query) => is_wanted(&format!("{}?{query}", self.path())),
            },
            "version" => is_wanted(if self.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" }),
            "host" => is_wanted(self.host()),
            name => self.fields.get_all(name).iter().any(|value| is_wanted(&text(value))),
        }
    }
}

/// A field as text. Clients write UTF-8, or Latin-1 as HTTP once said (RFC 9110 5.5); a byte that is neither's letter must not make
/// the whole field invisible, or `!(x-beta=yes*)` could be had by adding one.
fn text(value: &HeaderValue) -> Cow<'_, str> {
    match str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => value.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
    }
}

impl PortTable {
    /// The closest route: its host counts before its path, the first of equals wins.
    pub fn route(&self, request: &RequestView<'_>) -> Routed<'_> {
        if self.routes.is_empty() {
            return Routed::Group(GroupIndex::PORT, None);
        }
        let (host, port, path) = (request.host(), request.port(), request.path());
        let mut closest: Option<((Fit, Fit), &RouteEntry)> = None;
        for route in &self.routes {
            if let Some((fit, _)) = route.settings().fit(host, port, path)
                && closest.is_none_or(|(best, _)| fit > best)
            {
                closest = Some((fit, route));
            }
        }
        match closest.map(|(_, route)| route) {
            Some(route) => match &route.target {
                RouteTarget::Group(group) => Routed::Group(*group, Some(route)),
                RouteTarget::Redirect(redirect) => Routed::Redirect(route, redirect),
            },
            None if self.group(GroupIndex::PORT).is_some_and(|group| !group.members.is_empty()) => {
                Routed::Group(GroupIndex::PORT, None)
            }
            None => Routed::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::model::ContentPattern;

    /// One byte above 0x7F hid a whole field from rules.
    #[test]
    fn rules_see_fields_in_any_letters() {
        let cases: [(&[u8], &str, bool); 5] = [
            (b"yes", "x-beta=yes", true),
            (b"yes \xE9", "x-beta=yes*", true),
            (b"caf\xE9", "x-beta=caf\u{e9}", true),
            ("caf\u{e9}".as_bytes(), "x-beta=caf\u{e9}", true),
            (b"no \xFF", "x-beta=yes*", false),
        ];
        for (value, pattern, expected) in cases {
            let fields =
                HeaderMap::from_iter([(HeaderName::from_static("x-beta"), HeaderValue::from_bytes(value).unwrap())]);
            let (uri, canonical) = (&Uri::from_static("/"), &Canonical::new(None, 80));
            let view = RequestView { method: &Method::GET, uri, version: Version::HTTP_11, fields: &fields, canonical };
            let pattern: ContentPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&view), expected, "{value:?}");
        }
    }
}
