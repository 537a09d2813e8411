//! A TLS session for each request: made anew each time, or going on from the one before.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::wrk::FIELDS;
use crate::Failure;
use crate::figures::wrk::Run;

/// One connection after the other, by so many clients.
pub const CLIENTS: usize = 16;

/// The longest that an exchange may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Handshake {
    Full,
    Resumed,
}

impl Handshake {
    pub fn run(self, port: u16, certificate: &Path, time: Duration) -> Result<Run, Failure> {
        let config = config(certificate)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let begun = Instant::now();
            let until = begun + time;
            let mut clients: JoinSet<_> = (0..CLIENTS).map(|_| self.client(port, config.clone(), until)).collect();
            let (mut latencies, mut failures) = (Vec::new(), 0);
            while let Some(client) = clients.join_next().await {
                match client? {
                    Ok(measured) => latencies.extend(measured),
                    Err(error) => {
                        eprintln!("{error}");
                        failures += 1;
                    }
                }
            }
            Ok(super::echo::summary(latencies, begun.elapsed(), failures))
        })
    }

    /// Nanoseconds of each exchange, from the connection's beginning.
    async fn client(self, port: u16, mut config: ClientConfig, until: Instant) -> io::Result<Vec<u32>> {
        config.resumption = match self {
            Self::Full => Resumption::disabled(),
            Self::Resumed => Resumption::in_memory_sessions(8),
        };
        let connector = TlsConnector::from(Arc::new(config));
        let mut latencies = Vec::new();
        let mut sent = Instant::now();
        while sent < until {
            let kind = timeout(PATIENCE, exchange(port, &connector)).await??;
            let is_first = latencies.is_empty();
            if self == Self::Resumed && !is_first && kind != Some(HandshakeKind::Resumed) {
                return Err(io::Error::other("a session did not go on"));
            }
            let now = Instant::now();
            latencies.push(u32::try_from((now - sent).as_nanos()).unwrap_or(u32::MAX));
            sent = now;
        }
        Ok(latencies)
    }
}

async fn exchange(port: u16, connector: &TlsConnector) -> io::Result<Option<HandshakeKind>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("shop.example.com").map_err(io::Error::other)?;
    let mut stream = connector.connect(name, stream).await?;
    let fields = FIELDS.join("\r\n");
    let request = format!("GET /small HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(1024);
    match stream.read_to_end(&mut answer).await {
        // Not every server says that it ends.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        read => drop(read?),
    }
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other(format!("answered {}", String::from_utf8_lossy(&answer))));
    }
    Ok(stream.get_ref().1.handshake_kind())
}

/// A client of X25519 alone, so that all are measured with the same key exchange.
pub fn config(certificate: &Path) -> Result<ClientConfig, Failure> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
