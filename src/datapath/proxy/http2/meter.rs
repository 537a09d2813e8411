//! Which frames a peer sends, and whether it sends more of a kind than anybody needs.
//!
//! Frames without data cost their sender next to nothing and us a look, an answer or a place in memory: pings, settings,
//! windows, resets, priorities, continuations (CVE-2019-9512, -9515, -9518, CVE-2023-44487, CVE-2024-27316). The crate `h2`
//! bounds some of what follows from them; how many come is counted here, over the bytes as they come in.

use std::time::{Duration, Instant};

use super::frames::{Frames, HEAD, Head};

/// Why a peer is not heard any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Flood {
    Resets,
    Pings,
    Settings,
    Windows,
    Priorities,
    Continuations,
    EmptyData,
}

/// Frames of each kind that may come within [`SPAN`].
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Allowance {
    pub resets: u32,
    pub pings: u32,
    pub settings: u32,
    pub priorities: u32,
    pub empty_data: u32,
    /// Beyond one for each KiB that we sent.
    pub windows: u32,
    /// Of one block of fields, not of a span.
    pub continuations: u32,
}

/// Over which frames are counted.
const SPAN: Duration = Duration::from_secs(10);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// The preface that a client begins with (RFC 9113 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Where in the peer's bytes we are, and what came so far.
#[derive(Debug)]
pub(super) struct Meter {
    allowance: Allowance,
    frames: Frames,
    /// What is passed over is data, which has timers of its own.
    in_data: bool,
    /// A block of fields has begun and is not at its end.
    in_block: bool,
    continuations: u32,
    counts: Counts,
    since: Option<Instant>,
    /// Bytes sent that no window, and no ping, has paid for yet.
    credit: u64,
    ping_credit: u64,
    /// Bytes sent in all.
    total: u64,
    /// What the frames of this turn cost.
    spent: usize,
}

/// What one turn may cost, in frames without fields. What `h2` is not given waits in the socket while others have their
/// turn: a connection that says much at once costs them no more than this.
const TURN: usize = 100;

/// What was sent pays for windows and pings that come while it is on its way, not for those of another day.
const MOST_CREDIT: u64 = 4 << 20;
const MOST_PING_CREDIT: u64 = 64 << 10;

#[derive(Debug, Default)]
struct Counts {
    resets: u32,
    pings: u32,
    settings: u32,
    priorities: u32,
    empty_data: u32,
    windows: u32,
}

impl Meter {
    pub fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            frames: Frames::after(PREFACE.len()),
            in_data: false,
            in_block: false,
            continuations: 0,
            counts: Counts::default(),
            since: None,
            credit: 0,
            ping_credit: 0,
            total: 0,
            spent: 0,
        }
    }

    pub fn begin_turn(&mut self) {
        self.spent = 0;
    }

    /// Whether the rest has to wait for the next turn.
    pub fn is_spent(&self) -> bool {
        self.spent >= TURN
    }

    /// Whether the peer is in the middle of a block of fields or of a frame other than data.
    pub fn is_midway(&self) -> bool {
        self.in_block || self.frames.filled() > 0 || (self.frames.is_passing() && !self.in_data)
    }

    /// So much went to the peer.
    pub fn sent(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.credit = self.credit.saturating_add(bytes).min(MOST_CREDIT);
        self.ping_credit = self.ping_credit.saturating_add(bytes).min(MOST_PING_CREDIT);
        self.total = self.total.saturating_add(bytes);
    }

    /// Bytes that ever went to the peer.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// These bytes came; so many of them are for this turn. The time is asked for only when a frame is counted.
    pub fn read(&mut self, bytes: &[u8], now: impl Fn() -> Instant) -> Result<usize, Flood> {
        let mut rest = bytes;
        while self.frames.gather(&mut rest, HEAD) {
            self.frame(&now)?;
            if self.is_spent() {
                self.frames.skip(&mut rest);
                return Ok(bytes.len() - rest.len());
            }
        }
        Ok(bytes.len())
    }

    /// A head is complete.
    fn frame(&mut self, now: &impl Fn() -> Instant) -> Result<(), Flood> {
        let Head { length, kind, flags } = self.frames.head();
        self.frames.pass(length);
        self.in_data = kind == DATA;
        self.spent += cost(kind, length);
        match kind {
            HEADERS => self.block(flags, 0),
            CONTINUATION => self.block(flags, 1),
            DATA if length == 0 && flags & END_STREAM == 0 => {
                self.count(now, |counts| &mut counts.empty_data, self.allowance.empty_data, Flood::EmptyData)
            }
            RST_STREAM => self.count(now, |counts| &mut counts.resets, self.allowance.resets, Flood::Resets),
            PING if flags & ACK == 0 => self.ping(now),
            SETTINGS if flags & ACK == 0 => {
                self.count(now, |counts| &mut counts.settings, self.allowance.settings, Flood::Settings)
            }
            WINDOW_UPDATE => self.window(now),
            DATA | SETTINGS | GOAWAY => Ok(()),
            // Priorities, frames of kinds that nobody knows, answers to pings that nobody sent: all of it is read and thrown away.
            _ => self.count(now, |counts| &mut counts.priorities, self.allowance.priorities, Flood::Priorities),
        }
    }

    fn block(&mut self, flags: u8, continuations: u32) -> Result<(), Flood> {
        self.in_block = flags & END_HEADERS == 0;
        self.continuations = if continuations == 0 { 0 } else { self.continuations + 1 };
        if self.continuations > self.allowance.continuations { Err(Flood::Continuations) } else { Ok(()) }
    }

    /// Who takes much opens its windows often; who opens them and takes nothing only keeps us busy.
    fn window(&mut self, now: &impl Fn() -> Instant) -> Result<(), Flood> {
        const PAID: u64 = 1024;
        if self.credit >= PAID {
            self.credit -= PAID;
            return Ok(());
        }
        self.count(now, |counts| &mut counts.windows, self.allowance.windows, Flood::Windows)
    }

    /// Clients measure their line with a ping for each piece of data that they get (grpc-go). Our answer to a ping does not
    /// pay for the next one.
    fn ping(&mut self, now: &impl Fn() -> Instant) -> Result<(), Flood> {
        const PAID: u64 = 32;
        if self.ping_credit >= PAID {
            self.ping_credit -= PAID;
            return Ok(());
        }
        self.count(now, |counts| &mut counts.pings, self.allowance.pings, Flood::Pings)
    }

    fn count(
        &mut self,
        now: &impl Fn() -> Instant,
        which: impl Fn(&mut Counts) -> &mut u32,
        most: u32,
        flood: Flood,
    ) -> Result<(), Flood> {
        let now = now();
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= SPAN) {
            self.since = Some(now);
            self.counts = Counts::default();
        }
        let count = which(&mut self.counts);
        *count += 1;
        if *count > most { Err(flood) } else { Ok(()) }
    }
}

/// A request is a task of its own and a connection to a server; each of its fields, which may be one byte here, is looked at
/// and made a value.
fn cost(kind: u8, length: usize) -> usize {
    match kind {
        HEADERS | CONTINUATION => 4 + length / 64,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIORITY: u8 = 2;

    const FEW: Allowance =
        Allowance { resets: 3, pings: 3, settings: 3, priorities: 3, empty_data: 3, windows: 3, continuations: 2 };

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0, (length >> 8) as u8, length as u8, kind, flags, 0, 0, 0, 1];
        bytes.extend(std::iter::repeat_n(0xFF, length));
        bytes
    }

    /// All of it, in as many turns as it takes.
    fn hear(meter: &mut Meter, mut bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Flood> {
        while !bytes.is_empty() {
            meter.begin_turn();
            let heard = meter.read(bytes, &now)?;
            bytes = &bytes[heard..];
        }
        Ok(())
    }

    fn meter() -> Meter {
        let mut meter = Meter::new(FEW);
        hear(&mut meter, PREFACE, Instant::now).unwrap();
        meter
    }

    #[test]
    fn more_of_a_kind_than_anybody_needs_is_a_flood() {
        let cases = [
            (frame(RST_STREAM, 0, 4), Flood::Resets),
            (frame(PING, 0, 8), Flood::Pings),
            (frame(SETTINGS, 0, 6), Flood::Settings),
            (frame(PRIORITY, 0, 5), Flood::Priorities),
            (frame(WINDOW_UPDATE, 0, 4), Flood::Windows),
            (frame(DATA, 0, 0), Flood::EmptyData),
        ];
        for (bytes, flood) in cases {
            let (mut meter, start) = (meter(), Instant::now());
            for _ in 0..3 {
                assert_eq!(hear(&mut meter, &bytes, || start), Ok(()), "{flood:?}");
            }
            assert_eq!(hear(&mut meter, &bytes, || start), Err(flood));
            assert_eq!(hear(&mut meter, &bytes, || start + SPAN), Ok(()), "{flood:?}: later");
        }
    }

    #[test]
    fn what_an_honest_peer_sends_is_none() {
        let mut meter = meter();
        let start = Instant::now();
        for _ in 0..1000 {
            for bytes in [
                frame(HEADERS, END_HEADERS, 40),
                frame(DATA, 0, 900),
                frame(DATA, END_STREAM, 0),
                frame(SETTINGS, ACK, 0),
            ] {
                assert_eq!(hear(&mut meter, &bytes, || start), Ok(()));
            }
            meter.sent(2048);
            for kind in [WINDOW_UPDATE, PING] {
                assert_eq!(hear(&mut meter, &frame(kind, 0, 8), || start), Ok(()), "it has taken something");
            }
        }
        assert_eq!(hear(&mut meter, &frame(PING, ACK, 8), || start), Ok(()), "we asked once, at the end");
        assert!(!meter.is_midway());
        // A slow upload is in the middle of some frame most of the time.
        assert_eq!(hear(&mut meter, &[0, 4, 0, DATA, 0, 0, 0, 0, 1, 7], || start), Ok(()));
        assert!(!meter.is_midway());
    }

    #[test]
    fn what_was_sent_long_ago_pays_for_little() {
        let mut meter = meter();
        meter.sent(1 << 30);
        let pings = frame(PING, 0, 8).repeat(MOST_PING_CREDIT as usize / 32 + 3);
        assert_eq!(hear(&mut meter, &pings, Instant::now), Ok(()));
        assert_eq!(hear(&mut meter, &frame(PING, 0, 8), Instant::now), Err(Flood::Pings));
    }

    #[test]
    fn continuations_belong_to_one_block() {
        let mut meter = meter();
        let start = Instant::now();
        for _ in 0..10 {
            for bytes in [frame(HEADERS, 0, 9), frame(CONTINUATION, 0, 9), frame(CONTINUATION, END_HEADERS, 9)] {
                assert_eq!(hear(&mut meter, &bytes, || start), Ok(()));
            }
        }
        assert!(!meter.is_midway());
        for bytes in [frame(HEADERS, 0, 9), frame(CONTINUATION, 0, 0), frame(CONTINUATION, 0, 0)] {
            assert_eq!(hear(&mut meter, &bytes, || start), Ok(()));
            assert!(meter.is_midway());
        }
        assert_eq!(hear(&mut meter, &frame(CONTINUATION, 0, 0), || start), Err(Flood::Continuations));
    }

    /// However the bytes are cut.
    #[test]
    fn a_turn_ends_with_a_frame_and_the_next_goes_on_behind_it() {
        let mut meter = meter();
        let bytes = frame(DATA, 0, 7).repeat(TURN + 3);
        let heard = meter.read(&bytes, Instant::now).unwrap();
        assert_eq!((heard, meter.is_spent()), (TURN * frame(DATA, 0, 7).len(), true));
        meter.begin_turn();
        assert_eq!(meter.read(&bytes[heard..], Instant::now), Ok(bytes.len() - heard));
        assert!(!meter.is_spent() && !meter.is_midway());
        // A block of fields of one byte each is a turn by itself; what is not here yet of its frame belongs to the next.
        meter.begin_turn();
        let block = frame(HEADERS, END_HEADERS, 9000);
        assert_eq!(meter.read(&block[..100], Instant::now), Ok(100));
        assert!(meter.is_spent());
        meter.begin_turn();
        let rest = [&block[100..], &frame(DATA, 0, 0)].concat();
        assert_eq!(meter.read(&rest, Instant::now), Ok(rest.len()));
    }

    #[test]
    fn pieces_do_not_matter() {
        let bytes: Vec<u8> = [PREFACE.to_vec(), frame(PING, 0, 8), frame(DATA, 0, 300), frame(PING, 0, 8)].concat();
        for size in 1..20 {
            let mut meter = Meter::new(FEW);
            for piece in bytes.chunks(size) {
                assert_eq!(hear(&mut meter, piece, Instant::now), Ok(()));
            }
            assert_eq!((meter.counts.pings, meter.is_midway()), (2, false), "{size}");
        }
    }
}
