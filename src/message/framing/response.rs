//! The look over a server's response.

use http::response::Parts;
use http::{HeaderValue, Method, StatusCode, Version};

use super::super::names::{Field, Fields, Meaning, meaning};
use super::super::reason::ErrorReason;
use super::super::upgrade::Upgrade;
use super::request::Connection;
use super::{is_chunked, is_of_connection, parse_length, tokens};

/// What one look over a response's head found. It belongs to the head as it was looked at.
#[derive(Clone, Copy, Debug)]
pub struct ResponseFacts {
    content_length: Option<u64>,
    /// HTTP/1.1: connections are kept unless it says otherwise. Servers of HTTP/1.0 may offer it, but their word for it
    /// has been broken by too many proxies in between (RFC 9112 C.2.2).
    is_modern: bool,
    challenges_connection: bool,
    pub(in super::super) status: StatusCode,
    pub(in super::super) fields: Fields,
    pub(in super::super) connection: Connection,
}

impl ResponseFacts {
    /// The announced length, also of an answer to HEAD.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// How long the body of this answer to a request of this method is (RFC 9112 6.3).
    pub fn length(&self, asked: &Method) -> ResponseLength {
        let is_bodiless = *asked == Method::HEAD
            || self.status.is_informational()
            || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if is_bodiless {
            return ResponseLength::None;
        }
        if self.fields.has(Field::TransferEncoding) {
            return ResponseLength::Chunked;
        }
        self.content_length.map_or(ResponseLength::UntilClose, ResponseLength::Sized)
    }

    /// The server's connection may carry another request after this.
    pub fn keeps_alive(&self) -> bool {
        self.is_modern && !self.connection.closes && !self.frames_nothing()
    }

    /// A 204 that frames a body all the same (RFC 9110 8.6 and RFC 9112 6.1 forbid it): such a server may well send one, and
    /// later than we look. An answer to HEAD and a 304 may say how long the body would be.
    fn frames_nothing(&self) -> bool {
        let has_framing =
            self.fields.has(Field::TransferEncoding) || self.content_length.is_some_and(|length| length > 0);
        self.status == StatusCode::NO_CONTENT && has_framing
    }

    /// It asks for, or answers, credentials of a scheme that is about the connection: what follows is for the same client.
    pub fn challenges_connection(&self) -> bool {
        self.challenges_connection
    }

    /// The server switched to the protocol that the client asked for: the connection is a tunnel now.
    pub fn switches(&self) -> bool {
        self.status == StatusCode::SWITCHING_PROTOCOLS
    }
}

/// How a response's body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseLength {
    /// There is none, whatever the head says.
    None,
    /// After so many bytes.
    Sized(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// Why a response cannot be passed on. The client gets `bad-response`; the connection to the server is not used again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResponseFault {
    #[error("its content length is not a number")]
    BadLength,
    #[error("it has several content lengths")]
    SeveralLengths,
    #[error("its transfer encoding is not exactly `chunked`")]
    BadTransferEncoding,
    #[error("it has both a content length and a transfer encoding")]
    LengthAndEncoding,
    #[error("it has a transfer encoding, which HTTP/1.0 does not know")]
    EncodingOnOldVersion,
    #[error("it switches protocols, which the request did not ask for")]
    SwitchUnasked,
    #[error("it switches to another protocol than the request asked for")]
    SwitchMismatch,
    #[error("it is an interim response where a final one was due")]
    Interim,
}

impl From<ResponseFault> for ErrorReason {
    fn from(_: ResponseFault) -> Self {
        Self::BadResponse
    }
}

/// Looks once over a response. `asked` is the upgrade that was sent with its request.
pub fn examine_response(head: &Parts, asked: Option<&Upgrade>) -> Result<ResponseFacts, ResponseFault> {
    let mut facts = ResponseFacts {
        content_length: None,
        is_modern: head.version == Version::HTTP_11,
        challenges_connection: false,
        status: head.status,
        fields: Fields::default(),
        connection: Connection::default(),
    };
    for (name, value) in &head.headers {
        if let Meaning::Known(field) = meaning(name) {
            facts.note(field, value)?;
        }
    }
    if facts.fields.has(Field::TransferEncoding) && facts.fields.has(Field::ContentLength) {
        return Err(ResponseFault::LengthAndEncoding);
    }
    if facts.fields.has(Field::TransferEncoding) && !facts.is_modern {
        return Err(ResponseFault::EncodingOnOldVersion);
    }
    facts.check_status(head, asked)?;
    Ok(facts)
}

impl ResponseFacts {
    fn note(&mut self, field: Field, value: &HeaderValue) -> Result<(), ResponseFault> {
        let first = self.fields.add(field);
        match field {
            Field::ContentLength if !first => return Err(ResponseFault::SeveralLengths),
            Field::ContentLength => self.content_length = Some(parse_length(value).ok_or(ResponseFault::BadLength)?),
            Field::TransferEncoding if !(first && is_chunked(value)) => return Err(ResponseFault::BadTransferEncoding),
            Field::Connection => self.connection.note(value),
            Field::WwwAuthenticate => self.challenges_connection |= is_of_connection(value),
            _ => {}
        }
        Ok(())
    }

    fn check_status(&self, head: &Parts, asked: Option<&Upgrade>) -> Result<(), ResponseFault> {
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            return if head.status.is_informational() { Err(ResponseFault::Interim) } else { Ok(()) };
        }
        let asked = asked.ok_or(ResponseFault::SwitchUnasked)?;
        // Only a 101 that confirms the very protocol makes a tunnel. A proxy that believed less carried the next
        // requests past its own rules (CVE-2024-23326, CVE-2026-2833).
        if self.connection.upgrade && asked.is_confirmed_by(&head.headers) {
            Ok(())
        } else {
            Err(ResponseFault::SwitchMismatch)
        }
    }
}

/// The one protocol of an `Upgrade` field that confirms: more than one element confirms nothing.
pub(in super::super) fn single_token(value: &HeaderValue) -> Option<&[u8]> {
    let mut all = tokens(value);
    all.next().filter(|_| all.next().is_none())
}
