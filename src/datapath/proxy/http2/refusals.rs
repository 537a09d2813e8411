//! Requests that the crate `h2` refuses by itself: it tells the client and nobody else, so it is read off what it writes.
//!
//! A request beyond as many as there may be is reset with a code of its own. One whose fields are too large gets a head that
//! is not from us: so those that we hand over are held against those that go out. What is handed over and never goes out
//! (its stream was reset) hides one of the others; nothing is counted that was not refused.

use super::frames::{CODE, Frames, HEAD, Head};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
/// A request that was not looked at (RFC 9113 7).
const REFUSED_STREAM: [u8; CODE] = [0, 0, 0, 7];

/// Where in our own frames we are.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    frames: Frames,
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
        while self.frames.gather(&mut bytes, self.wanted()) {
            self.complete(&mut written);
        }
        written
    }

    /// How much of the frame is to be looked at: its head, then the code of a reset.
    fn wanted(&self) -> usize {
        if self.frames.filled() < HEAD { HEAD } else { HEAD + CODE }
    }

    /// A frame's head or a reset's code is complete.
    fn complete(&mut self, written: &mut Written) {
        let Head { length, kind, .. } = self.frames.head();
        if self.frames.filled() > HEAD {
            written.refused += u64::from(self.frames.code() == REFUSED_STREAM);
            self.frames.pass(0);
        } else if kind != RST_STREAM || length != CODE {
            written.heads += u64::from(kind == HEADERS);
            self.frames.pass(length);
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
