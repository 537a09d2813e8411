//! Certificates for tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;

use super::{FileText, IdentityFiles};

/// An issuer of certificates.
pub(super) struct Issuer(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(super) struct Made {
    pub der: CertificateDer<'static>,
    chain: String,
    key: String,
}

impl Issuer {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test issuer");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn certificate(&self, names: &[&str]) -> Made {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let chain = certificate.pem() + &self.0.pem();
        Made { der: certificate.der().clone(), chain, key: key.serialize_pem() }
    }
}

impl Made {
    /// All in one file.
    pub fn files(&self, path: &str) -> IdentityFiles {
        let bytes = [self.chain.as_bytes(), self.key.as_bytes()].concat();
        IdentityFiles { chain: FileText { path: path.into(), bytes }, key: None, ocsp: None }
    }

    /// The key in a file of its own.
    pub fn apart(&self, chain: &str, key: &str) -> IdentityFiles {
        IdentityFiles {
            chain: FileText { path: chain.into(), bytes: self.chain.clone().into_bytes() },
            key: Some(FileText { path: key.into(), bytes: self.key.clone().into_bytes() }),
            ocsp: None,
        }
    }
}
