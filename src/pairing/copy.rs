//! A stream of sealed messages over TCP, by which one dispatcher keeps a copy of what the other one knows.
//!
//! ```text
//!   B asks                                       A answers
//!   ── request: I am b; sealed: my n-th question ──►  b is the life that A's heartbeats know, and n is new
//!   ◄──────────── answer: I am a; stream s, which a has not used ──
//!   ◄──────────────────────────── sealed messages 1, 2, 3 … of s ──
//! ```
//!
//! Both know from heartbeats in which life the other one is, so a recording of an earlier one is of no use. Within a life
//! numbers only rise: a question is answered once, and the messages of a stream open in their order and in no other.

use super::bytes::{Reader, Short, Writer};
use super::key::{KeyId, PairKeys};
use super::record::{Life, Open, Purpose, RecordNumber, Seal, TAG};
use crate::high_availability::{BootId, NodeId};

/// Bytes of a request.
pub const REQUEST: usize = HEAD + TAG;
/// Bytes of an answer.
pub const ANSWER: usize = HEAD;
/// Magic, format, key, node, boot, number.
const HEAD: usize = 4 + 2 + 2 + 8 + 16 + 4;
const ASKS: [u8; 4] = *b"TsCQ";
const ANSWERS: [u8; 4] = *b"TsCA";
const FORMAT: u16 = 1;

/// The longest message, sealed: some thousand connections.
pub const MOST: usize = 256 * 1024;
/// Bytes before a message: its length.
pub const LENGTH: usize = 4;

/// Why a stream comes to nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CopyError {
    #[error("it does not speak the pair's language")]
    Foreign,
    #[error("the partner writes format {0}, which this version does not read")]
    Format(u16),
    #[error("it was made with key {0}, which is not in the key file")]
    OtherKey(KeyId),
    #[error("it is not from the partner's present life")]
    OtherLife,
    #[error("it was said before")]
    Replayed,
    #[error("it was not made with the key of the pair, or was changed")]
    Forged,
    #[error("a message of {0} bytes is longer than there are")]
    TooLong(usize),
    #[error("a message is authentic, but not understood")]
    Malformed,
    #[error("there are no more numbers for streams in this life")]
    Exhausted,
}

impl From<Short> for CopyError {
    fn from(_: Short) -> Self {
        Self::Malformed
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Head {
    key: KeyId,
    sender: Life,
    number: u32,
}

impl Head {
    fn encode(self, magic: [u8; 4]) -> [u8; HEAD] {
        let mut to = Writer::new();
        to.put(&magic);
        to.u16(FORMAT);
        to.u16(self.key.0);
        to.u64(self.sender.node.0);
        to.u128(self.sender.boot.0);
        to.u32(self.number);
        to.finish()
    }

    fn parse(bytes: &[u8], magic: [u8; 4]) -> Result<Self, CopyError> {
        let from = &mut Reader::new(bytes);
        if from.array()? != magic {
            return Err(CopyError::Foreign);
        }
        let format = from.u16()?;
        if format != FORMAT {
            return Err(CopyError::Format(format));
        }
        let key = KeyId(from.u16()?);
        let sender = Life { node: NodeId(from.u64()?), boot: BootId(from.u128()?) };
        Ok(Self { key, sender, number: from.u32()? })
    }

    fn of(&self, partner: BootId) -> Result<(), CopyError> {
        if self.sender.boot == partner { Ok(()) } else { Err(CopyError::OtherLife) }
    }
}

/// The numbers of one life: of its questions, and of its streams.
#[derive(Debug)]
pub struct Numbers {
    own: Life,
    asked: u32,
    streams: u32,
    /// The last question of the partner that was answered, and in which life it was.
    answered: Option<(BootId, u32)>,
    /// The last stream of the partner that was heard.
    heard: Option<(BootId, u32)>,
}

impl Numbers {
    pub fn new(own: Life) -> Self {
        Self { own, asked: 0, streams: 0, answered: None, heard: None }
    }

    /// A question that was not asked before.
    pub fn ask(&mut self, keys: &PairKeys) -> Result<[u8; REQUEST], CopyError> {
        self.asked = self.asked.checked_add(1).ok_or(CopyError::Exhausted)?;
        let head = Head { key: keys.sealing().id(), sender: self.own, number: self.asked };
        let head_bytes = head.encode(ASKS);
        let seal = Seal::new(keys.sealing(), self.own, Purpose::REQUEST);
        let tag = seal.seal(number(self.asked, 0), &head_bytes, &mut []).map_err(|_| CopyError::Exhausted)?;
        let mut to = Writer::new();
        to.put(&head_bytes);
        to.put(&tag);
        Ok(to.finish())
    }

    /// Judges a question of the partner, whose life heartbeats tell. What to answer, and what to seal the stream with.
    pub fn answer(
        &mut self,
        request: &[u8; REQUEST],
        partner: BootId,
        keys: &PairKeys,
    ) -> Result<([u8; ANSWER], Sender), CopyError> {
        let (head_bytes, tag) = request.split_first_chunk::<HEAD>().ok_or(CopyError::Malformed)?;
        let head = Head::parse(head_bytes, ASKS)?;
        head.of(partner)?;
        let key = keys.named(head.key).ok_or(CopyError::OtherKey(head.key))?;
        let mut sealed: [u8; TAG] = tag.try_into().map_err(|_| CopyError::Malformed)?;
        let open = Open::new(key, head.sender, Purpose::REQUEST);
        open.open(number(head.number, 0), head_bytes, &mut sealed).map_err(|_| CopyError::Forged)?;
        if self.answered.is_some_and(|(boot, last)| boot == partner && head.number <= last) {
            return Err(CopyError::Replayed);
        }
        self.answered = Some((partner, head.number));
        self.streams = self.streams.checked_add(1).ok_or(CopyError::Exhausted)?;
        let head = Head { key: keys.sealing().id(), sender: self.own, number: self.streams };
        let seal = Seal::new(keys.sealing(), self.own, Purpose::COPY);
        Ok((head.encode(ANSWERS), Sender { seal, stream: self.streams, sequence: 0 }))
    }

    /// Judges an answer of the partner, whose life heartbeats tell. What to open its stream with.
    pub fn hear(&mut self, answer: &[u8; ANSWER], partner: BootId, keys: &PairKeys) -> Result<Receiver, CopyError> {
        let head = Head::parse(answer, ANSWERS)?;
        head.of(partner)?;
        let key = keys.named(head.key).ok_or(CopyError::OtherKey(head.key))?;
        if self.heard.is_some_and(|(boot, last)| boot == partner && head.number <= last) {
            return Err(CopyError::Replayed);
        }
        // Not proven before its first message opens. Whoever invents a number makes us refuse the partner's lower ones, so it counts
        // only then; see `Receiver::stream`.
        Ok(Receiver { open: Open::new(key, head.sender, Purpose::COPY), partner, stream: head.number, sequence: 0 })
    }

    /// A stream has shown that it is the partner's.
    pub fn proven(&mut self, receiver: &Receiver) {
        self.heard = Some((receiver.partner, receiver.stream));
    }
}

fn number(stream: u32, sequence: u64) -> RecordNumber {
    RecordNumber { stream, sequence }
}

/// Seals the messages of one stream.
pub struct Sender {
    seal: Seal,
    stream: u32,
    sequence: u64,
}

/// Opens the messages of one stream.
pub struct Receiver {
    open: Open,
    partner: BootId,
    stream: u32,
    sequence: u64,
}

impl Sender {
    /// The next message with its length before it.
    pub fn seal(&mut self, message: &Message) -> Result<Vec<u8>, CopyError> {
        let mut body = message.encode();
        let length = body.len() + TAG;
        if length > MOST {
            return Err(CopyError::TooLong(length));
        }
        self.sequence += 1;
        let head = (length as u32).to_be_bytes();
        let tag = self.seal.seal(number(self.stream, self.sequence), &head, &mut body);
        let tag = tag.map_err(|_| CopyError::TooLong(length))?;
        Ok([&head[..], &body, &tag].concat())
    }
}

impl Receiver {
    /// How many bytes follow these.
    pub fn length(head: [u8; LENGTH]) -> Result<usize, CopyError> {
        let length = u32::from_be_bytes(head) as usize;
        if (TAG..=MOST).contains(&length) { Ok(length) } else { Err(CopyError::TooLong(length)) }
    }

    /// The next message, of which these are the bytes behind its length.
    pub fn open(&mut self, sealed: &mut [u8]) -> Result<Message, CopyError> {
        self.sequence += 1;
        let head = (sealed.len() as u32).to_be_bytes();
        let opened = self.open.open(number(self.stream, self.sequence), &head, sealed);
        Message::decode(opened.map_err(|_| CopyError::Forged)?)
    }
}

/// What one dispatcher tells the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// There is nothing to tell.
    Alive,
    /// Connections of MAC forwarding.
    Connections(Vec<Connection>),
    /// Everything that there was when the stream began has been told.
    Whole,
    /// A client's server, of proxies.
    Affinity(Vec<Affinity>),
    /// Keys of the sender's session tickets, all there are.
    TicketKeys(Vec<[u8; TICKET_KEY]>),
}

/// A name and a secret.
pub const TICKET_KEY: usize = 48;

/// A connection of MAC forwarding. Names are hashes that are the same everywhere, addresses as in IPv6.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Connection {
    pub service: u64,
    pub server: u64,
    pub source: [u8; 16],
    pub destination: [u8; 16],
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u8,
    pub state: u8,
    pub idle_ms: u32,
}

/// A record of affinity.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Affinity {
    /// The hash of the port's name, or of the one it shares with.
    pub port: u64,
    /// Of the application; 0: the port itself.
    pub application: u64,
    /// The client's network as an IPv6 address, or a cookie's hash.
    pub who: [u8; 16],
    pub is_cookie: bool,
    pub server: u64,
    pub idle_ms: u32,
    pub time_ms: u32,
}

/// Records that fit one message.
pub const MOST_RECORDS: usize = 4000;

const ALIVE: u8 = 0;
const CONNECTIONS: u8 = 1;
const WHOLE: u8 = 2;
const AFFINITY: u8 = 3;
const TICKET_KEYS: u8 = 4;

const CONNECTION: usize = 8 + 8 + 16 + 16 + 2 + 2 + 1 + 1 + 4;
const RECORD: usize = 8 + 8 + 16 + 1 + 8 + 4 + 4;
const _: () = assert!(1 + CONNECTION * MOST_RECORDS + TAG <= MOST && CONNECTION >= RECORD);

impl Message {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Alive => vec![ALIVE],
            Self::Whole => vec![WHOLE],
            Self::Connections(all) => list(CONNECTIONS, all.iter().map(Connection::encode)),
            Self::Affinity(all) => list(AFFINITY, all.iter().map(Affinity::encode)),
            Self::TicketKeys(all) => list(TICKET_KEYS, all.iter().copied()),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, CopyError> {
        let (kind, rest) = bytes.split_first().ok_or(CopyError::Malformed)?;
        match (*kind, rest.is_empty()) {
            (ALIVE, true) => Ok(Self::Alive),
            (WHOLE, true) => Ok(Self::Whole),
            (CONNECTIONS, _) => records(rest, CONNECTION, Connection::decode).map(Self::Connections),
            (TICKET_KEYS, _) => records(rest, TICKET_KEY, |from| Ok(from.array()?)).map(Self::TicketKeys),
            (AFFINITY, _) => records(rest, RECORD, Affinity::decode).map(Self::Affinity),
            _ => Err(CopyError::Malformed),
        }
    }
}

fn list<const N: usize>(kind: u8, records: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
    let mut bytes = vec![kind];
    records.for_each(|record| bytes.extend(record));
    bytes
}

fn records<T>(
    bytes: &[u8],
    size: usize,
    decode: impl Fn(&mut Reader<'_>) -> Result<T, CopyError>,
) -> Result<Vec<T>, CopyError> {
    if !bytes.len().is_multiple_of(size) {
        return Err(CopyError::Malformed);
    }
    bytes.chunks_exact(size).map(|record| decode(&mut Reader::new(record))).collect()
}

impl Connection {
    fn encode(&self) -> [u8; CONNECTION] {
        let mut to = Writer::new();
        to.u64(self.service);
        to.u64(self.server);
        to.put(&self.source);
        to.put(&self.destination);
        to.u16(self.source_port);
        to.u16(self.destination_port);
        to.u8(self.protocol);
        to.u8(self.state);
        to.u32(self.idle_ms);
        to.finish()
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, CopyError> {
        Ok(Self {
            service: from.u64()?,
            server: from.u64()?,
            source: from.array()?,
            destination: from.array()?,
            source_port: from.u16()?,
            destination_port: from.u16()?,
            protocol: from.u8()?,
            state: from.u8()?,
            idle_ms: from.u32()?,
        })
    }
}

impl Affinity {
    fn encode(&self) -> [u8; RECORD] {
        let mut to = Writer::new();
        to.u64(self.port);
        to.u64(self.application);
        to.put(&self.who);
        to.u8(u8::from(self.is_cookie));
        to.u64(self.server);
        to.u32(self.idle_ms);
        to.u32(self.time_ms);
        to.finish()
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, CopyError> {
        Ok(Self {
            port: from.u64()?,
            application: from.u64()?,
            who: from.array()?,
            is_cookie: match from.u8()? {
                0 => false,
                1 => true,
                _ => return Err(CopyError::Malformed),
            },
            server: from.u64()?,
            idle_ms: from.u32()?,
            time_ms: from.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pairing::tests::{ALICE, BOB, keys};

    fn told() -> Vec<Message> {
        vec![
            Message::Connections(vec![Connection { service: 1, server: 2, idle_ms: 3, ..Connection::default() }; 3]),
            Message::Whole,
            Message::Affinity(vec![Affinity { port: 7, is_cookie: true, ..Affinity::default() }]),
            Message::TicketKeys(vec![[7; TICKET_KEY]; 2]),
            Message::Alive,
        ]
    }

    /// A stream of Alice's that Bob has asked for.
    fn stream(alice: &mut Numbers, bob: &mut Numbers) -> (Sender, Receiver) {
        let keys = keys(&[1]);
        let request = bob.ask(&keys).unwrap();
        let (answer, sender) = alice.answer(&request, BOB.boot, &keys).unwrap();
        let receiver = bob.hear(&answer, ALICE.boot, &keys).unwrap();
        bob.proven(&receiver);
        (sender, receiver)
    }

    fn both() -> (Numbers, Numbers) {
        (Numbers::new(ALICE), Numbers::new(BOB))
    }

    fn open(receiver: &mut Receiver, sealed: &[u8]) -> Result<Message, CopyError> {
        let (head, rest) = sealed.split_first_chunk::<LENGTH>().unwrap();
        assert_eq!(Receiver::length(*head), Ok(rest.len()));
        receiver.open(&mut rest.to_vec())
    }

    #[test]
    fn messages_come_as_they_were_told_and_in_their_order_alone() {
        let (mut alice, mut bob) = both();
        let (mut sender, mut receiver) = stream(&mut alice, &mut bob);
        let sealed: Vec<_> = told().iter().map(|message| sender.seal(message).unwrap()).collect();
        let (_, mut other) = stream(&mut alice, &mut bob);
        assert_eq!(open(&mut other, &sealed[0]), Err(CopyError::Forged), "of another stream");
        for (sealed, told) in sealed.iter().zip(told()) {
            assert_eq!(open(&mut receiver, sealed), Ok(told));
        }
        assert_eq!(open(&mut receiver, &sealed[4]), Err(CopyError::Forged), "once more");
    }

    #[test]
    fn a_question_is_answered_once_and_only_in_the_present_life() {
        let ((mut alice, mut bob), keys) = (both(), keys(&[1]));
        let request = bob.ask(&keys).unwrap();
        let other = BootId(0xdead);
        assert_eq!(alice.answer(&request, other, &keys).err(), Some(CopyError::OtherLife));
        let mut forged = request;
        forged[HEAD - 1] ^= 2;
        assert_eq!(alice.answer(&forged, BOB.boot, &keys).err(), Some(CopyError::Forged));
        assert!(alice.answer(&request, BOB.boot, &keys).is_ok());
        assert_eq!(alice.answer(&request, BOB.boot, &keys).err(), Some(CopyError::Replayed));
        assert_eq!(alice.answer(&[b'G'; REQUEST], BOB.boot, &keys).err(), Some(CopyError::Foreign));
        let unknown = crate::pairing::tests::keys(&[2]);
        let request = bob.ask(&unknown).unwrap();
        assert!(matches!(alice.answer(&request, BOB.boot, &keys).err(), Some(CopyError::OtherKey(_))));
    }

    #[test]
    fn a_stream_is_heard_once() {
        let ((mut alice, mut bob), keys) = (both(), keys(&[1]));
        let request = bob.ask(&keys).unwrap();
        let (answer, _) = alice.answer(&request, BOB.boot, &keys).unwrap();
        let receiver = bob.hear(&answer, ALICE.boot, &keys).unwrap();
        assert!(bob.hear(&answer, ALICE.boot, &keys).is_ok(), "nothing of it was proven");
        bob.proven(&receiver);
        assert_eq!(bob.hear(&answer, ALICE.boot, &keys).err(), Some(CopyError::Replayed));
        assert_eq!(bob.hear(&answer, BootId(0xdead), &keys).err(), Some(CopyError::OtherLife));
    }

    #[test]
    fn lengths_have_bounds() {
        for (length, is_right) in [(0, false), (15, false), (16, true), (MOST, true), (MOST + 1, false)] {
            assert_eq!(Receiver::length((length as u32).to_be_bytes()).is_ok(), is_right, "{length}");
        }
        let full = Message::Connections(vec![Connection::default(); MOST_RECORDS]);
        let (mut alice, mut bob) = both();
        let (mut sender, mut receiver) = stream(&mut alice, &mut bob);
        assert_eq!(open(&mut receiver, &sender.seal(&full).unwrap()), Ok(full));
    }

    proptest! {
        #[test]
        fn any_bytes_are_understood_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
