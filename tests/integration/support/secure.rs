//! Certificates, and clients inside TLS.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use tsuji::model::{ClientCertificates, ClientIssuers, PortTls, TlsPolicy};
use tsuji::tls::{FileText, FrontFiles, IdentityFiles, TicketKeys, TlsFront, provider};

use super::Client;

/// An issuer of certificates.
pub struct Issuer(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, as PEM.
pub struct Made {
    pub chain: String,
    pub key: String,
}

impl Issuer {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn certificate(&self, names: &[&str]) -> Made {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        Made { chain: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client that believes this issuer.
    pub fn trusting(&self) -> ClientConfig {
        self.client(None)
    }

    /// One with a certificate of its own.
    pub fn client(&self, own: Option<&Made>) -> ClientConfig {
        self.client_of(rustls::ALL_VERSIONS, own)
    }

    /// One that speaks these versions.
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion], own: Option<&Made>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = CertificateDer::from_pem_slice(own.chain.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        }
    }
}

impl Made {
    pub fn files(&self, place: usize) -> IdentityFiles {
        let bytes = format!("{}{}", self.chain, self.key).into_bytes();
        IdentityFiles { chain: FileText { path: format!("{place}.pem").into(), bytes }, key: None, ocsp: None }
    }
}

/// How a port speaks TLS, and what its files say.
pub struct Front {
    pub settings: PortTls,
    pub files: FrontFiles,
    pub tickets: Arc<TicketKeys>,
}

impl Front {
    pub fn with(certificates: &[&Made]) -> Self {
        let settings = PortTls {
            certificates: (0..certificates.len()).map(|place| PathBuf::from(format!("{place}.pem"))).collect(),
            policy: TlsPolicy::default(),
            clients: ClientCertificates::Ignored,
            protocols: Vec::new(),
        };
        let identities = certificates.iter().enumerate().map(|(place, made)| made.files(place)).collect();
        let files = FrontFiles { identities, ..FrontFiles::default() };
        Self { settings, files, tickets: TicketKeys::new().unwrap() }
    }

    /// Clients have to show certificates of this issuer.
    pub fn asking(mut self, issuer: &Issuer) -> Self {
        let issuers = ClientIssuers { ca: "clients.pem".into(), crl: None };
        self.settings.clients = ClientCertificates::Required(issuers);
        self.files.issuers = Some(FileText { path: "clients.pem".into(), bytes: issuer.pem().into_bytes() });
        self
    }

    pub fn build(&self) -> Arc<TlsFront> {
        let built = TlsFront::build(&self.settings, &self.files, &self.tickets);
        assert_eq!(built.faults, []);
        Arc::new(built.front.unwrap())
    }
}

/// A connection inside TLS. The handshake happens with the first byte.
pub fn secure(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Client {
    let stream = TcpStream::connect(address).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    Client::inside(StreamOwned::new(session, stream))
}
