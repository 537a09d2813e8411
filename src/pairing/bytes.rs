//! Numbers in bytes, the high byte first, through a reader and a writer that cannot run past the end.

/// Takes numbers off the front of some bytes.
pub(super) struct Reader<'a>(&'a [u8]);

/// The bytes ended before the value did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Short;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8, Short> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Short> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn u128(&mut self) -> Result<u128, Short> {
        self.array().map(u128::from_be_bytes)
    }
}

/// Puts numbers into bytes that are zero wherever nothing was put.
pub(super) struct Writer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Writer<N> {
    pub fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    /// What does not fit is left out. The layouts are constant and their sums are checked when this is compiled, so all fits.
    pub fn put(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
        }
        self.length = end;
    }

    pub fn u8(&mut self, value: u8) {
        self.put(&value.to_be_bytes());
    }

    pub fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    pub fn u128(&mut self, value: u128) {
        self.put(&value.to_be_bytes());
    }

    /// How many bytes were put.
    #[cfg(test)]
    pub fn length(&self) -> usize {
        self.length
    }

    pub fn finish(self) -> [u8; N] {
        debug_assert!(self.length <= N, "{} bytes do not fit into {N}", self.length);
        self.bytes
    }
}
