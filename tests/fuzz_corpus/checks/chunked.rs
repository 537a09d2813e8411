//! Chunked bodies, as servers send them.

use bytes::Bytes;
use http::HeaderMap;
use tsuji::message::clean_trailers;
use tsuji::message::codec::{BadChunk, Chunked, Piece, write_chunk, write_last_chunk};

use super::{Target, bounded};

pub const TARGET: Target = Target { name: "chunked", check };

/// What came out of a body.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    pub data: Vec<u8>,
    pub trailers: Option<HeaderMap>,
    /// Whether the end came, and the bytes that were left then.
    pub end: Result<Option<usize>, BadChunk>,
}

fn check(data: &[u8]) {
    let data = bounded(data);
    let whole = decode([data]);
    assert_eq!(decode(data.chunks(1)), whole, "byte by byte");
    for size in [2, 3, 7, 64, 1000] {
        assert_eq!(decode(data.chunks(size)), whole, "{size} bytes at once");
    }
    if data.len() <= 200 {
        for cut in 0..data.len() {
            let (before, after) = data.split_at(cut);
            assert_eq!(decode([before, after]), whole, "cut at {cut}");
        }
    }
    if whole.end.as_ref().is_ok_and(Option::is_some) {
        written_anew(&whole);
    }
}

/// Takes the framing off pieces that come one after the other.
pub fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut chunked = Chunked::default();
    let mut decoded = Decoded { data: Vec::new(), trailers: None, end: Ok(None) };
    for piece in pieces {
        let mut bytes = Bytes::copy_from_slice(piece);
        if let Ok(Some(left)) = &mut decoded.end {
            *left += piece.len();
            continue;
        }
        loop {
            match chunked.next(&mut bytes) {
                Ok(Piece::Data(data)) => {
                    assert!(!data.is_empty(), "a piece of nothing would end a body written anew");
                    decoded.data.extend_from_slice(&data);
                }
                Ok(Piece::Trailers(fields)) => decoded.trailers = Some(fields),
                Ok(Piece::End) => decoded.end = Ok(Some(bytes.len())),
                Ok(Piece::More) => break assert!(bytes.is_empty(), "all is used up"),
                Err(fault) => decoded.end = Err(fault),
            }
            if decoded.end != Ok(None) {
                break;
            }
        }
        if decoded.end.is_err() {
            break;
        }
    }
    decoded
}

/// What is passed on is read as what came, without extensions.
fn written_anew(whole: &Decoded) {
    let mut text = Vec::new();
    for chunk in whole.data.chunks(1000) {
        write_chunk(chunk.len(), &mut text);
        text.extend_from_slice(chunk);
        text.extend_from_slice(b"\r\n");
    }
    let mut trailers = whole.trailers.clone();
    trailers.iter_mut().for_each(clean_trailers);
    let trailers = trailers.filter(|fields| !fields.is_empty());
    write_last_chunk(trailers.as_ref(), &mut text);
    let again = decode([text.as_slice()]);
    // A blank more for each field may be too much for the reader's own bound.
    if again.end != Err(BadChunk::Trailer) || text.len() < 8000 {
        assert_eq!(again, Decoded { data: whole.data.clone(), trailers, end: Ok(Some(0)) });
    }
}
