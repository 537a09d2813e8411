//! Weights from evidence, and how far verdicts of advisors may go.
//!
//! The [`Manager`] mixes what is known of each server (active connections, new connections, advisor load, system
//! metric) into a weight; [`Verdicts`] says which servers may be taken out when advisors call them down. The manager
//! says how much; the executor says who is next. There is no clock and no socket here: samples and the time are
//! handed in. Probing is the advisor's business, publishing the dispatcher's.
//!
//! # What happens to a weight
//!
//! The weight that is published for a server is the one computed while it was in service: between 1 and the port's
//! weightbound. Being down or quiesced never overwrites it. Such a server is left out of the comparison, its last
//! computed weight is kept aside, and it goes on from there when it comes back; [`effective_weight`] says what a server
//! is worth at the moment (0 while out), [`reported_weight`] what reports show (-1 down, 0 quiesced). A fixed weight is
//! never touched, though the manager still says what it would have given. Weight 0 is an operator's wish ("finish
//! what you have, take nothing new") and stays 0 until the operator takes it back.

mod effective;
mod evidence;
mod rounds;
mod sample;
mod shares;
mod track;
mod velocity;
mod verdicts;

pub use effective::{effective_weight, reported_weight};
pub use evidence::{Evidence, PartialWeights};
pub use rounds::Manager;
pub use sample::{PortSample, ServerSample, WeightChange};
pub use verdicts::{PortVerdicts, StandingChange, Verdict, Verdicts};
