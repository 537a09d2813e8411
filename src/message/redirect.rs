//! What routes do to a request's address: other paths for servers, other addresses for clients.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use http::uri::{InvalidUri, PathAndQuery};
use http::{HeaderValue, Response, StatusCode, Uri};

use crate::model::{Redirect, Route, UriPattern};

/// The target that the server gets instead, where the route rewrites: the new prefix in place of the matched one, or the new
/// path in place of the whole. The query stays. `canonical` is the canonical path.
///
/// What cannot be a target is a fault and not `None`: the server would get the path that the route keeps from it.
pub fn rewrite_path(route: &Route, uri: &Uri, canonical: &str) -> Result<Option<Uri>, InvalidUri> {
    let Some(new) = route.rewrite.as_deref() else { return Ok(None) };
    // `OPTIONS *` asks about the server and not about a path: there is none that a prefix could be put before.
    if !uri.path().starts_with('/') {
        return Ok(None);
    }
    let rest = rest_of(route, uri, canonical);
    let mut target = match rest {
        Some(rest) => format!("{}{rest}", new.strip_suffix('/').unwrap_or(new)),
        None => new.to_owned(),
    };
    // `/` in place of the prefix of `/old` or `/old;v=1` leaves nothing, or the parameters alone.
    if !target.starts_with('/') {
        target.insert(0, '/');
    }
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    PathAndQuery::try_from(target).map(|target| Some(Uri::from(target)))
}

/// What of the path is behind the matched prefix, as the client wrote it where it is written plainly: nothing, segments, or
/// path parameters of the prefix. `None`: the route matches whole paths.
fn rest_of(route: &Route, uri: &Uri, canonical: &str) -> Option<String> {
    let fits = route.uris.iter().filter_map(|pattern| Some((pattern.fit(canonical)?, pattern)));
    let pattern = fits.max_by_key(|(fit, _)| *fit).map(|(_, pattern)| pattern);
    match pattern {
        Some(UriPattern::Prefix(prefix)) => {
            let rest = uri.path().strip_prefix(prefix.as_str()).filter(|_| is_plain(uri.path()));
            let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with(['/', ';']));
            Some(rest.map_or_else(
                || pattern.map(|pattern| pattern.rest(canonical)).unwrap_or_default().to_owned(),
                str::to_owned,
            ))
        }
        _ => None,
    }
}

/// Whether the path means what it says: no segments that lead upwards, in no spelling. Else what is behind the prefix could
/// lead out of the new one.
fn is_plain(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    !["/.", "%2e", "%2f.", "%5c.", "\\"].iter().any(|sign| path.contains(sign))
}

/// What of a path follows the matched prefix, fit to stand behind `before` in an address. Path parameters of the prefix itself
/// begin it (`;jsessionid=…` of `/old;jsessionid=…`). Behind a host they would be a part of the host: `https://new.example`
/// and `;@evil.example` lead to evil.example (RFC 3986 3.2.1). So there they get the slash of the root before them.
fn behind(before: &str, rest: String) -> String {
    let in_path = match before.split_once("//") {
        Some((_, authority)) => authority.contains('/'),
        None => before.starts_with('/'),
    };
    if in_path || rest.is_empty() || rest.starts_with('/') { rest } else { format!("/{rest}") }
}

/// The answer that sends a client to another address. `host` and `path` are the canonical ones of its request.
pub fn redirect_to(redirect: &Redirect, route: &Route, uri: &Uri, (host, path): (&str, &str)) -> Response<Bytes> {
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let before = redirect.location.split("{rest}").next().unwrap_or_default();
    let rest = behind(before, rest_of(route, uri, path).unwrap_or_default());
    // `OPTIONS *` has no path of its own; what is canonical begins with a slash.
    let written = if uri.path().starts_with('/') { uri.path() } else { path };
    let location =
        fill(&redirect.location, &[("{host}", host), ("{path}", written), ("{rest}", &rest), ("{query}", &query)]);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::FOUND);
    let headers = response.headers_mut();
    // All parts are those of a head that was read as HTTP, so this is a value; if it were not, the root is no wrong place.
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    headers.insert(LOCATION, location);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    if !matches!(redirect.status, 301 | 308) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// One pass, so that what is put in is never looked at again.
fn fill(template: &str, parts: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, behind) = rest.split_at(at);
        filled.push_str(before);
        match parts.iter().find(|(word, _)| behind.starts_with(word)) {
            Some((word, value)) => {
                filled.push_str(value);
                rest = behind.get(word.len()..).unwrap_or_default();
            }
            None => {
                filled.push('{');
                rest = behind.get(1..).unwrap_or_default();
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::super::path::canonical_path;
    use super::*;
    use crate::model::{Destination, Name};

    fn route(uri: &str, rewrite: &str) -> Route {
        Route {
            name: Name::new("r").unwrap(),
            hosts: Vec::new(),
            uris: vec![uri.parse().unwrap()],
            to: Destination::Group(None),
            cookie: None,
            url_identifier: None,
            rewrite: Some(rewrite.to_owned()),
            request_edits: Vec::new(),
            response_edits: Vec::new(),
        }
    }

    #[test]
    fn paths_for_servers() {
        let cases = [
            ("/old/*", "/new", "/old/a/b?c=d", "/new/a/b?c=d"),
            ("/old/*", "/new/", "/old/a", "/new/a"),
            ("/old/*", "/", "/old", "/"),
            ("/old/*", "/", "/old/x", "/x"),
            ("/old/*", "/new", "/old", "/new"),
            ("/old/*", "/new", "/old/a%2Fb;v=1", "/new/a%2Fb;v=1"),
            ("/old/*", "/new", "/x/../old/../old/a", "/new/a"),
            ("/old/*", "/new", "/%6fld/a", "/new/a"),
            ("/old/*", "/new", "/old/%2e%2E/old/a", "/new/a"),
            ("/old/*", "/new", "/oldX/%2e%2e/old/a", "/new/a"),
            ("/login", "/auth/start", "/login?x=1", "/auth/start?x=1"),
            ("/old/*", "/", "/old;x", "/;x"),
            ("/old/*", "/", "/old;jsessionid=0001abc:clone1?y", "/;jsessionid=0001abc:clone1?y"),
            ("/old/*", "/new", "/old;jsessionid=0001abc:clone1", "/new;jsessionid=0001abc:clone1"),
            ("/old/*", "/", "/old/page.jsp;jsessionid=0001abc:clone1", "/page.jsp;jsessionid=0001abc:clone1"),
        ];
        for (uri, rewrite, target, expected) in cases {
            let target: Uri = target.parse().unwrap();
            let canonical = canonical_path(target.path()).unwrap();
            let rewritten = rewrite_path(&route(uri, rewrite), &target, &canonical).unwrap().unwrap();
            assert_eq!(rewritten.to_string(), expected, "{target}");
        }
    }

    /// `*` matches `/*` as what is left of a path would, and became `/new*`, which is not below the new prefix.
    #[test]
    fn what_is_no_path_has_no_prefix() {
        assert!(rewrite_path(&route("/*", "/new"), &Uri::from_static("*"), "/*").unwrap().is_none());
    }

    #[test]
    fn what_is_no_target_is_not_passed_over() {
        assert!(rewrite_path(&route("/old/*", "/a<b"), &Uri::from_static("/old/x"), "/old/x").is_err());
    }

    #[test]
    fn addresses_for_clients() {
        let cases = [
            ("https://{host}{path}{query}", "/a?b={host}", "https://shop.example/a?b={host}"),
            ("https://new.example/app{rest}", "/old/x", "https://new.example/app/x"),
            ("/moved", "/old/x?y", "/moved"),
            (
                "https://new.example{rest}",
                "/old/page.jsp;jsessionid=1:a",
                "https://new.example/page.jsp;jsessionid=1:a",
            ),
            ("https://new.example{rest}", "/old;@evil.example/x", "https://new.example/;@evil.example/x"),
            ("https://{host}{rest}", "/old;:80@evil.example", "https://shop.example/;:80@evil.example"),
            ("https://new.example/app{rest}", "/old;jsessionid=1:a", "https://new.example/app;jsessionid=1:a"),
            ("/new{rest}", "/old;jsessionid=1:a", "/new;jsessionid=1:a"),
            ("https://new.example{rest}", "/old", "https://new.example"),
            ("https://new.example{rest}", "/old//evil.example", "https://new.example//evil.example"),
        ];
        for (location, target, expected) in cases {
            let redirect = Redirect { location: location.to_owned(), status: 301 };
            let uri: Uri = target.parse().unwrap();
            let canonical = canonical_path(uri.path()).unwrap();
            let response = redirect_to(&redirect, &route("/old/*", "/"), &uri, ("shop.example", &canonical));
            assert_eq!((response.status().as_u16(), response.headers()[LOCATION].to_str().unwrap()), (301, expected));
        }
    }
}
