//! A request as decisions see it.

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderMap, Method, Uri, Version};

use crate::message::canonical_path;
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
    /// Its host, without port and final dot, in lower case; empty when none is named. And its port.
    pub fn host(&self, default_port: u16) -> (Cow<'a, str>, u16) {
        let named = self.uri.authority().map(|authority| authority.as_str());
        let field = || self.fields.get(HOST).and_then(|host| host.to_str().ok());
        let text = named.or_else(field).unwrap_or_default();
        let colon = text.rfind(':').filter(|&at| text.rfind(']').is_none_or(|bracket| bracket < at));
        let (host, port) = match colon.and_then(|at| text.split_at_checked(at)) {
            Some((host, port)) => (host, port.get(1..).and_then(|port| port.parse().ok())),
            None => (text, None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let has_capitals = host.bytes().any(|byte| byte.is_ascii_uppercase());
        let host = if has_capitals { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) };
        (host, port.unwrap_or(default_port))
    }

    /// Its path as routes look at it.
    pub fn path(&self) -> Cow<'a, str> {
        canonical_path(self.uri.path())
    }
}

/// Keywords of IBM's patterns, and fields by name.
impl Subject for RequestView<'_> {
    fn any(&self, keyword: &str, is_wanted: &mut dyn FnMut(&str) -> bool) -> bool {
        match keyword {
            "method" => is_wanted(self.method.as_str()),
            "uri" => match self.uri.query() {
                None => is_wanted(&self.path()),
                Some(query) => is_wanted(&format!("{}?{query}", self.path())),
            },
            "version" => is_wanted(if self.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" }),
            "host" => is_wanted(&self.host(0).0),
            name => self.fields.get_all(name).iter().any(|value| value.to_str().is_ok_and(&mut *is_wanted)),
        }
    }
}

impl PortTable {
    /// The closest route: its host counts before its path, the first of equals wins. `default_port` is the one that the
    /// client's `Host` means when it names none.
    pub fn route(&self, request: &RequestView<'_>, default_port: u16) -> Routed<'_> {
        if self.routes.is_empty() {
            return Routed::Group(GroupIndex::PORT, None);
        }
        let ((host, port), path) = (request.host(default_port), request.path());
        let mut closest: Option<((Fit, Fit), &RouteEntry)> = None;
        for route in &self.routes {
            if let Some((fit, _)) = route.settings().fit(&host, port, &path)
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
