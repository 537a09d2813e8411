//! Certificates that are read again, by command or because their files changed.

use crate::config::Refusal;
use crate::control::Reply;
use crate::dispatcher::Needs;

use super::super::chain;
use super::{Desk, more};

impl Desk {
    /// Reads them again because somebody says so.
    pub(super) async fn reload_certificates(&self) -> Result<Reply, Refusal> {
        let changed = self.read_again().await.map_err(Refusal::Refused)?;
        Ok(Reply::done(match changed {
            0 => "certificates are as they were".to_owned(),
            1 => "certificates of one port are new".to_owned(),
            many => format!("certificates of {many} ports are new"),
        }))
    }

    /// Reads them again because their files changed. What cannot be used leaves in force what is.
    pub async fn renew_certificates(&self) {
        if let Err(fault) = self.read_again().await {
            tracing::error!(target: "tsuji::state", "certificates: {fault}");
        }
    }

    async fn read_again(&self) -> Result<usize, String> {
        let _turn = self.heart.begin_change().await;
        let (fronts, backs) = self.heart.read(|dispatcher| dispatcher.tls_settings());
        let needs = Needs { fronts, backs, ..Needs::default() };
        let fetched = self.heart.fetcher().fetch(&needs).await;
        let resources = fetched.map_err(|error| self.not_renewed(&error))?;
        if let Some(fault) = self.heart.worsened(&resources) {
            return Err(self.not_renewed(&fault));
        }
        more(&self.tally.certificates_read);
        self.certificate_trouble.replace(Some(Vec::new()));
        Ok(self.heart.renew(&resources))
    }

    /// What could not be used at the start.
    pub fn note_certificates(&self, trouble: Vec<String>) {
        if !trouble.is_empty() {
            self.certificate_trouble.replace(Some(trouble));
        }
    }

    fn not_renewed(&self, fault: &dyn std::error::Error) -> String {
        more(&self.tally.certificates_refused);
        let told = format!("those in force stay: {}", chain(fault));
        self.certificate_trouble.replace(Some(vec![format!("certificates: {told}")]));
        told
    }

    /// What is wrong with the files of certificates, as long as it is.
    pub(super) fn certificate_trouble(&self) -> Vec<String> {
        self.certificate_trouble.borrow().clone().unwrap_or_default()
    }

    /// Whether the last attempt to read certificates again went well; `None` before the first.
    pub fn certificates_are_good(&self) -> Option<bool> {
        self.certificate_trouble.borrow().as_ref().map(Vec::is_empty)
    }
}
