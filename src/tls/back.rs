//! What servers are spoken to with inside TLS.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use super::fault::TlsFault;
use super::front::roots;
use super::identity::{Identity, IdentityFiles};
use super::pem::FileText;
use super::suites;
use super::trust::AcceptAll;
use crate::model::{ServerHost, ServerTls};

/// The files that a server's settings name.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct BackFiles {
    pub issuers: Option<FileText>,
    pub identity: Option<IdentityFiles>,
}

/// Our side of TLS towards servers of the same settings.
#[derive(Debug)]
pub struct TlsBack {
    config: Arc<ClientConfig>,
    files: BackFiles,
    own: Option<Identity>,
}

impl TlsBack {
    /// `system` are the issuers that the system trusts, for servers of which nothing else is said.
    pub fn new(settings: &ServerTls, files: BackFiles, system: &Arc<RootCertStore>) -> Result<Self, TlsFault> {
        let provider = suites::provider();
        let verifier: Arc<dyn ServerCertVerifier> = match (&files.issuers, settings.verify) {
            (_, false) => Arc::new(AcceptAll::new(Arc::clone(&provider))),
            (Some(file), true) => verifier(Arc::new(roots(file)?), &provider)?,
            (None, true) => match &settings.ca {
                Some(path) => return Err(TlsFault::NoIssuer { path: path.clone() }),
                None => verifier(Arc::clone(system), &provider)?,
            },
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsFault::Policy(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let own = files.identity.as_ref().map(Identity::new).transpose()?;
        let mut config = match &own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let shown = rustls::sign::SingleCertAndKey::from(Arc::clone(&own.key));
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        };
        config.alpn_protocols = settings.protocols.iter().map(|protocol| protocol.word().into()).collect();
        Ok(Self { config: Arc::new(config), files, own })
    }

    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The certificate that we show to servers that ask for one.
    pub fn own(&self) -> Option<&Identity> {
        self.own.as_ref()
    }

    /// Whether it was made of the same files.
    pub fn is_same(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

fn verifier(
    roots: Arc<RootCertStore>,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsFault> {
    let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
    Ok(builder.build().map_err(|error| TlsFault::Verifier(error.to_string()))?)
}

/// How one server is spoken to inside TLS.
#[derive(Clone, Debug)]
pub struct ServerLink {
    pub back: Arc<TlsBack>,
    /// Who is asked for, and whose certificate must come.
    pub name: ServerName<'static>,
}

impl ServerLink {
    /// `host` is where the server is found; its name counts unless the settings say another.
    pub fn new(back: Arc<TlsBack>, settings: &ServerTls, host: &ServerHost) -> Result<Self, TlsFault> {
        Ok(Self { name: server_name(settings, host)?, back })
    }

    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.back, &other.back) && self.name == other.name
    }
}

/// Whose certificate a server must show: the name that its settings say, else the one that it is found by.
fn server_name(settings: &ServerTls, host: &ServerHost) -> Result<ServerName<'static>, TlsFault> {
    let named = |name: &str| {
        name.parse::<IpAddr>()
            .map(ServerName::from)
            .or_else(|_| ServerName::try_from(name.to_owned()))
            .map_err(|_| TlsFault::BadName(name.to_owned()))
    };
    match (&settings.name, host) {
        (Some(name), _) => named(name),
        (None, ServerHost::Name(name)) => named(name),
        (None, ServerHost::Address(address)) => Ok(ServerName::from(*address)),
    }
}
