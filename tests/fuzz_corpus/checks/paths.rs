//! Hosts and paths: one spelling for all who judge them.

use std::sync::{Arc, LazyLock};

use http::header::{HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use tsuji::executor::{PortTable, RequestView, Routed};
use tsuji::message::{Authority, Canonical, canonical_path, redirect_to, rewrite_path};
use tsuji::model::{Destination, HostPattern, Redirect, Route, UriPattern};

use super::support::{Site, name};
use super::{Target, text};

pub const TARGET: Target = Target { name: "paths", check };

/// The first line is a target, the second a host.
fn check(data: &[u8]) {
    let text = text(data);
    let (path, host) = text.split_once('\n').unwrap_or((&text, ""));
    canonical_is_canonical(path);
    canonical_is_canonical(&text);
    if let Ok(uri) = Uri::try_from(path) {
        judged_alike(&uri, host);
        rewritten_stays_below(&uri);
        redirected(&uri, host);
    }
    authorities(host);
    patterns(path);
    patterns(host);
}

fn canonical_is_canonical(path: &str) {
    let Ok(once) = canonical_path(path) else { return };
    assert!(once.starts_with('/'), "{once}");
    assert!(!once.contains("//") && !once.contains(';'), "{once}");
    assert!(!once.split('/').any(|segment| segment == "." || segment == ".."), "{once} goes above its root");
    assert!(once.len() <= 3 * path.len() + 1, "{once}");
    assert_eq!(canonical_path(&once).as_deref(), Ok(&*once), "a second look changes nothing");
}

fn route(number: usize, uris: &[&str], rewrite: Option<&str>) -> Route {
    Route {
        name: name(&format!("r{number}")),
        hosts: Vec::new(),
        uris: uris.iter().map(|uri| uri.parse().expect("a pattern")).collect(),
        to: Destination::Group(None),
        cookie: None,
        url_identifier: None,
        rewrite: rewrite.map(str::to_owned),
        request_edits: Vec::new(),
        response_edits: Vec::new(),
    }
}

fn table() -> Arc<PortTable> {
    let mut site = Site::with_servers(1);
    let mut routes: Vec<Route> = [&["/shop/*"][..], &["/shop/admin/*"], &["/login"], &["*.jsp"], &["/a/*", "/b"]]
        .iter()
        .enumerate()
        .map(|(number, uris)| route(number, uris, None))
        .collect();
    routes[1].hosts = vec!["shop.example".parse().expect("a host")];
    routes[3].hosts = vec!["*.example:8080".parse().expect("a host")];
    site.port.routes = routes;
    Arc::new(site.table())
}

fn routed(uri: &Uri, fields: &HeaderMap) -> Option<String> {
    static PORT: LazyLock<Arc<PortTable>> = LazyLock::new(table);
    let canonical = &Canonical::of(uri, 80).ok()?;
    let view = RequestView { method: &Method::GET, uri, version: Version::HTTP_11, fields, canonical };
    match PORT.route(&view) {
        Routed::Group(_, route) => route.map(|route| route.settings().name.to_string()),
        Routed::Redirect(route, _) => Some(route.settings().name.to_string()),
        Routed::Nowhere => None,
    }
}

/// Whoever spells a path or a host otherwise is routed to the same place.
fn judged_alike(uri: &Uri, host: &str) {
    let mut fields = HeaderMap::new();
    if let Ok(host) = HeaderValue::from_str(host)
        && Authority::parse(host.as_bytes()).is_some()
    {
        let upper = HeaderValue::from_str(&host.to_str().expect("text").to_ascii_uppercase()).expect("still a value");
        fields.insert(HOST, upper);
        let shouted = routed(uri, &fields);
        fields.insert(HOST, host.clone());
        assert_eq!(routed(uri, &fields), shouted, "hosts have no case");
        let canonical = Canonical::new(None, 80);
        let (name, port) = (canonical.host(uri, &fields).to_owned(), canonical.port(uri, &fields));
        for again in [Some(format!("{name}:{port}")), (port == 80).then(|| name.clone())].into_iter().flatten() {
            fields.insert(HOST, HeaderValue::from_str(&again).expect("a host in its one spelling"));
            assert_eq!(routed(uri, &fields), shouted, "{host:?} is {again}");
        }
        fields.insert(HOST, host);
    }
    if uri.authority().is_none()
        && uri.path().starts_with('/')
        && let Ok(canonical) = canonical_path(uri.path())
    {
        let canonical: Uri = canonical.parse().expect("a path is one in any spelling");
        assert_eq!(routed(&canonical, &fields), routed(uri, &fields));
    }
}

/// A prefix that is put in front is never left again.
fn rewritten_stays_below(uri: &Uri) {
    for pattern in ["/shop/*", "/*"] {
        let route = route(0, &[pattern], Some("/inner/new"));
        let below: UriPattern = "/inner/new/*".parse().expect("a pattern");
        let Ok(canonical) = canonical_path(uri.path()) else { return };
        let matches = route.fit("", 80, &canonical).is_some();
        let rewritten = rewrite_path(&route, uri, &canonical).expect("a path before a rest is a path");
        let Some(target) = rewritten.filter(|_| matches) else { continue };
        let there = canonical_path(target.path());
        assert!(there.is_ok_and(|there| below.fit(&there).is_some()), "{uri} became {target}");
        assert_eq!(target.query(), uri.query());
    }
}

fn redirected(uri: &Uri, host: &str) {
    let Ok(path) = canonical_path(uri.path()) else { return };
    let redirect = Redirect { location: "https://{host}/new{rest}{query}#{path}".to_owned(), status: 302 };
    let response = redirect_to(&redirect, &route(0, &["/shop/*"], None), uri, (host, &path));
    let location = response.headers().get_all(LOCATION);
    assert_eq!(location.iter().count(), 1);
    assert!(location.iter().all(|value| !value.as_bytes().iter().any(|&byte| byte < b' ' && byte != b'\t')));
    stays_at_its_host(uri, &path);
}

/// What a client writes behind the matched prefix does not become a part of the host.
fn stays_at_its_host(uri: &Uri, path: &str) {
    for template in ["https://new.example{rest}", "https://new.example{path}"] {
        let redirect = Redirect { location: template.to_owned(), status: 302 };
        let response = redirect_to(&redirect, &route(0, &["/shop/*"], None), uri, ("shop.example", path));
        let location = response.headers()[LOCATION].as_bytes();
        let rest = location.strip_prefix(b"https://new.example").expect("the template's beginning");
        assert!(rest.is_empty() || rest.starts_with(b"/"), "{uri} leads to {}", String::from_utf8_lossy(location));
    }
}

fn authorities(host: &str) {
    let Some(authority) = Authority::parse(host.as_bytes()) else { return };
    assert!(authority.host().len() <= 255 && !authority.host().is_empty());
    let port = authority.port().map_or_else(String::new, |port| format!(":{port}"));
    let again = format!("{}{port}", String::from_utf8_lossy(authority.host()));
    let again = Authority::parse(again.as_bytes()).expect("it is one still");
    assert_eq!((again.host(), again.port()), (authority.host(), authority.port()));
    assert!(authority.is_same(&again, 80));
    let mut fields = HeaderMap::new();
    fields.insert(HOST, HeaderValue::from_str(host).expect("an authority is a value"));
    let uri = Uri::from_static("/");
    let canonical = Canonical::new(None, 80);
    let expected = String::from_utf8_lossy(authority.host()).to_ascii_lowercase();
    let expected = expected.strip_suffix('.').unwrap_or(&expected);
    let found = (canonical.host(&uri, &fields), canonical.port(&uri, &fields));
    assert_eq!(found, (expected, authority.port().unwrap_or(80)));
}

/// What a configuration prints it reads again.
fn patterns(text: &str) {
    if let Ok(pattern) = text.parse::<UriPattern>() {
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }
    if let Ok(pattern) = text.parse::<HostPattern>() {
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }
}
