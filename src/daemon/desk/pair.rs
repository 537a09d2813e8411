//! `dscontrol highavailability takeover`, and what reports say of the pair.

use std::net::IpAddr;

use crate::config::Refusal;
use crate::control::Reply;
use crate::daemon::pair::TakenOver;
use crate::dispatcher::{NoPair, not_taken_over};

use super::Desk;

impl Desk {
    /// Returns when the group is here, or it is known why not.
    pub(super) async fn takeover(&self, primaryhost: Option<IpAddr>) -> Result<Reply, Refusal> {
        let group = self.heart.read(|dispatcher| match dispatcher.pair() {
            None => Err(NoPair::NotConfigured),
            Some(plan) => plan.taken_over(primaryhost),
        });
        let group = group.map_err(NoPair::refusal)?;
        let service = self.heart.partnership().service().ok_or_else(|| NoPair::NotRunning.refusal())?;
        match service.take_over(group).await {
            TakenOver::Done => Ok(Reply::done("taken over: this dispatcher is active")),
            TakenOver::Refused(why) => Err(Refusal::Refused(not_taken_over(why))),
            TakenOver::NoAnswer => Err(NoPair::NotRunning.refusal()),
        }
    }
}
