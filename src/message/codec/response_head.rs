//! A response's head from bytes.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};

/// Bytes of a response's head, more than any server we know of sends by default (Apache 8 KiB, nginx 4 or 8, Tomcat 8).
pub const MAX_RESPONSE_HEAD: usize = 64 * 1024;

/// Fields of a response's head, as many as of a request's that reaches us.
const MAX_FIELDS: usize = 100;

/// Interim responses before the final one. Servers send one or two; an endless row of them would keep a client waiting and
/// us busy.
pub const MAX_INTERIM: u32 = 16;

/// Why bytes are not the head of a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadHead {
    #[error("it is not HTTP/1: {0}")]
    Malformed(httparse::Error),
    #[error("it has a status outside of 100 to 999")]
    Status,
    #[error("it is the last of more than {MAX_INTERIM} interim responses")]
    TooManyInterim,
    #[error("its head is longer than {MAX_RESPONSE_HEAD} bytes")]
    TooLarge,
}

/// A head that was read.
#[derive(Debug)]
pub struct Read {
    pub head: Parts,
    /// The words after the status where they are not the usual ones.
    pub reason: Option<Bytes>,
    /// Bytes of the head, its empty line included.
    pub len: usize,
}

/// Reads a head from the beginning of `bytes`; `None`: not all of it is there yet. The fields go into `fields`, which is
/// emptied before: the map of the request just sent has the right size already.
///
/// Values share the memory of `bytes`.
pub fn parse_response(bytes: &Bytes, fields: &mut HeaderMap) -> Result<Option<Read>, BadHead> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, &mut room);
    let httparse::Status::Complete(len) = status.map_err(BadHead::Malformed)? else {
        return if bytes.len() < MAX_RESPONSE_HEAD { Ok(None) } else { Err(BadHead::TooLarge) };
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(BadHead::Status)?;
    let mut headers = std::mem::take(fields);
    headers.clear();
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_| BadHead::Malformed(httparse::Error::HeaderName))?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
        let value = value.map_err(|_| BadHead::Malformed(httparse::Error::HeaderValue))?;
        headers.try_append(name, value).map_err(|_| BadHead::Malformed(httparse::Error::TooManyHeaders))?;
    }
    // Nothing said is the usual of a status that has a name. Of one that has none it has to be kept: hyper would say `<none>`.
    let is_other = |reason: &&str| match status.canonical_reason() {
        Some(usual) => !reason.is_empty() && *reason != usual,
        None => true,
    };
    let reason = parsed.reason.filter(is_other);
    let reason = reason.map(|reason| bytes.slice_ref(reason.as_bytes()));
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = status;
    head.version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    head.headers = headers;
    Ok(Some(Read { head, reason, len }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Option<Read>, BadHead> {
        parse_response(&Bytes::copy_from_slice(text.as_bytes()), &mut HeaderMap::new())
    }

    #[test]
    fn a_head_and_what_follows() {
        let read = parse("HTTP/1.1 200 OK\r\nServer: a\r\nX: 1\r\nx: 2\r\n\r\nbody").unwrap().unwrap();
        assert_eq!((read.head.status, read.head.version), (StatusCode::OK, Version::HTTP_11));
        assert_eq!(read.head.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((read.reason, read.len), (None, 42));
    }

    #[test]
    fn other_words_than_the_usual_are_kept() {
        let reason = |line: &str| parse(&format!("{line}\r\n\r\n")).unwrap().unwrap().reason;
        assert_eq!(reason("HTTP/1.1 200 Fine").as_deref(), Some(&b"Fine"[..]));
        assert_eq!(reason("HTTP/1.1 299 Fine").as_deref(), Some(&b"Fine"[..]));
        // Clients were told `299 <none>`.
        for line in ["HTTP/1.1 299", "HTTP/1.1 299 "] {
            assert_eq!(reason(line).as_deref(), Some(&b""[..]), "{line}");
        }
        for line in ["HTTP/1.1 404 Not Found", "HTTP/1.1 200", "HTTP/1.1 200 "] {
            assert_eq!(reason(line), None, "{line}");
        }
    }

    #[test]
    fn no_heads() {
        let cases = [
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "<html>",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 Low\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\na : 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: 1\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: x\ry\r\n\r\n",
        ];
        for text in cases {
            assert!(parse(text).is_err(), "{text:?}: {:?}", parse(text));
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: 1\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(parse(&many).unwrap_err(), BadHead::Malformed(httparse::Error::TooManyHeaders));
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(MAX_RESPONSE_HEAD));
        assert_eq!(parse(&long).unwrap_err(), BadHead::TooLarge);
    }

    #[test]
    fn nothing_of_the_request_is_left_in_the_map() {
        let mut fields = HeaderMap::new();
        fields.insert("cookie", HeaderValue::from_static("secret"));
        let read = parse_response(&Bytes::from_static(b"HTTP/1.1 200 OK\r\na: 1\r\n\r\n"), &mut fields);
        assert_eq!(read.unwrap().unwrap().head.headers.keys().collect::<Vec<_>>(), ["a"]);
    }

    proptest! {
        /// A head that comes in pieces is not there until its last byte is, and the same head then.
        #[test]
        fn the_beginning_of_a_head_is_no_head(values in prop::collection::vec("[ -~]{0,20}", 0..6)) {
            let fields: String = values.iter().map(|value| format!("name: {value}\r\n")).collect();
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            for end in 0..text.len() {
                prop_assert!(parse(&text[..end]).unwrap().is_none(), "{}", &text[..end]);
            }
            let read = parse(&text).unwrap().unwrap();
            prop_assert_eq!(read.len, text.len());
            let seen: Vec<_> = read.head.headers.values().map(|value| value.to_str().unwrap().to_owned()).collect();
            let meant: Vec<_> = values.iter().map(|value| value.trim_matches(' ').to_owned()).collect();
            prop_assert_eq!(seen, meant);
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _any = parse_response(&Bytes::from(bytes), &mut HeaderMap::new());
        }
    }
}
