//! The certificates in use.

use crate::control::reply::{CertificateLine, CertificateReport};

use super::Look;
use crate::dispatcher::CertificateInUse;

impl Look<'_> {
    pub(super) fn certificates(&self) -> CertificateReport {
        CertificateReport {
            certificates: self.heart.certificates().map(|certificate| self.certificate(&certificate)).collect(),
            without: self.heart.bare_ports().map(ToString::to_string).collect(),
        }
    }

    fn certificate(&self, certificate: &CertificateInUse<'_>) -> CertificateLine {
        let facts = &certificate.identity.facts;
        let addresses = facts.addresses.iter().map(ToString::to_string);
        CertificateLine {
            object: certificate.object(),
            file: certificate.identity.path.display().to_string(),
            names: facts.names.iter().cloned().chain(addresses).collect(),
            subject: facts.subject.clone(),
            issuer: facts.issuer.clone(),
            not_before: facts.not_before,
            not_after: facts.not_after,
            days_left: facts.days_left(self.outside.seconds),
            key: facts.key.clone(),
        }
    }
}
