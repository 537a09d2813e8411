//! What the manager knew of a server when it last weighed it.

use crate::model::Weight;

/// A server's row of `manager report`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// ACTV: in flight when connections were last counted.
    pub active: u64,
    /// NEWC: begun between the last two counts; `None` before there were two, or when the counter went backwards.
    pub new: Option<u64>,
    /// PORT: advisor load in milliseconds.
    pub advisor: Option<f64>,
    /// SYS: system metric.
    pub system: Option<f64>,
    /// The weight that each kind of evidence alone would give; `None` while the server is out of service.
    pub partial: Option<PartialWeights>,
    /// NEW: what the manager would give now. Out of service it is the weight kept for the return; 0 only if the
    /// operator set 0.
    pub weight: Weight,
}

/// Four weights, each above 0 and at most the port's weightbound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartialWeights {
    pub active: f64,
    pub new: f64,
    pub port: f64,
    pub system: f64,
}
