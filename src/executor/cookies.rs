//! Affinity by what a request carries: clone ids in session ids, learnt cookies, cookies of our own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use crate::message::{clone_ids, cookie_values, path_parameter, set_cookie_value};
use crate::model::{CookieAffinity, Name, Policy, PortId};

use super::partitions::Partitions;
use super::request::RequestView;
use super::table::{PortPlan, RouteEntry, ServerEntry};
use super::{AffinityTable, ServerIndex};

/// How the requests of one group name their servers.
#[derive(Debug)]
pub struct Sessions {
    way: Way,
    cookie: String,
    url_identifier: String,
}

#[derive(Debug)]
enum Way {
    CloneIds {
        by_id: HashMap<Box<[u8]>, ServerIndex>,
        partitions: Arc<Partitions>,
    },
    Learnt {
        table: Arc<AffinityTable>,
        group: (PortId, u64),
        time: Duration,
    },
    /// Values of our cookie, and each server's own.
    Inserted {
        by_value: HashMap<Box<[u8]>, ServerIndex>,
        values: HashMap<ServerIndex, String>,
    },
}

/// The key that our cookies' values are made with. Dispatchers that share it understand each other's cookies.
#[derive(Clone)]
pub struct CookieKey(hmac::Key);

impl CookieKey {
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The value by which clients of one server are known: it tells nothing and cannot be made without the key.
    fn value(&self, port: &str, group: &str, server: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [port, group, server] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let tag = context.sign();
        tag.as_ref().iter().take(VALUE_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieKey")
    }
}

/// Bytes of a value; 128 bits are not guessed.
const VALUE_BYTES: usize = 16;

impl Sessions {
    pub(super) fn new(
        plan: &PortPlan<'_>,
        group: Option<&Name>,
        policy: &Policy,
        members: &[ServerIndex],
        servers: &[ServerEntry],
    ) -> Option<Self> {
        let entries = || members.iter().filter_map(|&index| Some((index, servers.get(usize::from(index.0))?)));
        let way = match policy.affinity {
            CookieAffinity::None => return None,
            CookieAffinity::CloneId => {
                let named = entries().filter_map(|(index, server)| {
                    Some((server.proxied().clone_id.as_deref()?.as_bytes().into(), index))
                });
                let by_id: HashMap<Box<[u8]>, ServerIndex> = named.collect();
                if by_id.is_empty() {
                    return None;
                }
                Way::CloneIds { by_id, partitions: Arc::clone(plan.counters.partitions()) }
            }
            CookieAffinity::Learn => {
                let group = (plan.affinity_group, group.map_or(0, super::name_hash));
                Way::Learnt { table: Arc::clone(plan.affinity), group, time: policy.cookie_time }
            }
            CookieAffinity::Insert => {
                let (port, group) = (plan.key.to_string(), group.map_or("", Name::as_str));
                let value = |server: &ServerEntry| plan.cookie_key.value(&port, group, server.name.as_str());
                let values: HashMap<ServerIndex, String> =
                    entries().map(|(index, server)| (index, value(server))).collect();
                let by_value = values.iter().map(|(&index, value)| (value.as_bytes().into(), index)).collect();
                Way::Inserted { by_value, values }
            }
        };
        Some(Self { way, cookie: policy.cookie.clone(), url_identifier: policy.url_identifier.clone() })
    }

    /// The servers that the request names, in the order of preference: all cookies of the name, then the URL.
    pub(super) fn named(
        &self,
        servers: &[ServerEntry],
        (request, route): (&RequestView<'_>, Option<&RouteEntry>),
        now: Instant,
        mut take: impl FnMut(ServerIndex) -> bool,
    ) -> Named {
        let cookie = self.cookie_name(route);
        let identifier =
            route.and_then(|route| route.settings().url_identifier.as_deref()).unwrap_or(&self.url_identifier);
        let values = cookie_values(request.fields, cookie);
        let values = values.chain(path_parameter(request.uri.path(), identifier));
        let mut named = Named::Nothing;
        for value in values {
            named = named.max(Named::Nobody);
            let found = self.of_value(servers, value, now, |index| {
                named = Named::Somebody;
                take(index)
            });
            if found {
                return Named::Taken;
            }
        }
        named
    }

    fn of_value(
        &self,
        servers: &[ServerEntry],
        value: &[u8],
        now: Instant,
        mut take: impl FnMut(ServerIndex) -> bool,
    ) -> bool {
        match &self.way {
            Way::CloneIds { by_id, partitions } => clone_ids(value).any(|id| match by_id.get(id) {
                Some(&index) => take(index),
                None => partitions.clones(id, |clone| by_id.get(clone).is_some_and(|&index| take(index))),
            }),
            Way::Learnt { table, group, .. } => {
                let Some(hash) = table.session_server(*group, value, now) else { return false };
                let place = servers.iter().position(|server| server.name_hash == hash);
                place.is_some_and(|place| take(ServerIndex(place as u16)))
            }
            Way::Inserted { by_value, .. } => by_value.get(value).is_some_and(|&index| take(index)),
        }
    }

    /// The cookie that carries the session.
    pub fn cookie_name<'a>(&'a self, route: Option<&'a RouteEntry>) -> &'a str {
        route.and_then(|route| route.settings().cookie.as_deref()).unwrap_or(&self.cookie)
    }

    /// Whether responses have to be looked at.
    pub fn reads_responses(&self) -> bool {
        matches!(self.way, Way::Learnt { .. })
    }

    /// A response of this server came: the value that it sets its cookie to is remembered.
    pub fn learn(&self, route: Option<&RouteEntry>, fields: &http::HeaderMap, server: &ServerEntry, now: Instant) {
        if let Way::Learnt { table, group, time } = &self.way
            && let Some(value) = set_cookie_value(fields, self.cookie_name(route))
        {
            table.remember_session((*group, *time), value, server.name_hash, now);
        }
    }

    /// The value of our cookie for this server, where the request does not have it already.
    pub fn to_insert<'a>(
        &'a self,
        request: &RequestView<'_>,
        route: Option<&'a RouteEntry>,
        server: ServerIndex,
    ) -> Option<(&'a str, &'a str)> {
        let Way::Inserted { values, .. } = &self.way else { return None };
        let (value, name) = (values.get(&server)?, self.cookie_name(route));
        let has_it = cookie_values(request.fields, name).any(|known| known == value.as_bytes());
        (!has_it).then_some((name, value))
    }

    /// Whether clients are given a cookie of ours.
    pub fn inserts(&self) -> bool {
        matches!(self.way, Way::Inserted { .. })
    }
}

/// What a request's cookies and URL came to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Named {
    /// There is no session in it.
    Nothing,
    /// A session, but none of these servers.
    Nobody,
    /// Servers, but none that may take it.
    Somebody,
    Taken,
}
