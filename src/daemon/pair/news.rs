//! Tells what happens to the pair in the log.

use crate::daemon::log;
use crate::dispatcher::{PairPlan, pair_notice};
use crate::sys::priority::Priority;

use super::thread::News;

/// Writes it down.
pub fn tell(news: &News, plan: Option<&PairPlan<'_>>) {
    match news {
        News::Notice(notice) => log::write(&pair_notice(notice, plan)),
        News::Path(text) => tracing::warn!(target: "tsuji::state", "pair: {text}"),
        News::Priority(Priority::Usual) => tracing::warn!(
            "pair: heartbeats have no priority over other threads, so a busy host may look dead to the partner: CAP_SYS_NICE, or \
             the limit LimitNICE=-10, would be right"
        ),
        News::Priority(priority) => tracing::debug!("pair: heartbeats have the priority {priority:?}"),
        News::Persist { .. } => {}
    }
}
