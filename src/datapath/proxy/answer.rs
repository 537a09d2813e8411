//! Answers that we make ourselves.

use std::fmt::Write;

use bytes::Bytes;
use http::{Method, Response};

use crate::message::ErrorReason;

use super::download::ResponseBody;

/// An answer on its way through hyper.
pub(super) fn own(response: Response<Bytes>) -> Response<ResponseBody> {
    response.map(|bytes| ResponseBody::Own((!bytes.is_empty()).then_some(bytes)))
}

/// An answer as bytes, for where there is no hyper to send it: the request was never read to its end.
pub(super) fn raw(reason: ErrorReason) -> Vec<u8> {
    let response = reason.answer(&Method::GET);
    let status = response.status();
    let mut head = String::with_capacity(256);
    let _infallible = write!(head, "HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or(""));
    for (name, value) in response.headers() {
        let _infallible = write!(head, "{name}: {}\r\n", value.to_str().unwrap_or(""));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(response.body());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_a_whole_answer_that_closes() {
        let text = String::from_utf8(raw(ErrorReason::HeadTimeout)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{head}");
        for line in ["connection: close", "tsuji-error: head-timeout", &format!("content-length: {}", body.len())] {
            assert!(head.lines().any(|there| there == line), "{line} in {head}");
        }
    }
}
