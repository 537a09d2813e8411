//! Which datagrams are told to the machine.
//!
//! Sealing proves that a datagram was made by somebody with the key. It does not prove that it was made now: whoever can listen
//! can keep it and send it again. Within one life of the partner numbers tell the two apart. Between lives they cannot,
//! because a dispatcher that starts knows no number and has a boot id that nobody has seen. So a life that is not known has to
//! show that it has heard *us*, in our present life, a short time ago: each heartbeat echoes what its sender heard last, and
//! greets lives that the sender does not trust yet.
//!
//! ```text
//!   A, running                                    B, has just started
//!   ── I am a, number 70 ────────────────────────►  a is unknown and proves nothing: refused, to be greeted
//!   b has heard my 70: it lives.  told  ◄──────────  I am b, number 1; a, I heard your 70
//!   ── I am a, number 71; b, I heard your 1 ─────►  a has heard my 1: it lives.  told
//! ```
//!
//! A life ends when another has proven itself that has heard later words of ours, and does not come back.
//!
//! What is not found out: a datagram of the partner's present life that somebody held back on all paths and let go later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::high_availability::{BootId, Heartbeat, PathId};

use super::bucket::Bucket;
use super::datagram::{self, Head, SIZE};
use super::key::PairKeys;
use super::letter::Letter;
use super::lives::{Candidates, Ended, Partner, Said};
use super::record::{Life, Open, Purpose, Seal, TooLong};
use super::refusal::{Counts, Refusal};
use super::window::Window;

/// Seals what this dispatcher says in one life, and judges what comes in.
pub struct Gate {
    own: Life,
    keys: Arc<PairKeys>,
    seal: Seal,
    said: Said,
    doors: Vec<Door>,
    partner: Option<Partner>,
    candidates: Candidates,
    ended: Ended,
    counts: Counts,
}

/// Why a heartbeat was not sealed: always a mistake of the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    #[error("the heartbeat is not of this life of this dispatcher")]
    NotOurs,
    #[error("path {} is not configured", .0.0)]
    NoPath(PathId),
    /// It would use a nonce again, which gives the key away.
    #[error("sequence {sequence} is not newer than what went out on path {}", .path.0)]
    SequenceUsed { path: PathId, sequence: u64 },
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl Gate {
    /// The boot id has to be random. Paths are those of the machine's settings; both dispatchers number them alike.
    pub fn new(own: Life, paths: &[PathId], keys: impl Into<Arc<PairKeys>>) -> Self {
        let keys = keys.into();
        Self {
            own,
            seal: Seal::new(keys.sealing(), own, Purpose::HEARTBEAT),
            keys,
            said: Said::default(),
            doors: paths.iter().map(|path| Door::new(*path)).collect(),
            partner: None,
            candidates: Candidates::default(),
            ended: Ended::default(),
            counts: Counts::default(),
        }
    }

    /// The key file was read again. Who is known stays known, and no number is used again.
    pub fn set_keys(&mut self, keys: impl Into<Arc<PairKeys>>) {
        let keys = keys.into();
        self.seal = Seal::new(keys.sealing(), self.own, Purpose::HEARTBEAT);
        if let Some(partner) = &mut self.partner {
            partner.rekey(&keys);
        }
        self.keys = keys;
    }

    /// The configuration has other paths now.
    pub fn set_paths(&mut self, paths: &[PathId]) {
        self.doors.retain(|door| paths.contains(&door.path));
        for path in paths {
            if !self.doors.iter().any(|door| door.path == *path) {
                self.doors.push(Door::new(*path));
            }
        }
        if let Some(partner) = &mut self.partner {
            partner.window.set_paths(paths);
        }
    }

    /// The datagram that carries this copy of a heartbeat. Sequences rise; the copies of one heartbeat go out one after the
    /// other, each on its path.
    pub fn seal(&mut self, path: PathId, heartbeat: &Heartbeat, now: Instant) -> Result<[u8; SIZE], SealError> {
        let Heartbeat { node, boot, sequence, .. } = *heartbeat;
        if (Life { node, boot }) != self.own {
            return Err(SealError::NotOurs);
        }
        if !self.doors.iter().any(|door| door.path == path) {
            return Err(SealError::NoPath(path));
        }
        if !self.said.note(sequence, path, now) {
            return Err(SealError::SequenceUsed { path, sequence });
        }
        let head = Head { key: self.keys.sealing().id(), sender: self.own, sequence, path };
        Ok(datagram::seal(&head, &self.letter(heartbeat, now).encode(), &self.seal)?)
    }

    /// The machine's echo is about the last life that was told to it, which is the partner's present one.
    fn letter(&self, heartbeat: &Heartbeat, now: Instant) -> Letter {
        let about = self.partner().unwrap_or(BootId(0));
        let echo = heartbeat.echo.filter(|_| self.partner.is_some());
        // The machine echoes only what it believes. So with nobody else to greet, the partner is told here that it was heard:
        // whether it knows us does not hang on that.
        let known = || self.partner.as_ref().map(Partner::greeting);
        let greeting = self.candidates.greeting(heartbeat.sequence, now).or_else(known);
        Letter { heartbeat: Heartbeat { echo, ..*heartbeat }, about, greeting }
    }

    /// Judges what came in on a path; `None` if it came from an address that is no path. The answer is counted.
    ///
    /// After [`Refusal::Unproven`] the sender will be greeted in our next heartbeat. The sooner that is sent, the sooner a
    /// partner that starts is known.
    pub fn open(&mut self, path: Option<PathId>, bytes: &[u8], now: Instant) -> Result<Heartbeat, Refusal> {
        let judged = self.judge(path, bytes, now);
        self.counts.note(&judged);
        judged
    }

    /// What came in so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The life in which the partner is known.
    pub fn partner(&self) -> Option<BootId> {
        self.partner.as_ref().map(|partner| partner.life.boot)
    }

    fn judge(&mut self, path: Option<PathId>, bytes: &[u8], now: Instant) -> Result<Heartbeat, Refusal> {
        let door = self.doors.iter_mut().find(|door| Some(door.path) == path).ok_or(Refusal::Stranger)?;
        let datagram: &[u8; SIZE] = bytes.try_into().map_err(|_| Refusal::Size { bytes: bytes.len() })?;
        let head = Head::parse(datagram)?;
        if head.sender.boot == self.own.boot {
            return Err(Refusal::Reflected);
        }
        if head.path != door.path {
            return Err(Refusal::OtherPath { came: door.path.0, sent: head.path.0 });
        }
        if self.ended.contains(head.sender.boot) {
            return Err(Refusal::StaleBoot);
        }
        let arrival = Arrival { head, datagram, now };
        let letter = match &self.partner {
            Some(partner) if partner.life == head.sender => {
                let letter = arrival.open_known(partner, door)?;
                self.hear(&letter, head.path, now);
                letter
            }
            _ => {
                let letter = arrival.open_unknown(&self.keys, door)?;
                self.meet(&head, &letter, now)?;
                letter
            }
        };
        Ok(self.told(letter))
    }

    /// News of the life that is known.
    fn hear(&mut self, letter: &Letter, path: PathId, now: Instant) {
        let heard_of_us = self.proof(letter, now);
        if let Some(partner) = &mut self.partner {
            partner.window.note(path, letter.heartbeat.sequence);
            partner.heard_of_us = heard_of_us.map_or(partner.heard_of_us, |proof| proof.max(partner.heard_of_us));
        }
    }

    /// A life that is not known takes the place of the one that is, if it proves that it is the later one.
    ///
    /// Fresh is not enough. A life may have heard us, have been kept from saying so, and have ended; its words, let go
    /// when the next life is here, would be fresh still. But they cannot echo what we said after it had ended.
    fn meet(&mut self, head: &Head, letter: &Letter, now: Instant) -> Result<(), Refusal> {
        let known = self.partner.as_ref().map(|partner| partner.heard_of_us);
        let Some(proof) = self.proof(letter, now).filter(|proof| known.is_none_or(|known| *proof > known)) else {
            self.candidates.note(head.sender.boot, head.sequence, now);
            return Err(Refusal::Unproven);
        };
        let paths: Vec<PathId> = self.doors.iter().map(|door| door.path).collect();
        let mut window = Window::new(head.sequence, &paths);
        window.note(head.path, head.sequence);
        self.candidates.forget(head.sender.boot);
        if let Some(before) = self.partner.replace(Partner::new(head.sender, &self.keys, window, proof)) {
            self.ended.add(before.life.boot);
        }
        Ok(())
    }

    /// The newest of our heartbeats that the sender must have heard to say this, if it is fresh.
    fn proof(&self, letter: &Letter, now: Instant) -> Option<u64> {
        let echo = letter.heartbeat.echo.map(|echo| (letter.about, echo.sequence));
        let greeting = letter.greeting.map(|greeting| (greeting.boot, greeting.sequence));
        let said = [echo, greeting].into_iter().flatten().filter(|(boot, _)| *boot == self.own.boot);
        said.map(|(_, sequence)| sequence).filter(|sequence| self.said.lately(*sequence, now)).max()
    }

    /// What the machine hears: it knows only its own numbers, so an echo about another life is taken out.
    fn told(&self, letter: Letter) -> Heartbeat {
        let echo = letter.heartbeat.echo.filter(|_| letter.about == self.own.boot);
        Heartbeat { echo, ..letter.heartbeat }
    }
}

/// A datagram that says who sent it, which is not proven yet.
struct Arrival<'a> {
    head: Head,
    datagram: &'a [u8; SIZE],
    now: Instant,
}

impl Arrival<'_> {
    fn open_known(&self, partner: &Partner, door: &mut Door) -> Result<Letter, Refusal> {
        let Head { key, path, sequence, .. } = self.head;
        let open = partner.open(key).ok_or(Refusal::OtherKey { key })?;
        if !partner.window.is_new(path, sequence) {
            return Err(Refusal::Replayed);
        }
        if !door.known.take(self.now) {
            return Err(Refusal::TooMany);
        }
        datagram::open(&self.head, self.datagram, open)
    }

    fn open_unknown(&self, keys: &PairKeys, door: &mut Door) -> Result<Letter, Refusal> {
        let Head { key, sender, .. } = self.head;
        let key = keys.named(key).ok_or(Refusal::OtherKey { key })?;
        if !door.unknown.take(self.now) {
            return Err(Refusal::TooMany);
        }
        datagram::open(&self.head, self.datagram, &Open::new(key, sender, Purpose::HEARTBEAT))
    }
}

/// A path, and how much may come in on it.
///
/// A bound keeps a flood from taking the time that heartbeats need to be on time. But a flood that fills the bound keeps out the
/// partner's heartbeats too, so it is set where the time begins to matter, and apart for each path and for what costs
/// more: datagrams of senders that are not known, for which a key has to be derived first. They can be as many as they like
/// without a word of the known partner being lost.
struct Door {
    path: PathId,
    known: Bucket,
    unknown: Bucket,
}

/// 50,000 a second, each 0.3 µs when it is forged: two hundredths of a CPU. A partner sends some hundred.
const KNOWN: Duration = Duration::from_micros(20);

/// 5000 a second, each 2.5 µs: about as much. Among ten thousand forgeries a second every other word of a partner that starts
/// is looked at.
const UNKNOWN: Duration = Duration::from_micros(200);

/// Both at once, after a pause: what a socket may hold.
const KNOWN_BURST: u32 = 1000;
const UNKNOWN_BURST: u32 = 200;

impl Door {
    fn new(path: PathId) -> Self {
        Self { path, known: Bucket::new(KNOWN, KNOWN_BURST), unknown: Bucket::new(UNKNOWN, UNKNOWN_BURST) }
    }
}
