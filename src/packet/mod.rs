//! What a packet engine decides with.
//!
//! [`plan`] is the forwarding table compiled for packets: conditions on the time or on load are settled, what depends on
//! the client's address stays, and each choice is a list to pick from. The engines turn a plan into tables of their own.

pub mod compile;
pub mod connections;
pub mod forward;
pub mod hash;
pub mod layout;
pub mod plan;
pub mod reason;
pub mod sweep;

pub use plan::{Choice, Clients, Plan, RulePlan, ServerFlags, ServerPlan, ServicePlan, Sticky};
