//! From records to the message in them.

use std::borrow::Cow;

use super::{ClientHelloFault as Fault, MAX_CLIENT_HELLO, MAX_RECORDS, Part};

/// The type of records that carry handshake messages.
pub(super) const HANDSHAKE: u8 = 22;
/// Type, version and length of a record.
pub(super) const HEAD: usize = 5;
/// RFC 8446 5.1: "The length MUST NOT exceed 2^14 bytes."
const MAX_RECORD: usize = 1 << 14;
/// Type and length of a message.
const MESSAGE_HEAD: usize = 4;
const CLIENT_HELLO: u8 = 1;

/// What is behind the head of the first message, if all of it has come. The records behind its last one are not looked at:
/// early data may follow, or a change of the cipher.
pub(super) fn first_message(bytes: &[u8]) -> Result<Option<Cow<'_, [u8]>>, Fault> {
    let mut message = Message::default();
    let mut rest = bytes;
    for _ in 0..MAX_RECORDS {
        let Some((record, behind)) = next_record(rest)? else { return Ok(None) };
        message.add(&record)?;
        if message.is_whole() {
            return Ok(Some(message.body()));
        }
        if record.fragment.len() < record.length {
            return Ok(None);
        }
        rest = behind;
    }
    Err(Fault::TooManyRecords)
}

/// A record of which at least the head has come.
struct Record<'a> {
    /// What the head announces.
    length: usize,
    /// What has come of it.
    fragment: &'a [u8],
}

fn next_record(bytes: &[u8]) -> Result<Option<(Record<'_>, &[u8])>, Fault> {
    let Some((&[kind, major, _, high, low], rest)) = bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // RFC 8446 5.1: "Implementations MUST NOT send zero-length fragments of Handshake types", and records of other types must
    // not come between those of one message.
    if kind != HANDSHAKE || major != 3 || length == 0 || length > MAX_RECORD {
        return Err(malformed(Part::Record));
    }
    let (fragment, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    Ok(Some((Record { length, fragment }, behind)))
}

/// A message on its way, in pieces.
#[derive(Default)]
struct Message<'a> {
    fragments: Vec<&'a [u8]>,
    /// Bytes that have come.
    here: usize,
    /// Bytes that the records so far announce.
    announced: usize,
}

impl<'a> Message<'a> {
    /// What is said first is judged first, so that the verdict does not depend on how much has come behind it.
    fn add(&mut self, record: &Record<'a>) -> Result<(), Fault> {
        self.fragments.push(record.fragment);
        self.here += record.fragment.len();
        self.announced += record.length;
        if let Some(kind) = self.bytes().next().filter(|kind| *kind != CLIENT_HELLO) {
            return Err(malformed(Part::MessageType(kind)));
        }
        match self.length() {
            Some(length) if length > MAX_CLIENT_HELLO => Err(Fault::TooLong { length }),
            // RFC 8446 5.1 has a ClientHello end with its record, because keys may change behind it.
            Some(length) if length < self.announced => Err(malformed(Part::Trailing)),
            _ => Ok(()),
        }
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.fragments.iter().copied().flatten().copied()
    }

    /// With its head, once that has come.
    fn length(&self) -> Option<usize> {
        let mut bytes = self.bytes().skip(1);
        let mut next = || bytes.next().map(usize::from);
        let (high, middle, low) = (next()?, next()?, next()?);
        Some(MESSAGE_HEAD + (high << 16 | middle << 8 | low))
    }

    fn is_whole(&self) -> bool {
        self.length() == Some(self.here)
    }

    fn body(&self) -> Cow<'a, [u8]> {
        if let [only] = *self.fragments {
            return Cow::Borrowed(only.get(MESSAGE_HEAD..).unwrap_or_default());
        }
        Cow::Owned(self.bytes().skip(MESSAGE_HEAD).collect())
    }
}

fn malformed(part: Part) -> Fault {
    Fault::Malformed { part }
}
