//! Chunked bodies (RFC 9112 7.1), both ways.

use std::io::Write;

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::request_head::write_fields;

/// Takes the framing off a chunked body, piece by piece, however the bytes come.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    /// Bytes of framing that may still come: size lines and extensions grow with the body, trailers do not.
    overhead: usize,
    trailer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Size {
        size: u64,
        digits: u8,
    },
    /// Blanks after the size, which some servers pad with; then an extension or the line's end.
    Blank {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    Trailer,
    Done,
}

/// The next of a body.
#[derive(Debug)]
pub enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    /// Nothing more comes.
    End,
    /// All bytes are used up.
    More,
}

/// Why a body is not chunked as it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadChunk {
    #[error("a chunk's size is not a hexadecimal number of at most 15 digits")]
    Size,
    #[error("a line does not end in CRLF")]
    LineEnd,
    #[error("chunk extensions of more than {MAX_OVERHEAD} bytes")]
    Overhead,
    #[error("the trailer is not a list of at most {MAX_TRAILERS} fields in {MAX_TRAILER} bytes")]
    Trailer,
}

/// Of one body's extensions and blanks together; nobody uses them, and they hide work (CVE-2023-39326).
const MAX_OVERHEAD: usize = 16 * 1024;
const MAX_TRAILER: usize = 16 * 1024;
const MAX_TRAILERS: usize = 32;
/// Sixteen would overflow what a file can have.
const MAX_DIGITS: u8 = 15;

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::SIZE, overhead: MAX_OVERHEAD, trailer: Vec::new() }
    }
}

impl Chunked {
    /// The next piece; takes from `bytes` what it used.
    pub fn next(&mut self, bytes: &mut Bytes) -> Result<Piece, BadChunk> {
        loop {
            match self.state {
                State::Done => return Ok(Piece::End),
                State::Data { left } if !bytes.is_empty() => return Ok(self.data(left, bytes)),
                State::Trailer => return self.trailer(bytes),
                _ => {}
            }
            let Some(&byte) = bytes.first() else { return Ok(Piece::More) };
            self.state = self.after(byte)?;
            bytes.advance(1);
        }
    }

    fn data(&mut self, left: u64, bytes: &mut Bytes) -> Piece {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - here as u64;
        self.state = if left == 0 { State::DataCr } else { State::Data { left } };
        Piece::Data(bytes.split_to(here))
    }

    fn after(&mut self, byte: u8) -> Result<State, BadChunk> {
        Ok(match (self.state, byte) {
            (State::Size { digits: 1.., size }, b'\r') => State::SizeEnd { size },
            (State::Size { digits: 1.., size }, b';') => State::Extension { size },
            (State::Size { digits: 1.., size }, b' ' | b'\t') => State::Blank { size },
            (State::Size { size, digits }, _) => digit(size, digits, byte)?,
            (State::Blank { size } | State::Extension { size }, b'\r') => State::SizeEnd { size },
            (State::Blank { size }, b';') => self.spend(State::Extension { size })?,
            (State::Blank { .. }, b' ' | b'\t') => self.spend(self.state)?,
            (State::Blank { .. }, _) => return Err(BadChunk::Size),
            (State::Extension { .. }, b'\n') => return Err(BadChunk::LineEnd),
            (State::Extension { .. }, _) => self.spend(self.state)?,
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailer,
            (State::SizeEnd { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::SIZE,
            (State::SizeEnd { .. } | State::DataCr | State::DataLf, _) => return Err(BadChunk::LineEnd),
            (State::Data { .. } | State::Trailer | State::Done, _) => self.state,
        })
    }

    fn spend(&mut self, state: State) -> Result<State, BadChunk> {
        self.overhead = self.overhead.checked_sub(1).ok_or(BadChunk::Overhead)?;
        Ok(state)
    }

    /// Gathers the trailer up to its empty line.
    fn trailer(&mut self, bytes: &mut Bytes) -> Result<Piece, BadChunk> {
        while let Some(&byte) = bytes.first() {
            bytes.advance(1);
            if self.trailer.len() == MAX_TRAILER {
                return Err(BadChunk::Trailer);
            }
            // The parser of fields ends lines, and the whole list, at a bare LF too: it would read less than we take.
            if byte == b'\n' && self.trailer.last() != Some(&b'\r') {
                return Err(BadChunk::LineEnd);
            }
            self.trailer.push(byte);
            if self.trailer == b"\r\n" {
                self.state = State::Done;
                return Ok(Piece::End);
            }
            if self.trailer.ends_with(b"\r\n\r\n") {
                self.state = State::Done;
                return Ok(Piece::Trailers(fields(&self.trailer)?));
            }
        }
        Ok(Piece::More)
    }
}

impl State {
    const SIZE: Self = Self::Size { size: 0, digits: 0 };
}

fn digit(size: u64, digits: u8, byte: u8) -> Result<State, BadChunk> {
    let value = char::from(byte).to_digit(16).filter(|_| digits < MAX_DIGITS).ok_or(BadChunk::Size)?;
    Ok(State::Size { size: size << 4 | u64::from(value), digits: digits + 1 })
}

fn fields(text: &[u8]) -> Result<HeaderMap, BadChunk> {
    let mut room = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    let Ok(httparse::Status::Complete((used, parsed))) = httparse::parse_headers(text, &mut room) else {
        return Err(BadChunk::Trailer);
    };
    if used != text.len() {
        return Err(BadChunk::Trailer);
    }
    parsed.iter().try_fold(HeaderMap::new(), |mut fields, field| {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BadChunk::Trailer)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| BadChunk::Trailer)?;
        fields.append(name, value);
        Ok(fields)
    })
}

/// The line before a chunk's data; the data and a CRLF have to follow. A chunk of no bytes would end the body.
pub fn write_chunk(len: usize, out: &mut Vec<u8>) {
    debug_assert!(len > 0, "an empty chunk ends the body");
    let _infallible = write!(out, "{len:x}\r\n");
}

/// The end of a chunked body.
pub fn write_last_chunk(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        write_fields(trailers, out);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Whole {
        data: Vec<u8>,
        trailers: Vec<(String, String)>,
        left: usize,
    }

    /// Feeds the pieces one after the other. `None`: the end did not come.
    fn decode(pieces: &[&[u8]]) -> Result<Option<Whole>, BadChunk> {
        let mut chunked = Chunked::default();
        let mut whole = Whole { data: Vec::new(), trailers: Vec::new(), left: 0 };
        let mut ended = false;
        for piece in pieces {
            let mut bytes = Bytes::copy_from_slice(piece);
            loop {
                match chunked.next(&mut bytes)? {
                    Piece::Data(data) => whole.data.extend_from_slice(&data),
                    Piece::Trailers(fields) => whole.trailers.extend(
                        fields.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())),
                    ),
                    Piece::More => break,
                    Piece::End => {
                        ended = true;
                        whole.left += bytes.len();
                        break;
                    }
                }
            }
        }
        Ok(ended.then_some(whole))
    }

    #[test]
    fn bodies() {
        let good = [
            ("0\r\n\r\n", "", 0),
            ("3\r\nabc\r\n0\r\n\r\n", "abc", 0),
            ("3\r\nabc\r\n00\r\n\r\nHTTP/1.1", "abc", 8),
            ("00A;x=y;z=\"1\"\r\n0123456789\r\n0;last\r\n\r\n", "0123456789", 0),
            ("3 \t \r\nabc\r\n1 ;a\r\nd\r\n0\r\n\r\n", "abcd", 0),
        ];
        for (text, data, left) in good {
            let whole = decode(&[text.as_bytes()]).unwrap().unwrap();
            assert_eq!((whole.data, whole.left), (data.as_bytes().to_vec(), left), "{text:?}");
        }
        for text in ["", "3", "3\r\nab", "3\r\nabc\r\n", "0\r\n", "0\r\na: 1\r\n"] {
            assert_eq!(decode(&[text.as_bytes()]).unwrap(), None, "{text:?}");
        }
        let bad = [
            ("\r\n", BadChunk::Size),
            ("x\r\n", BadChunk::Size),
            ("-1\r\n", BadChunk::Size),
            ("0x3\r\nabc", BadChunk::Size),
            (";a\r\n", BadChunk::Size),
            (" 3\r\n", BadChunk::Size),
            ("3 3\r\n", BadChunk::Size),
            ("1000000000000000\r\n", BadChunk::Size),
            ("3\nabc", BadChunk::Size),
            ("3\rx", BadChunk::LineEnd),
            ("3;a\nabc", BadChunk::LineEnd),
            ("3\r\nabcd\r\n", BadChunk::LineEnd),
            ("3\r\nabc\n", BadChunk::LineEnd),
            ("3\r\nabc\rx", BadChunk::LineEnd),
            ("0\r\nno colon\r\n\r\n", BadChunk::Trailer),
            ("0\r\na : 1\r\n\r\n", BadChunk::Trailer),
            ("0\r\n\n", BadChunk::LineEnd),
            ("0\r\na: 1\nb: 2\r\n\r\n", BadChunk::LineEnd),
            ("0\r\na: 1\n\nb: 2\r\n\r\n", BadChunk::LineEnd),
            ("0\r\na: 1\r\n\n\r\n\r\n", BadChunk::LineEnd),
        ];
        for (text, fault) in bad {
            assert_eq!(decode(&[text.as_bytes()]), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn trailers_come_last() {
        let whole = decode(&[b"1\r\na\r\n0\r\nX-Sum: 1\r\ny: 2\r\n\r\n"]).unwrap().unwrap();
        let expected = [("x-sum", "1"), ("y", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(whole.trailers, expected);
    }

    #[test]
    fn what_hides_work_is_bounded() {
        let padded = format!("1;{}", "x".repeat(MAX_OVERHEAD + 1));
        assert_eq!(decode(&[padded.as_bytes()]), Err(BadChunk::Overhead));
        let many = "1;xx\r\na\r\n".repeat(MAX_OVERHEAD);
        assert_eq!(decode(&[many.as_bytes()]), Err(BadChunk::Overhead));
        let trailer = format!("0\r\na: {}", "x".repeat(MAX_TRAILER));
        assert_eq!(decode(&[trailer.as_bytes()]), Err(BadChunk::Trailer));
        let fields = format!("0\r\n{}\r\n", "a: 1\r\n".repeat(MAX_TRAILERS + 1));
        assert_eq!(decode(&[fields.as_bytes()]), Err(BadChunk::Trailer));
    }

    proptest! {
        /// What we write is what we read, wherever the bytes are cut.
        #[test]
        fn round_trip(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), cut in 1usize..9) {
            let mut text = Vec::new();
            for chunk in &chunks {
                write_chunk(chunk.len(), &mut text);
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("x", HeaderValue::from_static("1"));
            write_last_chunk(Some(&trailers).filter(|_| cut % 2 == 0), &mut text);
            let pieces: Vec<&[u8]> = text.chunks(cut).collect();
            let whole = decode(&pieces).unwrap().unwrap();
            prop_assert_eq!(whole.data, chunks.concat());
            prop_assert_eq!(whole.trailers.len(), usize::from(cut % 2 == 0));
            prop_assert_eq!(whole.left, 0);
        }

        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _any = decode(&[&bytes]);
        }
    }
}
