//! The look over a client's request.

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority as UriAuthority, Uri};
use http::{HeaderName, HeaderValue, Method, Version};

use super::super::authority::Authority;
use super::super::names::{Field, Fields, Meaning, is_protected, meaning};
use super::super::path::canonical_path;
use super::super::reason::ErrorReason;
use super::{is_chunked, is_of_connection, parse_length, tokens};

/// Bytes of a request target. Browsers and servers agree on about this much; the rest of a head has four times as much.
pub const MAX_TARGET: usize = 8 * 1024;

/// Fields of a head. Requests of browsers have 10 to 30; each field costs more memory here than on the wire. It is what
/// hyper's server takes of HTTP/1.1, so that both protocols have one bound.
pub const MAX_FIELDS: usize = 100;

/// How a request's body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    /// There is none.
    None,
    /// After so many bytes, at least one.
    Sized(u64),
    /// With its last chunk.
    Chunked,
}

/// What one look over a request's head found. The later steps go by it, so it belongs to the head as it was looked at.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    body: Body,
    expects_continue: bool,
    authenticates_connection: bool,
    /// The canonical path, where it is not as it was written.
    path: Option<Box<str>>,
    pub(in super::super) fields: Fields,
    pub(in super::super) connection: Connection,
    pub(in super::super) wants_trailers: bool,
    /// Names with characters that servers may read as others.
    pub(in super::super) odd: Vec<HeaderName>,
    /// Names by which only trusted peers may speak of the client.
    pub(in super::super) claims: Vec<HeaderName>,
}

/// What the `Connection` fields say.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Connection {
    /// An upgrade is asked for or confirmed.
    pub upgrade: bool,
    /// Some other field is named that has to go with it.
    pub nominates: bool,
    /// The sender ends the connection after this message.
    pub closes: bool,
}

impl RequestFacts {
    pub fn body(&self) -> Body {
        self.body
    }

    /// The client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// It brings credentials after which the server may take all that comes over its connection for this client's.
    pub fn authenticates_connection(&self) -> bool {
        self.authenticates_connection
    }

    /// Whether the head has a `Host`; always so on HTTP/1.1.
    pub fn names_host(&self) -> bool {
        self.fields.has(Field::Host)
    }

    /// The canonical path; `None`: it is as it was written. It is there once.
    pub fn take_path(&mut self) -> Option<Box<str>> {
        self.path.take()
    }

    /// How many names are dropped for their characters; for a counter.
    pub fn odd_names(&self) -> usize {
        self.odd.len()
    }
}

/// Looks once over a request as hyper's server shows it and refuses what has no meaning or more than one.
pub fn examine_request(head: &Parts) -> Result<RequestFacts, ErrorReason> {
    check_method(&head.method)?;
    check_target(head)?;
    if head.headers.len() > MAX_FIELDS {
        return Err(ErrorReason::TooManyHeaders);
    }
    let mut facts = RequestFacts {
        body: Body::None,
        expects_continue: false,
        authenticates_connection: false,
        path: canonical(&head.uri)?,
        fields: Fields::default(),
        connection: Connection::default(),
        wants_trailers: false,
        odd: Vec::new(),
        claims: Vec::new(),
    };
    for (name, value) in &head.headers {
        match meaning(name) {
            Meaning::Ordinary => {}
            Meaning::Known(field) => facts.note(field, value)?,
            Meaning::Claim => facts.claims.push(name.clone()),
            // They never stay among the others: see `private`.
            Meaning::Private | Meaning::Odd => facts.odd.push(name.clone()),
        }
    }
    facts.conclude(head)?;
    Ok(facts)
}

impl RequestFacts {
    fn note(&mut self, field: Field, value: &HeaderValue) -> Result<(), ErrorReason> {
        let first = self.fields.add(field);
        let bytes = value.as_bytes();
        match field {
            // RFC 9112 3.2: a server must answer 400 to more than one Host and to an invalid one.
            Field::Host => require(first && Authority::parse(bytes).is_some(), ErrorReason::BadHost)?,
            Field::ContentLength => self.note_length(first, value)?,
            Field::TransferEncoding => require(first && is_chunked(value), ErrorReason::BadTransferEncoding)?,
            Field::Expect => require(bytes.eq_ignore_ascii_case(b"100-continue"), ErrorReason::BadExpectation)?,
            Field::Connection => self.connection.note(value),
            Field::Authorization => self.authenticates_connection |= is_of_connection(value),
            Field::Te => self.wants_trailers |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers")),
            _ => {}
        }
        Ok(())
    }

    fn note_length(&mut self, first: bool, value: &HeaderValue) -> Result<(), ErrorReason> {
        let length = parse_length(value).filter(|_| first).ok_or(ErrorReason::BadLength)?;
        self.body = if length == 0 { Body::None } else { Body::Sized(length) };
        Ok(())
    }

    /// What can be said only when all fields were seen.
    fn conclude(&mut self, head: &Parts) -> Result<(), ErrorReason> {
        let is_old = head.version < Version::HTTP_11;
        if self.fields.has(Field::TransferEncoding) {
            if is_old {
                return Err(ErrorReason::BadTransferEncoding);
            }
            // RFC 9112 6.3 lets a proxy go by the encoding and close. Servers behind us that go by the length would
            // see the body as the next request, so it is refused wherever the codec shows it.
            if self.fields.has(Field::ContentLength) {
                return Err(ErrorReason::LengthAndEncoding);
            }
            self.body = Body::Chunked;
        }
        if !is_old && !self.fields.has(Field::Host) {
            return Err(ErrorReason::BadHost);
        }
        // RFC 9110 10.1.1: an expectation on HTTP/1.0 must be ignored; without a body there is nothing to wait with.
        self.expects_continue = self.fields.has(Field::Expect) && !is_old && self.body != Body::None;
        Ok(())
    }
}

fn require(holds: bool, otherwise: ErrorReason) -> Result<(), ErrorReason> {
    if holds { Ok(()) } else { Err(otherwise) }
}

impl Connection {
    pub(super) fn note(&mut self, value: &HeaderValue) {
        for token in tokens(value) {
            if token.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if token.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if !is_option(token) && !is_protected(token) {
                self.nominates = true;
            }
        }
    }
}

/// Options that name no field, or one that has a step of its own.
fn is_option(token: &[u8]) -> bool {
    const OPTIONS: [&[u8]; 4] = [b"keep-alive", b"te", b"http2-settings", b"proxy-connection"];
    OPTIONS.iter().any(|option| token.eq_ignore_ascii_case(option))
}

fn check_method(method: &Method) -> Result<(), ErrorReason> {
    match *method {
        // 501 rather than 405: no resource behind us can allow it, so there is no `Allow` to send.
        Method::CONNECT => Err(ErrorReason::MethodConnect),
        // It would send cookies and credentials back to scripts that may not read them.
        Method::TRACE => Err(ErrorReason::MethodTrace),
        _ => Ok(()),
    }
}

/// RFC 9112 3.2: a path, `*` for OPTIONS, or an absolute http URI whose authority is the one of `Host`.
fn check_target(head: &Parts) -> Result<(), ErrorReason> {
    if target_len(&head.uri) > MAX_TARGET {
        return Err(ErrorReason::UriTooLong);
    }
    // RFC 9113 8.3.1 wants of HTTP/2 what the grammar of HTTP/1.1 has anyway: each path begins with a slash, or is the
    // asterisk of OPTIONS.
    let is_path = head.uri.path().starts_with('/') || (head.method == Method::OPTIONS && head.uri.path() == "*");
    require(is_path, ErrorReason::BadTarget)?;
    match (head.uri.scheme_str(), head.uri.authority()) {
        (None, None) => Ok(()),
        (Some("http"), Some(authority)) => check_authority(head, authority, 80),
        (Some("https"), Some(authority)) => check_authority(head, authority, 443),
        _ => Err(ErrorReason::BadTarget),
    }
}

/// `None`: the path is canonical as it is written, as most are.
fn canonical(uri: &Uri) -> Result<Option<Box<str>>, ErrorReason> {
    match canonical_path(uri.path()) {
        Ok(Cow::Borrowed(_)) => Ok(None),
        Ok(Cow::Owned(path)) => Ok(Some(path.into())),
        Err(_) => Err(ErrorReason::BadPath),
    }
}

fn target_len(uri: &Uri) -> usize {
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
    path + scheme + uri.authority().map_or(0, |authority| authority.as_str().len())
}

/// RFC 9112 3.2.2 would have us ignore a `Host` that differs. Two names in one request serve only those who want us
/// and the server to see different ones, so they are refused.
fn check_authority(head: &Parts, authority: &UriAuthority, default_port: u16) -> Result<(), ErrorReason> {
    let target = Authority::parse(authority.as_str().as_bytes()).ok_or(ErrorReason::BadAuthority)?;
    let Some(host) = head.headers.get(HOST) else { return Ok(()) };
    let host = Authority::parse(host.as_bytes()).ok_or(ErrorReason::BadHost)?;
    require(host.is_same(&target, default_port), ErrorReason::HostMismatch)
}
