//! Bytes that one dispatcher seals and the other opens: AES-256-GCM under a key of its own for each life of a sender.
//!
//! The key in the file never seals anything itself. HKDF-SHA256 (RFC 5869) makes a key of it with the sender's boot id as the
//! salt, and a label and the sender's node id as info. So nothing that was sealed in one life, one direction or for one purpose
//! opens in another, and numbers may begin at one with each boot without a nonce being used twice.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use crate::high_availability::{BootId, NodeId};

use super::key::PairKey;

/// A dispatcher from one start to its end. A virtual machine that is set back to a snapshot of itself goes on in the same life and
/// would use numbers again: who notices that has to begin a new one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Life {
    pub node: NodeId,
    /// Drawn at random for each life. Two lives with one boot id would use nonces twice.
    pub boot: BootId,
}

/// What is sealed. Each purpose has a label of its own that is no beginning of another's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Purpose(pub &'static str);

impl Purpose {
    pub const HEARTBEAT: Self = Self("tsuji pair heartbeat;");
    /// Asks for copies.
    pub const REQUEST: Self = Self("tsuji pair request;");
    /// Copies of tables.
    pub const COPY: Self = Self("tsuji pair copy;");
}

/// Which of a sender's records: the nonce. No two records of one [`Seal`] may have the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordNumber {
    /// The path of a heartbeat; whatever tells records with one sequence apart.
    pub stream: u32,
    pub sequence: u64,
}

impl RecordNumber {
    fn nonce(self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        let number = (u128::from(self.stream) << u64::BITS) | u128::from(self.sequence);
        let [_, _, _, _, low @ ..] = number.to_be_bytes();
        nonce.copy_from_slice(&low);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Bytes that sealing adds.
pub const TAG: usize = 16;

/// The bytes are too many for one record, which is 64 GB.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a record is too long to be sealed")]
pub struct TooLong;

/// The bytes are not what the sender sealed under this number, or not with this key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a record was not sealed with the key of the pair, or was changed")]
pub struct Forged;

/// What a sender seals its records with.
pub struct Seal(LessSafeKey);

impl Seal {
    pub fn new(key: &PairKey, own: Life, purpose: Purpose) -> Self {
        Self(derive(key, own, purpose))
    }

    /// Seals the body where it lies, and returns the tag that goes behind it. The head stays readable but cannot be changed.
    ///
    /// The caller answers for the number: used for two records, it would give both bodies away and let anybody forge more.
    pub fn seal(&self, number: RecordNumber, head: &[u8], body: &mut [u8]) -> Result<[u8; TAG], TooLong> {
        let tag = self.0.seal_in_place_separate_tag(number.nonce(), Aad::from(head), body).map_err(|_| TooLong)?;
        tag.as_ref().try_into().map_err(|_| TooLong)
    }
}

/// What a receiver opens the records of one sender with.
pub struct Open(LessSafeKey);

impl Open {
    pub fn new(key: &PairKey, sender: Life, purpose: Purpose) -> Self {
        Self(derive(key, sender, purpose))
    }

    /// Opens a body with its tag where they lie, and returns the body. After an error the bytes mean nothing.
    pub fn open<'a>(&self, number: RecordNumber, head: &[u8], sealed: &'a mut [u8]) -> Result<&'a [u8], Forged> {
        match self.0.open_in_place(number.nonce(), Aad::from(head), sealed) {
            Ok(body) => Ok(body),
            Err(_) => Err(Forged),
        }
    }
}

fn derive(key: &PairKey, sender: Life, purpose: Purpose) -> LessSafeKey {
    let pseudorandom = Salt::new(HKDF_SHA256, &sender.boot.0.to_be_bytes()).extract(key.secret());
    let node = sender.node.0.to_be_bytes();
    let info = [purpose.0.as_bytes(), &node];
    let made = pseudorandom.expand(&info, &AES_256_GCM).expect("HKDF-SHA256 makes up to 8160 bytes, a key has 32");
    LessSafeKey::new(UnboundKey::from(made))
}
