//! What the manager is told each round, and what it answers.

use crate::model::{AdministrativeState, PortId, Proportions, ServerId, Weight, WeightBound};

/// One port and its servers at the time of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct PortSample {
    pub port: PortId,
    pub bound: WeightBound,
    /// As in force: with the advisor's percent already taken, if one runs on the port.
    pub proportions: Proportions,
    pub servers: Vec<ServerSample>,
}

/// One server at the time of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSample {
    pub server: ServerId,
    /// As published, whatever the server's state. A value that the manager did not publish is the operator's, and the
    /// manager goes on from it.
    pub weight: Weight,
    /// The operator forbade to change the weight.
    pub fixed: bool,
    pub state: AdministrativeState,
    /// Taken out because of its health.
    pub down: bool,
    /// In flight now.
    pub active: u64,
    /// Ever begun; the manager takes differences.
    pub total: u64,
    /// Load in milliseconds; `None`: no advisor, no answer yet, or too old.
    pub advisor: Option<f64>,
    /// System metric; `None`: no metric.
    pub system: Option<f64>,
}

impl ServerSample {
    /// Takes new connections, so it is compared with the others and weighed.
    pub fn in_service(&self) -> bool {
        !self.down && self.state == AdministrativeState::Up && self.weight != Weight::ZERO
    }
}

/// A weight that the manager wants published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WeightChange {
    pub port: PortId,
    pub server: ServerId,
    pub weight: Weight,
}
