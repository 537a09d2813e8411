//! What the two tell each other, as values. Bytes, keys and the check against replays are another room's.

use std::time::Duration;

use super::words::{BootId, Epoch, GroupId, GroupState, MOST_GROUPS, NodeId, Recovery, Role};

/// One heartbeat. It always has the same size, whatever there is to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heartbeat {
    pub node: NodeId,
    pub boot: BootId,
    /// Rises by one with every heartbeat of a boot; the copies on several paths have the same number.
    pub sequence: u64,
    /// Of the sender's program.
    pub version: u16,
    pub groups: [Option<GroupWord>; MOST_GROUPS],
    pub health: Health,
    /// The sender was born or found itself late a moment ago, and takes nothing before it has listened.
    pub listening: bool,
    /// The sender fears that its partner is dead, and would like to hear at once.
    pub wants_answer: bool,
    pub recovery: Recovery,
    /// The sender's dead time: nobody should take over from it sooner.
    pub dead: Duration,
    pub sync: Sync,
    pub configuration: Configuration,
    /// About the path that this copy travels on.
    pub echo: Option<Echo>,
}

impl Heartbeat {
    /// What it says about a group.
    pub fn group(&self, id: GroupId) -> Option<&GroupWord> {
        self.groups.iter().flatten().find(|word| word.group == id)
    }
}

/// About one group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GroupWord {
    pub group: GroupId,
    pub state: GroupState,
    pub role: Role,
    /// Of an active: what it claims with. Of others: the highest that they know of.
    pub epoch: Epoch,
    pub wish: Option<Wish>,
    pub answer: Option<Answer>,
}

/// "Let me have the group." Its epoch is new with every attempt, so that no answer fits two questions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wish {
    pub epoch: Epoch,
    pub cause: Cause,
}

/// Why a group is asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// Neither has it.
    Vacant,
    /// An operator said `takeover`.
    Command,
    /// The primary has returned and recovery is `auto`.
    Recovery,
    /// The asker is in strictly better health.
    Health,
}

/// To the partner's wish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// "I do not claim the group, and shall not for a dead time: take it." `served`: it claimed until it was asked. If not, the
    /// group was vacant, whatever the asker thought.
    Yielded {
        epoch: Epoch,
        served: bool,
    },
    Refused {
        epoch: Epoch,
        objection: Objection,
    },
}

/// Why an active keeps a group.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Objection {
    /// The asker could not serve: no carrier, or no reach where the active has some.
    AskerUnfit,
    /// The asker is not in better health.
    NotBetter,
    /// Recovery is `manual` here.
    ManualRecovery,
    /// The group has moved too often of late.
    Damped,
    /// Both have the same role.
    SameRole,
}

/// How fit a dispatcher is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Health {
    /// Interfaces towards clients and servers.
    pub carriers: u8,
    /// Those with a carrier.
    pub carriers_up: u8,
    /// Reach targets that answer.
    pub reach: u16,
    /// Tracked checks (scripts, interfaces, the proxy's own) that fail.
    pub failing: u8,
    /// Its own loop ran when it should.
    pub on_time: bool,
}

impl Health {
    /// Nothing is tracked, so nothing is wrong.
    pub const UNTRACKED: Self = Self { carriers: 0, carriers_up: 0, reach: 0, failing: 0, on_time: true };

    pub fn no_carrier(&self) -> bool {
        self.carriers > 0 && self.carriers_up == 0
    }

    /// Better in something and worse in nothing. When each is worse than the other in something, neither is better: a move
    /// would trade one fault for another, and might be traded back.
    pub fn strictly_better_than(&self, other: &Self) -> bool {
        let pairs = self.marks().into_iter().zip(other.marks());
        let (mut better, mut worse) = (false, false);
        for (own, theirs) in pairs {
            better |= own > theirs;
            worse |= own < theirs;
        }
        better && !worse
    }

    /// The more, the better.
    fn marks(&self) -> [i32; 4] {
        let down = i32::from(self.carriers) - i32::from(self.carriers_up);
        [-down, i32::from(self.reach), -i32::from(self.failing), i32::from(self.on_time)]
    }
}

/// How far the tables of connections and affinity are copied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sync {
    pub position: u64,
    pub in_sync: bool,
    pub lag: Duration,
}

/// What a dispatcher serves, in short.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Configuration {
    pub generation: u64,
    /// Of its clusters, so that two who serve different things are told apart.
    pub clusters: u64,
}

/// The last heartbeat that the sender got on a path, so that the other can measure the way there and back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Echo {
    pub sequence: u64,
    /// How long ago it came.
    pub age: Duration,
}
