//! Sessions in cookies and URLs, and the servers that they name.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use tsuji::executor::{
    Ask, Decision, GroupIndex, Moment, PortTable, RequestAsk, RequestView, ServerIndex, Session, Tried, Turn, Why,
    decide,
};
use tsuji::message::{Canonical, clone_ids, cookie_values, path_parameter, set_cookie_value};
use tsuji::model::CookieAffinity;

use super::support::Site;
use super::{Target, bounded};

pub const TARGET: Target = Target { name: "sessions", check };

/// The first line is a `Cookie` field, the second a path, the third a `Set-Cookie` field.
fn check(data: &[u8]) {
    let mut lines = bounded(data).split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let mut line = || lines.next().unwrap_or_default();
    let (cookie, path, set) = (line(), line(), line());
    let mut fields = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(cookie) {
        fields.append(COOKIE, value);
    }
    let text = String::from_utf8_lossy(path);
    let uri = Uri::try_from(&*text).unwrap_or_default();
    for name in ["JSESSIONID", "", "a"] {
        values_are_parts(&fields, name);
    }
    ids_are_parts(cookie);
    ids_are_parts(path);
    parameters_are_parts(&text);
    the_first_known_clone_is_taken(&fields, &uri);
    what_is_learnt_is_known(set);
    nobody_guesses(&fields, &uri);
}

fn is_within(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

/// Few, and cut out of the field.
fn values_are_parts(fields: &HeaderMap, name: &str) {
    let Some(whole) = fields.get(COOKIE) else { return };
    let values: Vec<&[u8]> = cookie_values(fields, name).collect();
    assert!(values.len() <= 8, "a bound on work");
    assert!(values.iter().all(|value| is_within(value, whole.as_bytes()) && !value.contains(&b';')));
}

fn ids_are_parts(session: &[u8]) {
    let ids: Vec<&[u8]> = clone_ids(session).collect();
    assert!(ids.len() <= 17, "a bound on work");
    assert!(ids.iter().all(|id| is_within(id, session) && id.len() < session.len()));
    assert!(
        ids.iter()
            .skip(1)
            .all(|id| !id.is_empty() && !id.contains(&b':') && !id.contains(&b'.') && !id.contains(&b'+'))
    );
}

fn parameters_are_parts(path: &str) {
    if let Some(value) = path_parameter(path, "jsessionid") {
        assert!(is_within(value, path.as_bytes()) && !value.contains(&b'/') && !value.contains(&b';'));
    }
    assert_eq!(path_parameter(path, ""), None);
}

const SERVERS: usize = 4;

fn table(affinity: CookieAffinity) -> PortTable {
    let mut site = Site::with_servers(SERVERS);
    site.port.policy.affinity = affinity;
    for (number, server) in site.port.servers.iter_mut().enumerate() {
        server.proxied.clone_id = Some(format!("clone{number}"));
    }
    site.table()
}

static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

fn chosen(port: &PortTable, fields: &HeaderMap, uri: &Uri) -> (ServerIndex, Why) {
    let canonical = &Canonical::new(None, 80);
    let view = RequestView { method: &Method::GET, uri, version: Version::HTTP_11, fields, canonical };
    let request = Some(RequestAsk { view, group: GroupIndex::PORT, route: None });
    let client = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
    let (session, tried) = (&mut Session::default(), &Tried::default());
    let mut ask = Ask { client, request, session, tried, turn: Turn::Peek };
    match decide(port, &mut ask, Moment { now: *NOW, hour: 12 }) {
        Decision::Forward { server, why, .. } => (server, why),
        Decision::Refuse(refusal) => refuse(refusal),
    }
}

fn refuse(refusal: tsuji::executor::Refusal) -> ! {
    panic!("all servers are up: {refusal:?}")
}

/// Of all cookies, then of the URL, and of their ids in their order.
fn the_first_known_clone_is_taken(fields: &HeaderMap, uri: &Uri) {
    static PORT: LazyLock<PortTable> = LazyLock::new(|| table(CookieAffinity::CloneId));
    let sessions = cookie_values(fields, "JSESSIONID").chain(path_parameter(uri.path(), "jsessionid"));
    let known = |id: &[u8]| (0..SERVERS).find(|number| id == format!("clone{number}").as_bytes());
    let expected = sessions.flat_map(clone_ids).find_map(known);
    let (server, why) = chosen(&PORT, fields, uri);
    match expected {
        Some(number) => assert_eq!((usize::from(server.0), why), (number, Why::Session)),
        None => assert_ne!(why, Why::Session),
    }
}

/// A value that a server gave out leads back to it, as the client sends it: with its quotes.
fn what_is_learnt_is_known(set: &[u8]) {
    let Ok(field) = HeaderValue::from_bytes(set) else { return };
    let mut response = HeaderMap::new();
    response.append(SET_COOKIE, field);
    let Some(value) = set_cookie_value(&response, "JSESSIONID") else { return };
    assert!(!value.is_empty() && !value.contains(&b';'));
    let port = table(CookieAffinity::Learn);
    let sessions = port.group(GroupIndex::PORT).and_then(|group| group.sessions()).expect("sessions are learnt");
    sessions.learn(None, &response, &port.servers[2], *NOW);
    let pair = set.split(|&byte| byte == b';').next().unwrap_or_default();
    let mut request = HeaderMap::new();
    request.append(COOKIE, HeaderValue::from_bytes(pair).expect("part of a value"));
    assert_eq!(chosen(&port, &request, &Uri::from_static("/")), (ServerIndex(2), Why::Session));
}

/// Values of our own cookie are given out, not found.
fn nobody_guesses(fields: &HeaderMap, uri: &Uri) {
    static PORT: LazyLock<Arc<PortTable>> = LazyLock::new(|| Arc::new(table(CookieAffinity::Insert)));
    let (_, why) = chosen(&PORT, fields, uri);
    assert_ne!(why, Why::Session);
}
