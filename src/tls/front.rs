//! What a port serves TLS with.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::{RootCertStore, server::danger::ClientCertVerifier};

use super::certificates::{Certificates, Serving};
use super::fault::TlsFault;
use super::identity::{Identity, IdentityFiles};
use super::pem::FileText;
use super::suites;
use super::tickets::{TicketKeys, Ticketer};
use crate::model::{ClientCertificates, PortTls};

/// The files that a port's settings name.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct FrontFiles {
    pub identities: Vec<IdentityFiles>,
    pub issuers: Option<FileText>,
    pub revocations: Option<FileText>,
}

/// A port's side of TLS, ready for handshakes.
#[derive(Debug)]
pub struct TlsFront {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    /// Of all its files.
    fingerprint: [u8; 32],
}

/// What became of a port's files.
#[derive(Debug)]
pub struct Built {
    /// `None`: there is nothing to serve, or clients could not be told apart.
    pub front: Option<TlsFront>,
    /// What could not be used. The front does without it.
    pub faults: Vec<TlsFault>,
}

impl TlsFront {
    /// Makes what can be made of the files. A certificate that cannot be used is left out and told; whom to believe is all
    /// or nothing, because less would let in more.
    pub fn build(settings: &PortTls, files: &FrontFiles, keys: &Arc<TicketKeys>) -> Built {
        let (mut identities, mut faults) = (Vec::new(), Vec::new());
        for one in &files.identities {
            match Identity::new(one) {
                Ok(identity) => identities.push(identity),
                Err(fault) => faults.push(fault),
            }
        }
        if identities.is_empty() {
            faults.push(TlsFault::NothingLeft);
            return Built { front: None, faults };
        }
        match Self::of(settings, files, identities, keys) {
            Ok(front) => Built { front: Some(front), faults },
            Err(fault) => {
                faults.push(fault);
                Built { front: None, faults }
            }
        }
    }

    fn of(
        settings: &PortTls,
        files: &FrontFiles,
        identities: Vec<Identity>,
        keys: &Arc<TicketKeys>,
    ) -> Result<Self, TlsFault> {
        let provider = Arc::new(suites::provider_of(&settings.policy));
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&suites::versions(&settings.policy))
            .map_err(|error| TlsFault::Policy(error.to_string()))?;
        let certificates = Arc::new(Certificates::new(identities));
        let verifier = verifier(settings, files, provider)?;
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::clone(&certificates) as _);
        config.alpn_protocols = settings.protocols.iter().map(|protocol| protocol.word().into()).collect();
        config.ticketer = Arc::new(Ticketer { keys: Arc::clone(keys), binding: binding(settings, files) });
        // What a client needs to come back lies in its ticket: nothing is kept here for those who never do.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        // Who opens several connections at once uses several; each costs a quarter of a KiB on the line.
        config.send_tls13_tickets = 2;
        Ok(Self { config: Arc::new(config), certificates, fingerprint: fingerprint(files) })
    }

    /// For whoever does not ask what was served.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// For the handshake of one client, and what tells afterwards which certificate that client was served. The copy shares all
    /// that is large, and costs little beside a key exchange; rustls says nowhere what its resolver chose.
    pub fn serving(&self) -> (Arc<ServerConfig>, Arc<Serving>) {
        let serving = Arc::new(Serving::new(&self.certificates));
        let mut config = ServerConfig::clone(&self.config);
        config.cert_resolver = Arc::clone(&serving) as _;
        (Arc::new(config), serving)
    }

    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Whether it was made of the same files.
    pub fn is_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// Certificates that do not hold at this time (seconds since 1970).
    pub fn out_of_date(&self, now: i64) -> impl Iterator<Item = (PathBuf, String)> {
        let all = self.certificates.all().iter();
        all.filter_map(move |identity| Some((identity.path.clone(), identity.facts.out_of_date(now)?)))
    }
}

fn verifier(
    settings: &PortTls,
    files: &FrontFiles,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let Some(issuers) = settings.clients.issuers() else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    let missing = || TlsFault::NoIssuer { path: issuers.ca.clone() };
    let roots = roots(files.issuers.as_ref().ok_or_else(missing)?)?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(path) = &issuers.crl {
        let lists = files.revocations.as_ref().map(FileText::revocations).transpose()?.unwrap_or_default();
        if lists.is_empty() {
            return Err(TlsFault::NoCrl { path: path.clone() });
        }
        // An issuer may have no list of its own among them; the others' certificates are still looked up.
        builder = builder.with_crls(lists).allow_unknown_revocation_status();
    }
    if matches!(settings.clients, ClientCertificates::Optional(_)) {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| TlsFault::Verifier(error.to_string()))
}

/// The issuers in a file: at least one, and each of them readable.
pub(super) fn roots(file: &FileText) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in file.certificates()? {
        let bad = |error: rustls::Error| TlsFault::BadCertificate { path: file.path.clone(), what: error.to_string() };
        roots.add(certificate).map_err(bad)?;
    }
    if roots.is_empty() {
        return Err(TlsFault::NoIssuer { path: file.path.clone() });
    }
    Ok(roots)
}

/// What a client has agreed to when it resumes: which certificates the port has (by their files' names, for a renewed one
/// is the same site), which versions and ciphers, and whose certificates it believes.
fn binding(settings: &PortTls, files: &FrontFiles) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(format!("{settings:?}").as_bytes());
    for file in files.issuers.iter().chain(&files.revocations) {
        add(&mut context, &file.bytes);
    }
    finish(context)
}

fn fingerprint(files: &FrontFiles) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for identity in &files.identities {
        for bytes in [&identity.chain.bytes].into_iter().chain(identity.key.as_ref().map(|key| &key.bytes)) {
            add(&mut context, bytes);
        }
        add(&mut context, identity.ocsp.as_deref().unwrap_or_default());
    }
    for file in files.issuers.iter().chain(&files.revocations) {
        add(&mut context, &file.bytes);
    }
    finish(context)
}

/// With its length, so that no two lists of files read alike.
fn add(context: &mut Context, bytes: &[u8]) {
    context.update(&(bytes.len() as u64).to_be_bytes());
    context.update(bytes);
}

fn finish(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
