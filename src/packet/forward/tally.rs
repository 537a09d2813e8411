//! What is counted. The lane of a CPU, or of a thread in its place, has one writer, so plain loads and stores count right.

use std::sync::atomic::{AtomicU64, Ordering};

use super::tables::{Tables, element};
use crate::packet::connections::State;
use crate::packet::layout::{MAX_SERVERS, REASONS};
use crate::packet::reason::Reason;

/// What is counted of a server, by its place among the counters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Count {
    Packets,
    Bytes,
    Opened,
    ClosedFin,
    ClosedRst,
    PickedUp,
    Sticky,
    Resets,
}

/// One writer's counters.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    tables: Tables<'a>,
    lane: u32,
}

/// What a flood gauge says, as it lies in its words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauge {
    /// The generation of the newest connection.
    pub serial: u32,
    pub window: u32,
    pub created: u32,
    pub picked_up: u32,
    pub stateless: bool,
}

fn add(word: &AtomicU64, amount: u64) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

impl<'a> Tally<'a> {
    pub fn new(tables: Tables<'a>, lane: u32) -> Self {
        Self { tables, lane }
    }

    pub fn remark(&self, reason: Reason, bytes: u32) {
        if let Some([packets, sum]) = element(self.tables.reasons, self.lane * REASONS + reason as u32) {
            add(packets, 1);
            add(sum, u64::from(bytes));
        }
    }

    pub fn add(&self, server: u16, count: Count, amount: u64) {
        let place = self.lane * MAX_SERVERS + u32::from(server) % MAX_SERVERS;
        let words = element::<8>(self.tables.counters, place);
        if let Some(word) = words.and_then(|words| words.get(count as usize)) {
            add(word, amount);
        }
    }

    /// A connection that was counted as open goes from one state to another.
    pub fn count_end(&self, server: u16, before: State, after: State) {
        if matches!(before, State::Fin | State::Closed) {
            return;
        }
        match after {
            State::Fin => self.add(server, Count::ClosedFin, 1),
            State::Closed => self.add(server, Count::ClosedRst, 1),
            _ => (),
        }
    }

    pub fn gauge(&self) -> Gauge {
        let Some([a, b, c, ..]) = element::<8>(self.tables.gauges, self.lane) else { return Gauge::default() };
        let [a, b, c] = [a, b, c].map(|word| word.load(Ordering::Relaxed));
        Gauge {
            serial: a as u32,
            window: (a >> 32) as u32,
            created: b as u32,
            picked_up: (b >> 32) as u32,
            stateless: c as u32 != 0,
        }
    }

    pub fn set_gauge(&self, gauge: Gauge) {
        let Some([a, b, c, ..]) = element::<8>(self.tables.gauges, self.lane) else { return };
        a.store(u64::from(gauge.window) << 32 | u64::from(gauge.serial), Ordering::Relaxed);
        b.store(u64::from(gauge.picked_up) << 32 | u64::from(gauge.created), Ordering::Relaxed);
        c.store(u64::from(gauge.stateless), Ordering::Relaxed);
    }
}
