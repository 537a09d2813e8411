//! Heads that have one meaning only, and what is refused because it might have two.
//!
//! # What hyper 1.12 refuses before we see a request
//!
//! It answers these itself, with an empty body, and closes; they are counted from the connection's error:
//!
//! * 400: malformed request line, method, target or version; a name that is no token; a blank before the colon; a folded
//!   line; NUL, a bare CR or another control character; a `Content-Length` that is
//!   empty, signed, a list (`5, 5`) or beyond 64 bits; two `Content-Length` that differ; `Transfer-Encoding` on
//!   HTTP/1.0, or whose last coding is not `chunked`.
//! * 400 too, though some clients send it as it is: a path with `<`, `>` or a backtick, a query with `<`, `>` or `"`, and
//!   bytes from 0x80 in a target that are not UTF-8. All other bytes of a target pass unchanged.
//! * 414: a target of more than 65,534 bytes. 431: more than 100 fields (its default), or a head beyond its buffer.
//!   Raising the number of fields puts two arrays per head on the heap, so its default stays and is `MAX_FIELDS` here,
//!   the bound of HTTP/2.
//! * Closed without an answer: the preface of HTTP/2.
//!
//! # What hyper hides: one meaning is forwarded
//!
//! | The client sent | We see and forward | And then |
//! |---|---|---|
//! | `Transfer-Encoding: chunked` with `Content-Length`, in either order, the length valid or (when it comes second) not | chunked; no length | hyper closes the client's connection after the response |
//! | the same `Content-Length` on several lines | one line with that length | kept open |
//! | a line ending in LF without CR, anywhere in the head | the same head with CRLF | kept open |
//! | empty lines before the request line | nothing of them | kept open |
//! | blanks around a field's value | the bare value | kept open |
//! | a `#fragment` in the target | the target up to it | kept open |
//! | an absolute target without a path, `OPTIONS http://host` | the path `/` (RFC 9112 3.2.4 would have `*`) | kept open |
//! | chunk extensions (16 KiB per body at most), blanks after a chunk size, leading zeros | the chunks, sized anew | kept open |
//! | several `Connection` fields | all of them | `close` in any one closes |
//! | two `Expect` fields | both; `100-continue` in the last one makes hyper answer 100 when the body is first asked for | refused here with 417 unless both say so |
//! | upper case in names, the order of different names | lower case; names in order of first appearance | kept open |
//!
//! A malformed chunk size or a bare LF after it is an error of the body, and so is a body that ends early.
//!
//! # HTTP/2
//!
//! `h2` refuses by itself, with a reset: DATA that are not as long as `Content-Length` says, wherever the stream ends; a length
//! that is no number; two that differ; fields of a connection; a `:path` that does not begin with a slash; pseudo-fields that
//! are missing, twice or behind others. With GOAWAY: what no name or value can be, and much more than 32 KiB of fields; with 431:
//! a little more. All else comes here in the words of HTTP/1.1 ([`super::restate_request`]), and then equal lengths on several
//! lines, and more than [`MAX_FIELDS`] fields as they came, are refused.
//!
//! # Responses of servers
//!
//! They are read by the codec of this room ([`super::codec`]), which hides nothing:
//!
//! * Refused as `bad-response`: a status line or field that is malformed, more than 100 fields, a head of more than 64 KiB,
//!   more than 16 interim responses; a length that is no number, a list or given twice; `Transfer-Encoding` together with
//!   `Content-Length`, other than exactly `chunked`, or on HTTP/1.0; a 101 that nobody asked for.
//! * One meaning is forwarded: a bare LF ends a line of the head as CRLF does; blanks after a chunk's size and chunk
//!   extensions (16 KiB per body) are dropped. Within a chunked body nothing but CRLF ends a line.
//! * Interim responses other than 101 are passed over; 100 opens the way for a body that waits for it.
//! * 204, 304 and answers to HEAD have no body, whatever they say. A connection on which more comes than the response is
//!   not used again, nor is one after a 204 that has a length or an encoding.
//! * A trailer reaches a client only if a `Trailer` field announced it and the client sent `TE: trailers` (hyper's server).

#[cfg(test)]
mod hyper_tests;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use request::{Body, MAX_FIELDS, MAX_TARGET, RequestFacts, examine_request};
pub(super) use response::single_token;
pub use response::{ResponseFacts, ResponseFault, ResponseLength, examine_response};

use http::HeaderValue;

/// The tokens of a list-valued field, without blanks and empty elements.
pub(super) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Whether credentials, or one of the challenges, are of a scheme by which servers know a whole connection afterwards and not
/// one request: NTLM always, Negotiate when it has NTLM inside or the server likes (RFC 4559, 6). A comma within a challenge's
/// parameter may be taken for the next challenge; that costs a connection and harms nobody.
fn is_of_connection(value: &HeaderValue) -> bool {
    let scheme = |token: &[u8]| token.split(|&byte| byte == b' ').next().map(<[u8]>::to_ascii_lowercase);
    tokens(value).any(|token| matches!(scheme(token).as_deref(), Some(b"ntlm" | b"negotiate")))
}

/// A length as RFC 9110 8.6 spells it: digits only, and no more of them than any file needs.
fn parse_length(value: &HeaderValue) -> Option<u64> {
    /// Longer numbers overflow somewhere behind us.
    const MOST_DIGITS: usize = 19;
    let digits = value.as_bytes();
    if digits.is_empty() || digits.len() > MOST_DIGITS {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The one transfer encoding that is passed on. Others would reach the receiver undecoded and unannounced.
fn is_chunked(value: &HeaderValue) -> bool {
    value.as_bytes().eq_ignore_ascii_case(b"chunked")
}
