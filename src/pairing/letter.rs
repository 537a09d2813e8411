//! What a datagram says: a heartbeat, and what the gates add to it.
//!
//! Every word has its place, whether it is said or not, so all bodies have the same length and fill the same bytes. Behind the
//! last one lies a reserve that writers leave at zero and readers do not look at: a later version may put words there
//! that mean nothing when they are zero, and an older one hears the rest.

use std::time::Duration;

use crate::high_availability::{
    Answer, BootId, Configuration, Echo, Epoch, GroupId, GroupWord, Health, Heartbeat, MOST_GROUPS, Sync, Wish,
};

use super::bytes::{Reader, Short, Writer};
use super::numbers::{AnswerKind, Numbered};
use super::record::Life;

/// A heartbeat on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Letter {
    pub heartbeat: Heartbeat,
    /// The life that the heartbeat's echo is about. Numbers begin anew with each life, so without it an echo of one life
    /// could be taken for one of the next. Means nothing without an echo.
    pub about: BootId,
    /// To a life that has not proven itself, so that it can; to the known one otherwise.
    pub greeting: Option<Greeting>,
}

/// "I have heard you in this life, last with this number." Only who lives after that can say it back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Greeting {
    pub boot: BootId,
    pub sequence: u64,
}

/// Bytes of a body.
pub const BODY: usize = 196;

/// A group's word: is there, id, state, role, epoch; wish and its epoch; answer, objection and its epoch.
const GROUP: usize = 4 + 8 + (1 + 8) + (2 + 8);

/// Version; groups; health; three flags; dead time; sync; configuration; echo; greeting.
pub(super) const SAID: usize = 2 + MOST_GROUPS * GROUP + 6 + 3 + 8 + 17 + 16 + 33 + 25;

const _: () = assert!(SAID <= BODY);

/// An authentic body that this version does not understand.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    #[error("{number} is no {what} that this version knows")]
    UnknownNumber { what: &'static str, number: u8 },
    #[error("it ends before all is said")]
    Short,
}

impl From<Short> for Malformed {
    fn from(_: Short) -> Self {
        Self::Short
    }
}

impl Letter {
    /// The body. Who sends it and the sequence are in the head. Durations are in nanoseconds; longer ones than 584 years are
    /// cut to that.
    pub fn encode(&self) -> [u8; BODY] {
        self.write().finish()
    }

    pub(super) fn write(&self) -> Writer<BODY> {
        let (mut to, said) = (Writer::new(), &self.heartbeat);
        to.u16(said.version);
        said.groups.iter().for_each(|word| write_group(&mut to, word.as_ref()));
        write_health(&mut to, &said.health);
        to.u8(said.listening.number());
        to.u8(said.wants_answer.number());
        to.u8(said.recovery.number());
        write_duration(&mut to, said.dead);
        to.u64(said.sync.position);
        to.u8(said.sync.in_sync.number());
        write_duration(&mut to, said.sync.lag);
        to.u64(said.configuration.generation);
        to.u64(said.configuration.clusters);
        let echo = said.echo.unwrap_or(Echo { sequence: 0, age: Duration::ZERO });
        to.u8(said.echo.is_some().number());
        to.u128(self.about.0);
        to.u64(echo.sequence);
        write_duration(&mut to, echo.age);
        let greeting = self.greeting.unwrap_or(Greeting { boot: BootId(0), sequence: 0 });
        to.u8(self.greeting.is_some().number());
        to.u128(greeting.boot.0);
        to.u64(greeting.sequence);
        to
    }

    /// Understands a body; the head told who sent it and which it is.
    pub fn decode(sender: Life, sequence: u64, body: &[u8]) -> Result<Self, Malformed> {
        let from = &mut Reader::new(body);
        let version = from.u16()?;
        let mut groups = [None; MOST_GROUPS];
        for group in &mut groups {
            *group = read_group(from)?;
        }
        let health = read_health(from)?;
        let (listening, wants_answer) = (read_flag(from)?, read_flag(from)?);
        let recovery = Numbered::read(from.u8()?)?;
        let dead = read_duration(from)?;
        let sync = Sync { position: from.u64()?, in_sync: read_flag(from)?, lag: read_duration(from)? };
        let configuration = Configuration { generation: from.u64()?, clusters: from.u64()? };
        let is_there = read_flag(from)?;
        let about = BootId(from.u128()?);
        let echo = Echo { sequence: from.u64()?, age: read_duration(from)? };
        let echo = is_there.then_some(echo);
        let is_there = read_flag(from)?;
        let greeting = Greeting { boot: BootId(from.u128()?), sequence: from.u64()? };
        let greeting = is_there.then_some(greeting);
        let Life { node, boot } = sender;
        #[rustfmt::skip]
        let heartbeat = Heartbeat {
            node, boot, sequence, version, groups, health, listening, wants_answer, recovery, dead, sync, configuration, echo,
        };
        Ok(Self { heartbeat, about, greeting })
    }
}

fn write_group(to: &mut Writer<BODY>, word: Option<&GroupWord>) {
    let Some(word) = word else { return to.put(&[0; GROUP]) };
    to.u8(true.number());
    to.u8(word.group.0);
    to.u8(word.state.number());
    to.u8(word.role.number());
    to.u64(word.epoch.0);
    to.u8(word.wish.map_or(0, |wish| wish.cause.number()));
    to.u64(word.wish.map_or(0, |wish| wish.epoch.0));
    let (kind, objection, epoch) = match word.answer {
        None => (0, 0, 0),
        Some(Answer::Yielded { epoch, served: true }) => (AnswerKind::Served.number(), 0, epoch.0),
        Some(Answer::Yielded { epoch, served: false }) => (AnswerKind::Vacant.number(), 0, epoch.0),
        Some(Answer::Refused { epoch, objection }) => (AnswerKind::Refused.number(), objection.number(), epoch.0),
    };
    to.u8(kind);
    to.u8(objection);
    to.u64(epoch);
}

fn read_group(from: &mut Reader<'_>) -> Result<Option<GroupWord>, Malformed> {
    if !read_flag(from)? {
        let _silence: [u8; GROUP - 1] = from.array()?;
        return Ok(None);
    }
    let group = GroupId(from.u8()?);
    let state = Numbered::read(from.u8()?)?;
    let role = Numbered::read(from.u8()?)?;
    let epoch = Epoch(from.u64()?);
    let (cause, wished) = (Numbered::read_option(from.u8()?)?, Epoch(from.u64()?));
    let wish = cause.map(|cause| Wish { epoch: wished, cause });
    Ok(Some(GroupWord { group, state, role, epoch, wish, answer: read_answer(from)? }))
}

fn read_answer(from: &mut Reader<'_>) -> Result<Option<Answer>, Malformed> {
    let (kind, objection, epoch) = (from.u8()?, from.u8()?, Epoch(from.u64()?));
    Ok(match AnswerKind::read_option(kind)? {
        None => None,
        Some(AnswerKind::Served) => Some(Answer::Yielded { epoch, served: true }),
        Some(AnswerKind::Vacant) => Some(Answer::Yielded { epoch, served: false }),
        Some(AnswerKind::Refused) => Some(Answer::Refused { epoch, objection: Numbered::read(objection)? }),
    })
}

fn write_health(to: &mut Writer<BODY>, health: &Health) {
    to.u8(health.carriers);
    to.u8(health.carriers_up);
    to.u16(health.reach);
    to.u8(health.failing);
    to.u8(health.on_time.number());
}

fn read_health(from: &mut Reader<'_>) -> Result<Health, Malformed> {
    let (carriers, carriers_up, reach, failing) = (from.u8()?, from.u8()?, from.u16()?, from.u8()?);
    Ok(Health { carriers, carriers_up, reach, failing, on_time: read_flag(from)? })
}

fn write_duration(to: &mut Writer<BODY>, duration: Duration) {
    to.u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}

fn read_duration(from: &mut Reader<'_>) -> Result<Duration, Malformed> {
    Ok(Duration::from_nanos(from.u64()?))
}

fn read_flag(from: &mut Reader<'_>) -> Result<bool, Malformed> {
    bool::read(from.u8()?)
}
