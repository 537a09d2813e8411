//! Two dispatchers, one of which answers for the cluster addresses: the pair as a machine of events and time.
//!
//! Heartbeats, health, commands and the time go in ([`Pair::handle`]); heartbeats, claims and notices come out
//! ([`Pair::poll_action`]), and the machine says when it wants to be called again ([`Pair::next_deadline`]). It decides who claims
//! which group of clusters and when, and how a group goes from one dispatcher to the other with nobody claiming beside anybody.
//!
//! A claim is a lease: a heartbeat that was sent lets its sender claim for 0.8 of the dead time ([`Pair::claims`]), and the
//! partner takes over no sooner than a dead time after it has heard one. So a dispatcher that hangs has ceased to claim before
//! another begins, without anybody having to reach it.
//!
//! Not here: bytes, keys and the check against replays (who hands over a heartbeat has done that), sockets, ARP
//! (`claim`), the copying of tables, files, scripts, the words of commands. The machine knows nothing of clusters either, only groups.

mod damper;
mod event;
mod group;
mod hand_over;
mod hearing;
mod heartbeat;
mod pair;
mod partner;
mod path;
mod report;
mod settings;
mod speaking;
#[cfg(test)]
mod tests;
mod vacancy;
mod view;
mod words;

pub use crate::model::{Timings, TimingsError};
pub use event::{Action, Change, Event, Misconfiguration, Notice, Reason, Refusal, TAKEOVER_LIMIT};
pub use heartbeat::{Answer, Cause, Configuration, Echo, GroupWord, Health, Heartbeat, Objection, Sync, Wish};
pub use pair::Pair;
pub use report::{GroupReport, PartnerReport, PathReport, Report, SubState};
pub use settings::{Settings, SettingsError};
pub use words::{BootId, Epoch, GroupId, GroupState, MOST_GROUPS, MOST_PATHS, NodeId, PathId, Recovery, Role};
