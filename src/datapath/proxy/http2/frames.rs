//! Where in a stream of frames we are: what each begins with is gathered, whatever pieces it comes in, and the rest passed over.

/// A frame's head: length, type, flags, stream (RFC 9113 4.1).
pub(super) const HEAD: usize = 9;
/// The error code of a reset (RFC 9113 6.4), the only part of a payload that is looked at.
pub(super) const CODE: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes that are not looked at: of the preface, or of a frame.
    skip: usize,
    /// A head, and what follows it in a reset.
    seen: [u8; HEAD + CODE],
    filled: usize,
}

/// What a frame's head says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
}

impl Frames {
    /// The frames begin after so many bytes.
    pub fn after(skip: usize) -> Self {
        Self { skip, ..Self::default() }
    }

    /// Takes from `bytes` what belongs to the frame; whether its first `wanted` bytes, at most a head and a code, are here.
    pub fn gather(&mut self, bytes: &mut &[u8], wanted: usize) -> bool {
        self.skip(bytes);
        let here = (wanted - self.filled).min(bytes.len());
        let (start, rest) = bytes.split_at(here);
        if let Some(room) = self.seen.get_mut(self.filled..self.filled + here) {
            room.copy_from_slice(start);
        }
        self.filled += here;
        *bytes = rest;
        self.filled == wanted
    }

    /// Passes over what is here of the frame that was seen.
    pub fn skip(&mut self, bytes: &mut &[u8]) {
        let passed = self.skip.min(bytes.len());
        self.skip -= passed;
        *bytes = bytes.get(passed..).unwrap_or_default();
    }

    /// The frame was seen; so many bytes of it are passed over before the next one.
    pub fn pass(&mut self, bytes: usize) {
        (self.skip, self.filled) = (bytes, 0);
    }

    /// What the head says, once it is here.
    pub fn head(&self) -> Head {
        let [high, mid, low, kind, flags, ..] = self.seen;
        Head { length: usize::from(high) << 16 | usize::from(mid) << 8 | usize::from(low), kind, flags }
    }

    /// What follows the head, once it is here.
    pub fn code(&self) -> [u8; CODE] {
        let [_, _, _, _, _, _, _, _, _, code @ ..] = self.seen;
        code
    }

    /// Bytes gathered of the frame.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Whether bytes are still to be passed over.
    pub fn is_passing(&self) -> bool {
        self.skip > 0
    }
}
