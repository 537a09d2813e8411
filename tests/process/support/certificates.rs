//! Issuers, certificates, and what a port serves.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tsuji::tls::{AcceptAll, provider};

pub struct Issuer(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub struct Made {
    pub chain: String,
    pub key: String,
    pub der: Vec<u8>,
}

impl Issuer {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "test issuer");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn key(&self) -> String {
        self.0.key().serialize_pem()
    }

    /// For these names and 127.0.0.1; the first is its common name.
    pub fn certificate(&self, names: &[&str]) -> Made {
        self.made(names, |_| {})
    }

    /// One that held in the nineties.
    pub fn expired(&self, names: &[&str]) -> Made {
        self.made(names, |params| {
            params.not_before = rcgen::date_time_ymd(1996, 1, 1);
            params.not_after = rcgen::date_time_ymd(1999, 12, 31);
        })
    }

    fn made(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Made {
        let names: Vec<String> = names.iter().copied().chain(["127.0.0.1"]).map(str::to_owned).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names[0].as_str());
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Made { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }
}

impl Made {
    pub fn together(&self) -> String {
        format!("{}{}", self.chain, self.key)
    }
}

/// A file that is there whole or not at all.
pub fn put(path: &Path, text: &str) {
    let aside = path.with_extension("new");
    fs::write(&aside, text).unwrap();
    fs::rename(&aside, path).unwrap();
}

/// A session of TLS with whoever has the key of what it shows.
pub struct Session(StreamOwned<ClientConnection, TcpStream>);

impl Session {
    /// Without any memory of earlier sessions, so that a certificate comes each time.
    pub fn open(address: SocketAddr, name: &str) -> io::Result<Self> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAll::new(provider())))
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        session.complete_io(&mut stream)?;
        Ok(Self(StreamOwned::new(session, stream)))
    }

    /// The certificate that was served.
    pub fn served(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// One request for this host on the connection; the status.
    pub fn get(&mut self, host: &str) -> io::Result<u16> {
        write!(self.0, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
        let mut heard = Vec::new();
        loop {
            let mut some = [0; 4096];
            let count = self.0.read(&mut some)?;
            heard.extend_from_slice(&some[..count]);
            let text = String::from_utf8_lossy(&heard).into_owned();
            // Bodies of our servers end with a blank.
            if count == 0 || (text.contains("\r\n\r\n") && text.ends_with("/ ")) {
                let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
                return status.ok_or_else(|| io::Error::other(text));
            }
        }
    }
}

/// The certificate that a client gets that asks for this name.
pub fn served(address: SocketAddr, name: &str) -> Vec<u8> {
    Session::open(address, name).unwrap().served()
}

/// Clients that go on asking, each on a new connection, and do not forgive.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: JoinHandle<Vec<String>>,
}

impl Traffic {
    pub fn begin(address: SocketAddr, name: &'static str) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&done));
        let thread = thread::spawn(move || {
            let mut faults = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                match Session::open(address, name).and_then(|mut session| session.get(name)) {
                    Ok(200) => drop(count.fetch_add(1, Ordering::SeqCst)),
                    other => faults.push(format!("{other:?}")),
                }
                thread::sleep(Duration::from_millis(2));
            }
            faults
        });
        Self { stop, done, thread }
    }

    /// Everybody who came was served.
    #[track_caller]
    pub fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        let faults = self.thread.join().unwrap();
        assert!(self.done.load(Ordering::SeqCst) > 0 && faults.is_empty(), "{faults:?}");
    }
}
