//! `dscontrol highavailability takeover`.

use std::net::IpAddr;

use crate::config::Refusal;
use crate::control::Reply;
use crate::dispatcher::NoPair;

use super::Desk;

impl Desk {
    /// Nothing runs a pair yet, so nobody can take anything over. What is wrong with the command itself is told first.
    pub(super) fn takeover(&self, primaryhost: Option<IpAddr>) -> Result<Reply, Refusal> {
        let refusal = self.heart.read(|dispatcher| match dispatcher.pair() {
            None => NoPair::NotConfigured,
            Some(plan) => plan.taken_over(primaryhost).map_or_else(|wrong| wrong, |_| NoPair::NotRunning),
        });
        Err(refusal.refusal())
    }
}
