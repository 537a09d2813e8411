//! Commands that change configured state, one by one.
//!
//! A script is a list of these; an operator types one at a time. Reading them is in `parse`, carrying them out in `apply`,
//! writing them in `show`.

mod advisor_operand;
mod apply;
mod keywords;
mod pair;
mod parse;
mod show;
mod verbs;

use super::fault::Place;
use super::object::{Fields, Path};
use super::operand::Operand;
use super::schema::Kind;
use super::{Refusal, words};
use crate::model::{AdvisorKind, Name};
pub(super) use advisor_operand::AdvisorOperand;
pub(super) use pair::{JOIN, PairDeed};
pub(super) use parse::{Parsed, parse_words};

/// A command that changes configured state; a script is a list of these. Two changes are equal when they say the same,
/// wherever they stand.
#[derive(Clone, Debug)]
pub struct Change {
    pub(super) deed: Deed,
    notes: Vec<String>,
    /// Of the operand.
    place: Option<Place>,
}

/// What a change does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    Add {
        kind: Kind,
        operand: Operand,
        fields: Fields,
    },
    Set {
        target: Target,
        fields: Fields,
    },
    Remove {
        kind: Kind,
        operand: Operand,
    },
    UseServers {
        rules: Operand,
        servers: Vec<Name>,
    },
    DropServers {
        rules: Operand,
        servers: Vec<Name>,
    },
    Steer {
        servers: Operand,
        steering: Steering,
    },
    StartAdvisor(AdvisorOperand),
    StopAdvisor(AdvisorOperand),
    Pair(PairDeed),
    /// Accepted for the sake of IBM's scripts; the words as they were given.
    Nothing {
        words: Vec<String>,
    },
}

/// What `set` sets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    Only(Kind),
    Objects(Kind, Operand),
    Advisors(AdvisorOperand),
}

/// What an operator does to a server's administrative state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Steering {
    Up,
    Down,
    Quiesce,
    QuiesceNow,
    Unquiesce,
}

impl Eq for Change {}

impl PartialEq for Change {
    fn eq(&self, other: &Self) -> bool {
        self.deed == other.deed
    }
}

impl Change {
    /// Whether it changes nothing but the state of servers: quiesce, unquiesce, down, up.
    pub fn steers_only(&self) -> bool {
        matches!(self.deed, Deed::Steer { .. })
    }

    /// Whether it is about this dispatcher alone: its half of the pair, its log, its control socket, its page of metrics. In a pair
    /// such a change is made on each of the two; all others belong to what both have the same.
    pub fn is_local(&self) -> bool {
        match &self.deed {
            Deed::Pair(_) | Deed::Nothing { .. } => true,
            Deed::Set { target: Target::Only(kind), .. } => {
                matches!(kind, Kind::HighAvailability | Kind::Log | Kind::Control | Kind::Metrics)
            }
            _ => false,
        }
    }

    /// Reads the words of a command, without the leading `dscontrol`. `Ok(None)`: not a command that changes
    /// configuration (a report, a status, `file …`, `help`). Of several faults the first eight are told.
    pub fn parse(words: &[String]) -> Result<Option<Self>, Refusal> {
        let parsed = parse_words(words, &[]);
        let told = parsed.faults.iter().take(MAX_TOLD).map(|(_, refusal)| refusal.message());
        let message = told.collect::<Vec<_>>().join("; ");
        if parsed.faults.iter().any(|(_, refusal)| matches!(refusal, Refusal::Misuse(_))) {
            return Err(Refusal::Misuse(message));
        }
        if !parsed.faults.is_empty() {
            return Err(Refusal::Refused(message));
        }
        Ok(parsed.change)
    }

    /// What the operator should know of words that have no effect.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    pub(super) fn new(deed: Deed) -> Self {
        Self { deed, notes: Vec::new(), place: None }
    }

    /// The change that makes an object with these fields; `None` for objects that are not made by commands.
    pub(super) fn add(path: &Path, fields: Fields) -> Option<Self> {
        let (kind, operand) = (path.kind()?, Operand::of(path)?);
        Some(Self::new(Deed::Add { kind, operand, fields }))
    }
}

impl Steering {
    pub fn of(state: &str) -> Option<Self> {
        Some(match state {
            "quiesced" => Self::Quiesce,
            "quiesced-now" => Self::QuiesceNow,
            "down" => Self::Down,
            _ => return None,
        })
    }

    /// The value of the server's field `state`.
    pub fn state(self) -> &'static str {
        match self {
            Self::Up | Self::Unquiesce => "up",
            Self::Down => "down",
            Self::Quiesce => "quiesced",
            Self::QuiesceNow => "quiesced-now",
        }
    }
}

/// The advisor of this word, for `advisor start NAME …`.
pub(super) fn advisor_kind(word: &str) -> Result<AdvisorKind, Refusal> {
    let name = Kind::Advisor.keyword("name").expect("advisors have a name");
    let value = name.value.read(word).map_err(|refusal| refusal.after("an advisor is "))?;
    super::identity::advisor_kind(&value).ok_or_else(|| Refusal::misuse("no such advisor"))
}

/// Faults of one command that are told; more is a mistaken paste.
const MAX_TOLD: usize = 8;

/// Items of a list as one word.
fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
}

/// Words as one line that splits into them again.
fn line_of(words: &[String]) -> String {
    words.iter().map(|word| words::quote(word)).collect::<Vec<_>>().join(" ")
}
