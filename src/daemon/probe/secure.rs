//! The https advisor's handshake.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::Failure;
use crate::advisor::ProbeOrder;
use crate::model::DownReason;
use crate::tls::AcceptAll;

/// TLS settings of probes: each makes a full handshake, as a new client would, and speaks HTTP/1.1.
pub(super) struct Secure {
    provider: Arc<CryptoProvider>,
    /// For servers whose certificate does not matter.
    accepting: Arc<ClientConfig>,
    /// For servers whose certificate matters; `None`: this machine trusts nobody. Read at the first use.
    verifying: OnceCell<Option<Arc<ClientConfig>>>,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secure").finish_non_exhaustive()
    }
}

impl Secure {
    pub(super) fn new() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let accepting = accepting(&provider);
        Self { provider, accepting, verifying: OnceCell::new() }
    }

    /// Trusts these certificates instead of the machine's.
    #[cfg(test)]
    pub(super) fn trusting(trusted: Vec<CertificateDer<'static>>) -> Self {
        let secure = Self::new();
        let config = verifying(&secure.provider, trusted);
        Self { verifying: OnceCell::new_with(Some(config)), ..secure }
    }

    /// TLS with the server at the other end of `stream`.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        order: &ProbeOrder,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let config = if order.verify { self.verifying().await? } else { Arc::clone(&self.accepting) };
        // A host that is no name a certificate could be for is looked up by its address there.
        let name = ServerName::try_from(order.host.clone()).unwrap_or(ServerName::from(order.target.ip()));
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| Failure::to_secure(&error))
    }

    async fn verifying(&self) -> Result<Arc<ClientConfig>, Failure> {
        let provider = Arc::clone(&self.provider);
        // Some hundred files are read: not on the thread that has timers to keep.
        let load = || async move {
            let load = move || verifying(&provider, rustls_native_certs::load_native_certs().certs);
            tokio::task::spawn_blocking(load).await.ok().flatten()
        };
        let config = self.verifying.get_or_init(load).await.clone();
        config.ok_or_else(|| Failure::Bad(DownReason::Tls("this machine has no trusted certificates".into())))
    }
}

fn accepting(provider: &Arc<CryptoProvider>) -> Arc<ClientConfig> {
    let verifier = Arc::new(AcceptAll::new(Arc::clone(provider)));
    let config = builder(provider).dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Arc::new(for_probes(config))
}

/// `None`: nobody could be trusted.
fn verifying(provider: &Arc<CryptoProvider>, trusted: Vec<CertificateDer<'static>>) -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted);
    if roots.is_empty() {
        return None;
    }
    Some(Arc::new(for_probes(builder(provider).with_root_certificates(roots).with_no_client_auth())))
}

fn builder(provider: &Arc<CryptoProvider>) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
}

fn for_probes(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    config
}
