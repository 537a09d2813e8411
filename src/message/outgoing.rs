//! A client's request made ready for a server.

use http::header::HOST;
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, Version};

use super::forwarded::{ClientView, Introduction, introduce};
use super::framing::RequestFacts;
use super::hop::strip_request;
use super::upgrade::Upgrade;

/// Makes the server's request of the client's: hop-by-hop fields and forbidden claims out, ours in, HTTP/1.1, a target in
/// origin form whose bytes are the client's. `facts` are those of this head, `upgrade` is what the port allows of it.
/// What the head does not say of the client then is said when it is written.
pub fn prepare_request(
    head: &mut Parts,
    facts: &RequestFacts,
    view: &ClientView<'_>,
    upgrade: Option<&Upgrade>,
) -> Introduction {
    strip_request(&mut head.headers, facts, upgrade);
    let introduction = introduce(&mut head.headers, facts, view);
    // An old client need not name a host; HTTP/1.1 towards the server demands one.
    if !facts.names_host() {
        let host = authority_of(&head.uri).unwrap_or_else(|| view.connection.host());
        head.headers.insert(HOST, host);
    }
    head.uri = origin_form(std::mem::take(&mut head.uri));
    head.version = Version::HTTP_11;
    introduction
}

fn authority_of(uri: &Uri) -> Option<HeaderValue> {
    HeaderValue::from_str(uri.authority()?.as_str()).ok()
}

/// Path and query as they are, without scheme and authority.
pub fn origin_form(uri: Uri) -> Uri {
    if uri.authority().is_none() {
        return uri;
    }
    let target = uri.into_parts().path_and_query.unwrap_or(ROOT);
    // `OPTIONS *` of HTTP/2 comes with scheme and authority; it is about the server and not about a path.
    if target.as_str().starts_with('/') || target.as_str() == "*" {
        return target.into();
    }
    // RFC 9112 3.2.1: "If the target URI's path component is empty, the client MUST send "/" as the path". `http://host?query`
    // has none; what `http` keeps of it is the query alone.
    PathAndQuery::try_from(format!("/{}", target.as_str())).unwrap_or(ROOT).into()
}

const ROOT: PathAndQuery = PathAndQuery::from_static("/");
