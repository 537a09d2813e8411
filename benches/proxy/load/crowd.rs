//! Many clients who stay connected and say nothing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::handshake::config;
use super::wrk::FIELDS;
use crate::Failure;

pub const CLIENTS: usize = 5_000;

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients who have been answered once and keep their connection.
pub struct Crowd {
    clients: Vec<Client>,
    request: String,
}

enum Client {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    fn exchange(&mut self, request: &str) -> io::Result<()> {
        match self {
            Self::Plain(stream) => exchange(stream, request),
            Self::Tls(stream) => exchange(stream.as_mut(), request),
        }
    }
}

impl Crowd {
    /// One after the other, so that no queue of connections overflows and no proxy needs room for a rush.
    /// With a certificate, inside TLS.
    pub fn gather(port: u16, certificate: Option<&Path>) -> Result<Self, Failure> {
        let config = certificate.map(config).transpose()?.map(Arc::new);
        let fields = FIELDS.join("\r\n");
        let mut crowd =
            Self { clients: Vec::with_capacity(CLIENTS), request: format!("GET /small HTTP/1.1\r\n{fields}\r\n\r\n") };
        for _ in 0..CLIENTS {
            let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            client.set_read_timeout(Some(PATIENCE))?;
            let mut client = match &config {
                None => Client::Plain(client),
                Some(config) => {
                    let name = ServerName::try_from("shop.example.com")?;
                    let session = ClientConnection::new(Arc::clone(config), name)?;
                    Client::Tls(Box::new(StreamOwned::new(session, client)))
                }
            };
            client.exchange(&crowd.request)?;
            crowd.clients.push(client);
        }
        Ok(crowd)
    }

    /// Each asks once more.
    pub fn ask_again(&mut self) -> Result<(), Failure> {
        Ok(self.clients.iter_mut().try_for_each(|client| client.exchange(&self.request))?)
    }
}

fn exchange(client: &mut (impl Read + Write), request: &str) -> io::Result<()> {
    client.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut bytes = [0; 4096];
    while !is_whole(&answer) {
        match client.read(&mut bytes).map_err(patience)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => answer.extend(bytes.iter().take(count)),
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&answer);
    Err(io::Error::other(format!("an idle client was answered {}", answer.lines().next().unwrap_or_default())))
}

/// The system says of a time-out that something is "temporarily unavailable".
fn patience(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::other(format!("an idle client had no answer within {PATIENCE:?}")),
        _ => error,
    }
}

/// The small answer has 100 bytes after its head.
fn is_whole(answer: &[u8]) -> bool {
    answer.windows(4).position(|four| four == b"\r\n\r\n").is_some_and(|head| answer.len() >= head + 4 + 100)
}
