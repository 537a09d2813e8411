//! A certificate with its chain, its key and what its issuer says of it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::facts::Facts;
use super::fault::TlsFault;
use super::pem::FileText;
use super::suites;

/// The files of one certificate.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct IdentityFiles {
    /// The chain, and the key unless that has a file of its own.
    pub chain: FileText,
    pub key: Option<FileText>,
    /// The issuer's word that it was not revoked, in DER.
    pub ocsp: Option<Vec<u8>>,
}

/// One certificate that can be served.
#[derive(Debug)]
pub struct Identity {
    pub path: PathBuf,
    pub facts: Facts,
    pub(super) key: Arc<CertifiedKey>,
}

impl Identity {
    pub fn new(files: &IdentityFiles) -> Result<Self, TlsFault> {
        let path = files.chain.path.clone();
        let chain = files.chain.certificates()?;
        let Some(own) = chain.first() else { return Err(TlsFault::NoCertificate { path }) };
        let bad = |what| TlsFault::BadCertificate { path: path.clone(), what };
        let facts = Facts::of(own).map_err(bad)?;
        check_order(&chain, &path)?;
        let in_file = files.key.as_ref().unwrap_or(&files.chain);
        let Some(secret) = in_file.key()? else {
            return Err(TlsFault::NoKey { beside: path.with_extension("key"), path });
        };
        let made = CertifiedKey::from_der(chain, secret, &suites::all());
        let mut key = made.map_err(|error| key_fault(&error, path.clone(), in_file.path.clone()))?;
        key.ocsp.clone_from(&files.ocsp);
        Ok(Self { path, facts, key: Arc::new(key) })
    }
}

fn key_fault(error: &Error, path: PathBuf, key: PathBuf) -> TlsFault {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsFault::Mismatch { path, key },
        Error::InvalidCertificate(fault) => TlsFault::BadCertificate { path, what: format!("{fault:?}") },
        other => TlsFault::BadKey { path: key, what: other.to_string() },
    }
}

/// Each certificate must be followed by its issuer's: clients that do not sort them themselves would refuse the chain.
fn check_order(chain: &[CertificateDer<'_>], path: &std::path::Path) -> Result<(), TlsFault> {
    let parsed = chain.iter().map(|der| X509Certificate::from_der(der).map(|(_, parsed)| parsed));
    let parsed: Vec<_> = parsed
        .collect::<Result<_, _>>()
        .map_err(|error| TlsFault::BadCertificate { path: path.to_owned(), what: error.to_string() })?;
    let follows = |pair: &[X509Certificate<'_>]| matches!(pair, [one, next] if one.issuer() == next.subject());
    match parsed.windows(2).position(|pair| !follows(pair)) {
        Some(at) => Err(TlsFault::BrokenChain { path: path.to_owned(), place: at + 1, next: at + 2 }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Issuer;
    use super::*;

    #[test]
    fn a_chain_with_its_key_in_one_file_or_in_two() {
        let issuer = Issuer::new();
        let made = issuer.certificate(&["shop.example"]);
        let together = made.files("a.pem");
        assert_eq!(Identity::new(&together).unwrap().facts.names, ["shop.example"]);
        assert!(Identity::new(&made.apart("a.crt", "a.key")).is_ok());
    }

    #[test]
    fn what_does_not_belong_together_is_named() {
        let issuer = Issuer::new();
        let (one, other) = (issuer.certificate(&["a"]), issuer.certificate(&["b"]));
        let mut mixed = one.apart("a.crt", "b.key");
        mixed.key = other.apart("b.crt", "b.key").key;
        let told = Identity::new(&mixed).unwrap_err();
        assert_eq!(told, TlsFault::Mismatch { path: "a.crt".into(), key: "b.key".into() });
        let mut keyless = one.apart("a.crt", "a.key");
        keyless.key = None;
        let told = Identity::new(&keyless).unwrap_err();
        assert_eq!(told, TlsFault::NoKey { path: "a.crt".into(), beside: "a.key".into() });
        let mut unordered = one.apart("a.crt", "a.key");
        unordered.chain.bytes.extend(other.apart("b.crt", "b.key").chain.bytes);
        let told = Identity::new(&unordered).unwrap_err();
        assert!(matches!(told, TlsFault::BrokenChain { place: 2, next: 3, .. }), "{told}");
        let empty = FileText { path: "a.pem".into(), bytes: b"hello".to_vec() };
        let told = Identity::new(&IdentityFiles { chain: empty, key: None, ocsp: None }).unwrap_err();
        assert_eq!(told, TlsFault::NoCertificate { path: "a.pem".into() });
    }
}
