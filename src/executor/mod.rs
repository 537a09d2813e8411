//! Who is next: the choice of a server for a new connection.
//!
//! The executor's knowledge is one immutable [`ForwardingTable`]; every change of configuration, health or
//! weight makes a new one, so that a reader never sees half of a change. [`decide`] walks it in the one order that
//! all data paths share: affinity, rules, weighted round robin, the policy for "all down". What outlives a
//! table hangs in it by reference: counters, ring cursors, the affinity records.
//!
//! Not here: where weights come from (`manager`), whether a server is healthy (`advisor`), how bytes
//! get there (`datapath`). No clock is read and nothing blocks; choosing takes neither a lock nor memory,
//! the look-up of an affinity record excepted (one shard of the shared table, once per client connection).

mod affinity;
mod counters;
mod decide;
mod ring;
mod table;

pub use affinity::{AffinityTable, Session};
pub use counters::{
    ActiveConnection, Histogram, HistogramReading, LATENCY_BOUNDS_US, Lane, OpenConnection, Phase, PortCounters,
    PortReading, ServerCounters, ServerReading,
};
pub use decide::{
    Ask, Decision, Moment, Narrator, Refusal, Silent, Step, Tried, Turn, Why, decide, decide_aloud, measured,
};
pub use ring::{Cursor, Ring};
pub use table::{
    Affinity, ForwardingTable, PortPlan, PortTable, RuleEntry, ServerEntry, ServerIndex, ServerPlan, Takes, fnv1a,
    name_hash,
};
