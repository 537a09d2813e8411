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
mod budget;
mod clock;
mod cookies;
mod counters;
mod decide;
mod failover;
mod group;
pub mod maglev;
mod mark;
mod pace;
mod partitions;
mod picker;
mod queue;
mod request;
mod ring;
mod table;
mod wheel;

pub use affinity::{AffinityCopy, AffinityTable, Session};
pub use cookies::{CookieKey, Sessions};
pub use counters::{
    ActiveConnection, Histogram, HistogramReading, LATENCY_BOUNDS_US, Lane, OpenConnection, Phase, PortCounters,
    PortReading, ServerCounters, ServerReading,
};
pub use decide::{
    Ask, Decision, Moment, Narrator, Refusal, RequestAsk, Silent, Step, Tried, Turn, Why, decide, decide_aloud,
    measured,
};
pub use failover::{Event, Replay, Situation, Verdict, verdict};
pub use group::{GroupIndex, GroupTable};
pub use mark::{Mark, Marked};
pub use partitions::{NotTaken, Partitions};
pub use picker::Picker;
pub use queue::{Queue, Waiting};
pub use request::{RequestView, Routed};
pub use ring::{Cursor, Ring};
pub use table::{
    Affinity, ForwardingTable, PortPlan, PortTable, RouteEntry, RouteTarget, RuleEntry, ServerEntry, ServerIndex,
    ServerPlan, Takes, fnv1a, name_hash,
};
