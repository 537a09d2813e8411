//! The words of a heartbeat as numbers. They are what two versions of this program understand of each other: a number
//! keeps its meaning for ever, and a word that goes leaves its number unused. Zero is no word, but the lack of one.

use crate::high_availability::{Cause, GroupState, Objection, Recovery, Role};

use super::letter::Malformed;

pub(super) trait Numbered: Sized {
    /// What the numbers count, for those who are told that one is unknown.
    const WHAT: &'static str;

    fn number(self) -> u8;

    fn numbered(number: u8) -> Option<Self>;

    fn read(number: u8) -> Result<Self, Malformed> {
        Self::numbered(number).ok_or(Malformed::UnknownNumber { what: Self::WHAT, number })
    }

    /// Where the word may be lacking.
    fn read_option(number: u8) -> Result<Option<Self>, Malformed> {
        if number == 0 { Ok(None) } else { Self::read(number).map(Some) }
    }
}

macro_rules! numbered {
    ($word:ident, $what:literal: $($variant:ident = $number:literal),+ $(,)?) => {
        impl Numbered for $word {
            const WHAT: &'static str = $what;

            fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number),+
                }
            }

            fn numbered(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

numbered!(GroupState, "state of a group": Standby = 1, Probing = 2, Active = 3, Fault = 4);
numbered!(Role, "role": Primary = 1, Backup = 2);
numbered!(Recovery, "way of recovery": Auto = 1, Manual = 2);
numbered!(Cause, "cause of a wish": Vacant = 1, Command = 2, Recovery = 3, Health = 4);
numbered!(
    Objection, "objection": AskerUnfit = 1, NotBetter = 2, ManualRecovery = 3, Damped = 4, SameRole = 5,
);

/// The kinds of answers; what belongs to one stands behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AnswerKind {
    Served,
    Vacant,
    Refused,
}

numbered!(AnswerKind, "kind of answer": Served = 1, Vacant = 2, Refused = 3);

impl Numbered for bool {
    const WHAT: &'static str = "yes or no";

    fn number(self) -> u8 {
        u8::from(self)
    }

    fn numbered(number: u8) -> Option<Self> {
        match number {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}
