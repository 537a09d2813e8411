//! Requests that the crate `h2` refuses by itself: it tells the client and nobody else, so it is read off what it writes.
//!
//! A request beyond as many as there may be is reset with a code of its own. One whose fields are too large gets a head that
//! is not from us: so those that we hand over are held against those that go out. What is handed over and never goes out
//! (its stream was reset) hides one of the others; nothing is counted that was not refused.

/// A frame's head: length, type, flags, stream (RFC 9113 4.1).
const HEAD: usize = 9;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
/// A request that was not looked at (RFC 9113 7).
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
const CODE: usize = REFUSED_STREAM.len();

/// Where in our own frames we are.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Bytes of a frame that are not looked at.
    skip: usize,
    /// A head, and what follows it in a reset.
    seen: [u8; HEAD + CODE],
    filled: usize,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Written {
    /// Heads of responses, and trailers.
    pub heads: u64,
    pub refused: u64,
}

impl Refusals {
    /// These bytes go out.
    pub fn look(&mut self, mut bytes: &[u8]) -> Written {
        let mut written = Written::default();
        while !bytes.is_empty() {
            if self.skip > 0 {
                let here = self.skip.min(bytes.len());
                self.skip -= here;
                bytes = bytes.get(here..).unwrap_or_default();
                continue;
            }
            let wanted = if self.filled < HEAD { HEAD } else { HEAD + CODE };
            let here = (wanted - self.filled).min(bytes.len());
            let (start, rest) = bytes.split_at(here);
            if let Some(room) = self.seen.get_mut(self.filled..self.filled + here) {
                room.copy_from_slice(start);
            }
            self.filled += here;
            bytes = rest;
            if self.filled == wanted {
                self.complete(&mut written);
            }
        }
        written
    }

    /// A frame's head or a reset's code is complete.
    fn complete(&mut self, written: &mut Written) {
        let [high, mid, low, kind, _, _, _, _, _, code @ ..] = self.seen;
        let length = usize::from(high) << 16 | usize::from(mid) << 8 | usize::from(low);
        if self.filled > HEAD {
            self.filled = 0;
            written.refused += u64::from(code == REFUSED_STREAM);
        } else if kind != RST_STREAM || length != CODE {
            (self.skip, self.filled) = (length, 0);
            written.heads += u64::from(kind == HEADERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, (payload.len() >> 8) as u8, payload.len() as u8, kind, 0, 0, 0, 0, 1];
        bytes.extend(payload);
        bytes
    }

    /// However they are cut.
    #[test]
    fn refusals_are_found_among_other_frames() {
        let bytes = [
            frame(4, &[0, 3, 0, 0, 0, 128]),
            frame(RST_STREAM, &REFUSED_STREAM),
            frame(0, &[RST_STREAM; 300]),
            frame(RST_STREAM, &[0, 0, 0, 8]),
            frame(4, &[]),
            frame(HEADERS, &[0x88, 0xbe]),
            frame(RST_STREAM, &REFUSED_STREAM),
        ]
        .concat();
        for size in 1..20 {
            let mut refusals = Refusals::default();
            let mut all = Written::default();
            for written in bytes.chunks(size).map(|piece| refusals.look(piece)) {
                all = Written { heads: all.heads + written.heads, refused: all.refused + written.refused };
            }
            assert_eq!(all, Written { heads: 1, refused: 2 }, "{size}");
        }
    }
}
