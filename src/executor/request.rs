//! A request as decisions see it.

use http::{HeaderMap, Method, Uri, Version};

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
            name => self.fields.get_all(name).iter().any(|value| value.to_str().is_ok_and(&mut *is_wanted)),
        }
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
