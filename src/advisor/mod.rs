//! When servers are probed and what the outcome of a probe means.
//!
//! [`Advisors`] keeps the schedule: it hands out one [`ProbeOrder`] after the other, is told each [`ProbeOutcome`], and
//! knows from that the health of each server and its load in milliseconds. [`dialogue`] knows what is said to a server
//! and which answer is good. There is no clock and no socket here: the daemon carries the orders out. How far a verdict
//! is followed (velocity limit, fail-open) is the manager's business.

pub mod dialogue;
mod jitter;
mod order;
mod patience;
mod queue;
mod record;
mod schedule;
mod scope;
mod target;

pub use order::{ProbeId, ProbeOrder, ProbeOutcome};
pub use record::{ProbeResult, Record};
pub use schedule::{Advisors, HealthChange, MAX_IN_FLIGHT, MAX_IN_FLIGHT_DOWN};
pub use scope::applying;
pub use target::Target;
