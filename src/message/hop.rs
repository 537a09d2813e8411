//! Fields that concern one connection only and end here (RFC 9110 7.6.1).

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::framing::{Body, RequestFacts, ResponseFacts, tokens};
use super::names::{Field, Fields, is_protected};
use super::upgrade::Upgrade;

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Never passed on by anybody. The proxy credentials are among them because they are meant for a forward proxy before
/// us, never for the servers behind: there is no proxy there to give them to.
const ALWAYS: [(Field, HeaderName); 7] = [
    (Field::Http2Settings, HTTP2_SETTINGS),
    (Field::KeepAlive, KEEP_ALIVE),
    (Field::ProxyAuthenticate, PROXY_AUTHENTICATE),
    (Field::ProxyAuthenticationInfo, PROXY_AUTHENTICATION_INFO),
    (Field::ProxyAuthorization, PROXY_AUTHORIZATION),
    (Field::ProxyConnection, PROXY_CONNECTION),
    (Field::Te, TE),
];

/// Takes out of a request what concerned the client's connection, together with names that servers may misread, and puts
/// in what concerns the server's.
///
/// `TE: trailers` is not lost but said anew, with the `Connection: te` that RFC 9110 10.1.4 demands: servers send
/// trailers only to those who ask, and we carry them. Every other transfer coding ends here. `Transfer-Encoding: chunked`
/// stays, because it is what tells hyper's client that this body is chunked (see [`super::framing`]).
pub fn strip_request(headers: &mut HeaderMap, facts: &RequestFacts, upgrade: Option<&Upgrade>) {
    strip(headers, facts.fields, facts.connection.nominates);
    for name in &facts.odd {
        headers.remove(name);
    }
    frame(headers, facts);
    ask(headers, facts, upgrade);
}

/// What tells the server how the body comes.
fn frame(headers: &mut HeaderMap, facts: &RequestFacts) {
    match facts.body() {
        Body::Chunked => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        _ if facts.fields.has(Field::Trailer) => {
            headers.remove(TRAILER);
        }
        _ => {}
    }
    if facts.fields.has(Field::Expect) && !facts.expects_continue() {
        headers.remove(EXPECT);
    }
}

/// What we want of the connection to the server.
fn ask(headers: &mut HeaderMap, facts: &RequestFacts, upgrade: Option<&Upgrade>) {
    let wants = match (upgrade, facts.wants_trailers) {
        (None, false) => return,
        (None, true) => "te",
        (Some(_), false) => "upgrade",
        (Some(_), true) => "upgrade, te",
    };
    headers.insert(CONNECTION, HeaderValue::from_static(wants));
    if facts.wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade.protocol().clone());
    }
}

/// Takes out of a response what concerned the server's connection. The framing towards the client is made anew; a 101
/// keeps its `Upgrade`.
pub fn strip_response(headers: &mut HeaderMap, facts: &ResponseFacts) {
    let protocol = if facts.switches() { headers.get(UPGRADE).cloned() } else { None };
    strip(headers, facts.fields, facts.connection.nominates);
    if facts.fields.has(Field::TransferEncoding) {
        headers.remove(TRANSFER_ENCODING);
    }
    // RFC 9110 8.6: neither has a body, and neither may have a length.
    let is_lengthless = facts.switches() || facts.status == StatusCode::NO_CONTENT;
    if is_lengthless && facts.fields.has(Field::ContentLength) {
        headers.remove(CONTENT_LENGTH);
    }
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

fn strip(headers: &mut HeaderMap, fields: Fields, nominates: bool) {
    if nominates {
        remove_nominated(headers);
    }
    for (field, name) in &ALWAYS {
        if fields.has(*field) {
            headers.remove(name);
        }
    }
    if fields.has(Field::Connection) {
        headers.remove(CONNECTION);
    }
    if fields.has(Field::Upgrade) {
        headers.remove(UPGRADE);
    }
}

/// Takes out the fields that `Connection` names, as far as it may.
#[cold]
fn remove_nominated(headers: &mut HeaderMap) {
    let values: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
    for token in values.iter().flat_map(tokens) {
        if is_protected(token) {
            continue;
        }
        if let Ok(name) = HeaderName::from_bytes(token) {
            headers.remove(name);
        }
    }
}
