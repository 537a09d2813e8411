//! Why a datagram is refused, and how often.

use super::key::KeyId;
use super::letter::Malformed;

/// Why a datagram was not told to the machine. Up to [`Refusal::Forged`] anybody who can send to this dispatcher can cause it;
/// what follows comes from somebody who has the key, or from a recording of that.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("it came from an address that is no path to the partner")]
    Stranger,
    #[error("a heartbeat has 256 bytes, this has {bytes}")]
    Size { bytes: usize },
    #[error("it is no heartbeat")]
    NotHeartbeat,
    /// The partner is two versions ahead or behind: they are brought closer before they can be a pair.
    #[error("the partner writes format {format}, which this version does not read")]
    OtherFormat { format: u8 },
    /// The partner has read another key file.
    #[error("it was sealed with key {key}, which is not in the key file")]
    OtherKey { key: KeyId },
    /// Our own, thrown back.
    #[error("it is a heartbeat of this dispatcher itself")]
    Reflected,
    /// It was sent on another path than the one it came on.
    #[error("it came on path {came}, but was sent on path {sent}")]
    OtherPath { came: u32, sent: u32 },
    /// A life of the partner that has ended.
    #[error("it is from a life of the partner that has ended")]
    StaleBoot,
    /// It came before, or is so old that it might have.
    #[error("it came before, or too late to tell")]
    Replayed,
    #[error("there are more datagrams than are looked at")]
    TooMany,
    #[error("it was not sealed with the key of the pair, or was changed")]
    Forged,
    /// Somebody with the key says something that this version does not know.
    #[error("it is authentic, but not understood: {0}")]
    Malformed(Malformed),
    /// The sender has not shown yet that it lives now. A partner that starts is refused like this until it has heard us once.
    #[error("its sender has not proven that it lives now")]
    Unproven,
}

/// The reasons without their subjects: what is counted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    Stranger,
    Size,
    NotHeartbeat,
    OtherFormat,
    OtherKey,
    Reflected,
    OtherPath,
    StaleBoot,
    Replayed,
    TooMany,
    Forged,
    Malformed,
    Unproven,
}

impl Reason {
    pub const ALL: [Self; 13] = [
        Self::Stranger,
        Self::Size,
        Self::NotHeartbeat,
        Self::OtherFormat,
        Self::OtherKey,
        Self::Reflected,
        Self::OtherPath,
        Self::StaleBoot,
        Self::Replayed,
        Self::TooMany,
        Self::Forged,
        Self::Malformed,
        Self::Unproven,
    ];

    /// For labels of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Size => "size",
            Self::NotHeartbeat => "not-heartbeat",
            Self::OtherFormat => "other-format",
            Self::OtherKey => "other-key",
            Self::Reflected => "reflected",
            Self::OtherPath => "other-path",
            Self::StaleBoot => "stale-boot",
            Self::Replayed => "replayed",
            Self::TooMany => "too-many",
            Self::Forged => "forged",
            Self::Malformed => "malformed",
            Self::Unproven => "unproven",
        }
    }
}

impl Refusal {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Stranger => Reason::Stranger,
            Self::Size { .. } => Reason::Size,
            Self::NotHeartbeat => Reason::NotHeartbeat,
            Self::OtherFormat { .. } => Reason::OtherFormat,
            Self::OtherKey { .. } => Reason::OtherKey,
            Self::Reflected => Reason::Reflected,
            Self::OtherPath { .. } => Reason::OtherPath,
            Self::StaleBoot => Reason::StaleBoot,
            Self::Replayed => Reason::Replayed,
            Self::TooMany => Reason::TooMany,
            Self::Forged => Reason::Forged,
            Self::Malformed(_) => Reason::Malformed,
            Self::Unproven => Reason::Unproven,
        }
    }
}

/// What came in since the gate was built. Each datagram is counted once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    admitted: u64,
    refused: [u64; Reason::ALL.len()],
}

impl Counts {
    /// Heartbeats that were told to the machine.
    pub fn admitted(&self) -> u64 {
        self.admitted
    }

    pub fn refused(&self, reason: Reason) -> u64 {
        self.refused.get(reason as usize).copied().unwrap_or(0)
    }

    pub(super) fn note<T>(&mut self, judged: &Result<T, Refusal>) {
        let counter = match judged {
            Ok(_) => Some(&mut self.admitted),
            Err(refusal) => self.refused.get_mut(refusal.reason() as usize),
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
    }
}
