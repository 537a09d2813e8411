//! One datagram: a head in the clear, a sealed body, a tag; always [`SIZE`] bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | [`MAGIC`] |
//! | 4 | format, [`FORMAT`] |
//! | 5 | nothing |
//! | 6..8 | id of the key |
//! | 8..16 | sender's node id |
//! | 16..32 | sender's boot id |
//! | 32..40 | sequence |
//! | 40..44 | path |
//! | 44..240 | sealed: the [`Letter`], then a reserve |
//! | 240..256 | tag over all of it |
//!
//! The head says how to open the rest, so it cannot be sealed, but the tag covers it. Sequence and path are the nonce: one
//! heartbeat goes out on each path with another echo, so the sequence alone would be used for two texts.

use crate::high_availability::{BootId, NodeId, PathId};

use super::bytes::{Reader, Short, Writer};
use super::key::KeyId;
use super::letter::{BODY, Letter};
use super::record::{Forged, Life, Open, RecordNumber, Seal, TAG, TooLong};
use super::refusal::Refusal;

/// Bytes of a datagram. Whoever counts bytes learns nothing, and every network carries so many in one piece.
pub const SIZE: usize = HEAD + BODY + TAG;

const _: () = assert!(SIZE == 256);

/// Bytes of a head.
pub const HEAD: usize = 44;

pub const MAGIC: [u8; 4] = *b"TsHB";

/// The format that is written. The place of magic and format never changes; all else may with another number. What can go
/// into the reserve needs none. Two versions that follow each other have a format in common, so that one dispatcher can be
/// renewed while the other serves: a new format is read one version before it is written.
pub const FORMAT: u8 = 1;

/// The oldest format that is read.
pub const OLDEST_FORMAT: u8 = 1;

/// What is said in the clear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    pub key: KeyId,
    pub sender: Life,
    pub sequence: u64,
    pub path: PathId,
}

impl Head {
    fn encode(&self) -> [u8; HEAD] {
        let mut to = Writer::new();
        to.put(&MAGIC);
        to.u8(FORMAT);
        to.u8(0);
        to.u16(self.key.0);
        to.u64(self.sender.node.0);
        to.u128(self.sender.boot.0);
        to.u64(self.sequence);
        to.u32(self.path.0);
        to.finish()
    }

    /// What a datagram claims to be. Nothing of it is proven before it is opened.
    pub fn parse(bytes: &[u8; SIZE]) -> Result<Self, Refusal> {
        let from = &mut Reader::new(bytes);
        let short = |_: Short| Refusal::Size { bytes: SIZE };
        let (magic, format) = (from.array().map_err(short)?, from.u8().map_err(short)?);
        if magic != MAGIC {
            return Err(Refusal::NotHeartbeat);
        }
        if !(OLDEST_FORMAT..=FORMAT).contains(&format) {
            return Err(Refusal::OtherFormat { format });
        }
        Self::parse_known(from).map_err(short)
    }

    fn parse_known(from: &mut Reader<'_>) -> Result<Self, Short> {
        let _nothing = from.u8()?;
        let key = KeyId(from.u16()?);
        let sender = Life { node: NodeId(from.u64()?), boot: BootId(from.u128()?) };
        Ok(Self { key, sender, sequence: from.u64()?, path: PathId(from.u32()?) })
    }

    fn number(&self) -> RecordNumber {
        RecordNumber { stream: self.path.0, sequence: self.sequence }
    }
}

/// The datagram with this head and body. No two may have the same path and sequence ([`Seal::seal`]).
pub fn seal(head: &Head, body: &[u8; BODY], with: &Seal) -> Result<[u8; SIZE], TooLong> {
    let (head_bytes, mut body) = (head.encode(), *body);
    let tag = with.seal(head.number(), &head_bytes, &mut body)?;
    let mut to = Writer::new();
    to.put(&head_bytes);
    to.put(&body);
    to.put(&tag);
    Ok(to.finish())
}

/// What is in a datagram with this head.
pub fn open(head: &Head, datagram: &[u8; SIZE], with: &Open) -> Result<Letter, Refusal> {
    let (in_the_clear, sealed) = datagram.split_first_chunk::<HEAD>().ok_or(Refusal::Forged)?;
    let mut sealed: [u8; BODY + TAG] = sealed.try_into().map_err(|_| Refusal::Forged)?;
    let body = with.open(head.number(), in_the_clear, &mut sealed).map_err(|Forged| Refusal::Forged)?;
    Letter::decode(head.sender, head.sequence, body).map_err(Refusal::Malformed)
}
