//! `dscontrol alerts status`.

use std::time::Instant;

use crate::control::{Command, Reply};
use crate::dispatcher::Outside;

use super::Desk;
use super::file::off_thread;
use crate::daemon::scripts;

impl Desk {
    /// The settings, and what would become of each script if it were due: better read now than on the day of the alert.
    pub(super) async fn alerts_status(&self) -> Reply {
        let settings = self.heart.read(|dispatcher| dispatcher.config().alerts.clone());
        let as_others = self.heart.scripts().run_as_others();
        let scripts = off_thread(move || scripts::survey(&settings, as_others)).await;
        let outside = Outside { scripts, ..self.outside() };
        self.heart.read(|dispatcher| dispatcher.answer(&Command::AlertsStatus, &outside, Instant::now()))
    }
}
