//! The configuration as the other rooms take it.

use crate::model::{
    Advisor, AlertSettings, Cluster, ControlSettings, ExecutorSettings, LogSettings, ManagerSettings, MetricsSettings,
    PairSettings,
};

/// What a document means, with nothing left to check: names are unique, references lead somewhere, numbers are in range.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub executor: ExecutorSettings,
    pub manager: ManagerSettings,
    pub control: ControlSettings,
    pub metrics: MetricsSettings,
    pub log: LogSettings,
    pub alerts: AlertSettings,
    /// `None`: this dispatcher has no partner.
    pub pair: Option<PairSettings>,
    pub clusters: Vec<Cluster>,
    pub advisors: Vec<Advisor>,
}
