//! Chunked bodies, as far as an advisor needs them: the bytes without the framing.

/// Takes the framing off a chunked body, piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Chunked {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Reading a size line: the size so far, whether a digit was seen, whether the rest of the line is an extension.
    Size {
        size: u64,
        digits: u8,
        rest: bool,
    },
    Data {
        left: u64,
    },
    /// The line end after a chunk's data.
    DataEnd,
    Done,
}

/// What came of a piece.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    More,
    /// The last chunk was seen; trailers do not matter here.
    End,
    /// Not chunked at all.
    Broken,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { state: State::Size { size: 0, digits: 0, rest: false } }
    }

    /// Appends the data within `bytes` to `out`.
    pub(super) fn take(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Piece {
        loop {
            if let State::Done = self.state {
                return Piece::End;
            }
            if let State::Data { left } = &mut self.state {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at(here);
                out.extend_from_slice(data);
                *left -= here as u64;
                bytes = rest;
                if *left == 0 {
                    self.state = State::DataEnd;
                }
            }
            let Some((&byte, rest)) = bytes.split_first() else { return Piece::More };
            let Some(next) = self.state.after(byte) else { return Piece::Broken };
            self.state = next;
            bytes = rest;
        }
    }
}

impl State {
    /// `None`: the byte cannot stand there.
    fn after(&self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { digits: 0, .. }, b'\n' | b'\r' | b';') => None,
            (Self::Size { size: 0, .. }, b'\n') => Some(Self::Done),
            (Self::Size { size, .. }, b'\n') => Some(Self::Data { left: *size }),
            (Self::Size { size, digits, rest: true }, _) => {
                Some(Self::Size { size: *size, digits: *digits, rest: true })
            }
            (Self::Size { size, digits, rest: false }, b'\r' | b';' | b' ' | b'\t') => {
                Some(Self::Size { size: *size, digits: *digits, rest: true })
            }
            (Self::Size { size, digits, rest: false }, byte) => {
                let digit = char::from(byte).to_digit(16)?;
                let size = size.checked_mul(16)?.checked_add(u64::from(digit))?;
                Some(Self::Size { size, digits: digits.saturating_add(1), rest: false })
            }
            (Self::DataEnd, b'\r') => Some(Self::DataEnd),
            (Self::DataEnd, b'\n') => Some(Self::new_size()),
            (Self::DataEnd, _) => None,
            (Self::Data { left }, _) => Some(Self::Data { left: *left }),
            (Self::Done, _) => Some(Self::Done),
        }
    }

    fn new_size() -> Self {
        Self::Size { size: 0, digits: 0, rest: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_taken_off_wherever_it_is_cut() {
        let wire = b"4\r\nWiki\r\n6;x=y\r\npedia \r\nB \r\nin \r\nchunks\r\n0\r\n\r\n";
        for cut in 0..wire.len() {
            let (mut chunked, mut out) = (Chunked::new(), Vec::new());
            let (first, second) = wire.split_at(cut);
            let mut end = chunked.take(first, &mut out);
            if end == Piece::More {
                end = chunked.take(second, &mut out);
            }
            assert_eq!((end, out.as_slice()), (Piece::End, &b"Wikipedia in \r\nchunks"[..]), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_chunked_is_seen() {
        for wire in [&b"\r\n"[..], b"xyz", b"4\r\nWikipedia", b"FFFFFFFFFFFFFFFFF\r\n", b";\r\n"] {
            assert_eq!(Chunked::new().take(wire, &mut Vec::new()), Piece::Broken, "{wire:?}");
        }
        assert_eq!(Chunked::new().take(b"4\r\nWi", &mut Vec::new()), Piece::More);
    }
}
