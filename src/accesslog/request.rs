//! What a client sent, as far as a line shows it.

/// The text fields of a request, in the order in which they are packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Text {
    Method,
    Target,
    Host,
    Referer,
    Agent,
}

impl Text {
    pub const ALL: [Self; 5] = [Self::Method, Self::Target, Self::Host, Self::Referer, Self::Agent];

    /// Bytes that are kept of it. Together they are 5.5 KiB, so that a buffer of 64 KiB holds ten of the worst records;
    /// what browsers send is a tenth of that.
    const fn most(self) -> usize {
        match self {
            Self::Method => 32,
            Self::Target => 2048,
            Self::Host => 256,
            Self::Referer => 2048,
            Self::Agent => 1024,
        }
    }

    /// What it is called in a line.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Target => "target",
            Self::Host => "host",
            Self::Referer => "referer",
            Self::Agent => "agent",
        }
    }
}

/// Bytes of all texts together.
pub(super) const MAX_TEXTS: usize = {
    let [method, target, host, referer, agent] = Text::ALL;
    method.most() + target.most() + host.most() + referer.most() + agent.most()
};

/// The version of HTTP that a request was in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Version {
    /// There was no request, or none that could be read.
    #[default]
    None,
    Http10,
    Http11,
    Http2,
    Other,
}

impl Version {
    pub(super) const ALL: [Self; 5] = [Self::None, Self::Http10, Self::Http11, Self::Http2, Self::Other];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
            Self::Other => "HTTP",
        }
    }
}

/// The texts of one request, one behind the other. Kept and used again: after the first few requests nothing is
/// allocated for it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    pub version: Version,
    pub(super) bytes: Vec<u8>,
    pub(super) lengths: [u16; Text::ALL.len()],
    /// One bit for each text that was longer than what is kept of it.
    pub(super) cut: u8,
}

impl Request {
    pub fn clear(&mut self) {
        self.version = Version::None;
        self.bytes.clear();
        self.lengths = [0; Text::ALL.len()];
        self.cut = 0;
    }

    /// Puts a text in, given in parts. Texts come in the order of [`Text::ALL`]; one may be left out.
    pub fn put(&mut self, text: Text, parts: &[&[u8]]) {
        let before = self.bytes.len();
        let mut left = text.most();
        for part in parts {
            match part.split_at_checked(left) {
                Some((kept, rest)) if !rest.is_empty() => {
                    self.bytes.extend_from_slice(kept);
                    self.drop_half_a_character(before);
                    self.cut |= 1 << text as u8;
                    break;
                }
                _ => {
                    self.bytes.extend_from_slice(part);
                    left -= part.len();
                }
            }
        }
        if let Some(length) = self.lengths.get_mut(text as usize) {
            *length = (self.bytes.len() - before) as u16;
        }
    }

    /// A character of several bytes may have been cut in two; what is left of it would read as damage.
    fn drop_half_a_character(&mut self, from: usize) {
        let tail = self.bytes.get(from..).unwrap_or_default();
        let more = tail.iter().rev().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
        let is_whole = match tail.len().checked_sub(more + 1).and_then(|first| tail.get(first)) {
            Some(0xc2..=0xdf) => more == 1,
            Some(0xe0..=0xef) => more == 2,
            Some(0xf0..=0xf4) => more == 3,
            _ => true,
        };
        if !is_whole {
            self.bytes.truncate(self.bytes.len() - more - 1);
        }
    }
}
