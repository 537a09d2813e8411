//! Keywords of the applications that share a port: groups of servers, and the routes to them.

use super::Preset::{List, Text, Told, Whole};
use super::keyword::joined;
use super::policy::{ON_GROUPS, POLICY_KEYWORDS};
use super::value_kind::whole;
use super::{Keyword, Kind, ObjectSchema, Usage, ValueKind};

pub(super) static GROUP: ObjectSchema = ObjectSchema {
    kind: Kind::Group,
    word: "group",
    help: "servers of a port that carry one application (the plug-in's ServerCluster)",
    keywords: &GROUP_KEYWORDS,
    children: &[],
};

static GROUP_KEYWORDS: [Keyword; 2 + POLICY_KEYWORDS] = joined(
    [
        Keyword::new("name", ValueKind::Name, Told("must be given"), "how commands and reports call it")
            .used(Usage::Identity),
        Keyword::new("servers", ValueKind::Names, List(&[]), "its servers; a server belongs to one group at most"),
    ],
    ON_GROUPS,
);

pub(super) static ROUTE: ObjectSchema = ObjectSchema {
    kind: Kind::Route,
    word: "route",
    help: "hosts and paths, and where requests for them go; the most specific route is taken",
    keywords: &[
        Keyword::new("name", ValueKind::Name, Told("must be given"), "how commands and reports call it")
            .used(Usage::Identity),
        Keyword::new(
            "hosts",
            ValueKind::Hosts,
            List(&[]),
            "hosts such as www.example.com, *.example.com, www.example.com:8443 or *; none: every host",
        ),
        Keyword::new("uris", ValueKind::Uris, List(&[]), "paths such as /exact, /prefix/* or *.jsp; none: every path"),
        Keyword::new(
            "group",
            ValueKind::Name,
            Told("the servers of the port that belong to no group"),
            "the group that takes the requests",
        ),
        Keyword::new("cookiename", ValueKind::CookieName, Told("the group's"), "the session cookie of these paths"),
        Keyword::new(
            "urlidentifier",
            ValueKind::CookieName,
            Told("the group's"),
            "the path parameter that carries the session",
        ),
        Keyword::new(
            "rewrite",
            ValueKind::Text,
            Text(""),
            "what takes the place of the matched prefix (or of the whole path) before the request is forwarded",
        ),
        Keyword::new(
            "redirect",
            ValueKind::Text,
            Text(""),
            "where clients are sent instead of to a server: a URL with {host}, {path}, {rest} and {query} put in",
        ),
        Keyword::new(
            "requestheaders",
            ValueKind::HeaderEdits,
            List(&[]),
            "changes to the fields of requests for servers, after those of the port",
        ),
        Keyword::new(
            "responseheaders",
            ValueKind::HeaderEdits,
            List(&[]),
            "changes to the fields of servers' responses, after those of the port",
        ),
        Keyword::new("redirectstatus", whole(301, 308), Whole(302), "301, 302, 303, 307 or 308"),
    ],
    children: &[],
};
