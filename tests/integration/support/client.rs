//! A client that writes bytes as they are and reads answers as HTTP says.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustls::{ClientConnection, StreamOwned};

use super::site::PATIENCE;

pub struct Client {
    stream: Stream,
    buffer: VecDeque<u8>,
}

/// As it is, or inside TLS.
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// One response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Status line and fields as they came.
    pub head: String,
    pub body: Vec<u8>,
    /// Lines after the last chunk.
    pub trailers: Vec<String>,
}

impl Answer {
    /// The value of a field, if it is there once.
    pub fn field<'a>(&'a self, name: &str) -> Option<&'a str> {
        let mut values = self.fields(name);
        let first = values.next()?;
        assert!(values.next().is_none(), "{name} twice in {}", self.head);
        Some(first)
    }

    pub fn fields<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(move |(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn reason(&self) -> Option<&str> {
        self.field("tsuji-error")
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    pub fn over(stream: TcpStream) -> Self {
        Self::of(Stream::Plain(stream))
    }

    pub fn inside(stream: StreamOwned<ClientConnection, TcpStream>) -> Self {
        Self::of(Stream::Tls(Box::new(stream)))
    }

    fn of(stream: Stream) -> Self {
        stream.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        stream.tcp().set_write_timeout(Some(PATIENCE)).unwrap();
        stream.tcp().set_nodelay(true).unwrap();
        Self { stream, buffer: VecDeque::new() }
    }

    /// What TLS agreed on.
    pub fn session(&mut self) -> &mut ClientConnection {
        match &mut self.stream {
            Stream::Plain(_) => panic!("there is no TLS"),
            Stream::Tls(stream) => &mut stream.conn,
        }
    }

    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        self.stream.tcp().local_addr().unwrap()
    }

    /// The same connection once more, to send and receive at the same time.
    pub fn twin(&self) -> Self {
        Self { stream: Stream::Plain(self.stream.tcp().try_clone().unwrap()), buffer: VecDeque::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends what may meet a closed connection.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    pub fn finish(&mut self) -> &mut Self {
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }
        self.stream.tcp().shutdown(Shutdown::Write).unwrap();
        self
    }

    /// One whole exchange.
    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n")).answer()
    }

    pub fn head(&mut self, path: &str) -> Answer {
        self.send(format!("HEAD {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n")).answer_to("HEAD")
    }

    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    pub fn answer_to(&mut self, method: &str) -> Answer {
        self.try_answer(method).unwrap()
    }

    /// A whole response, or how it broke.
    pub fn try_answer(&mut self, method: &str) -> io::Result<Answer> {
        let mut head = String::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            head.push_str(&line);
            head.push('\n');
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| broken(&head))?;
        let mut answer = Answer { status, head, body: Vec::new(), trailers: Vec::new() };
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Ok(answer);
        }
        if answer.field("transfer-encoding").is_some() {
            self.chunks(&mut answer)?;
        } else if let Some(length) = answer.field("content-length") {
            let length = length.parse().unwrap();
            answer.body = self.bytes(length)?;
        } else {
            answer.body = self.rest()?;
        }
        Ok(answer)
    }

    /// Everything until the connection ends.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes: Vec<u8> = self.buffer.drain(..).collect();
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The connection ends here, without another byte.
    pub fn expect_end(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.rest().unwrap()), "");
    }

    pub fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// The same for much of it.
    pub fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
        let there = self.buffer.len().min(into.len());
        let (first, rest) = into.split_at_mut(there);
        first.copy_from_slice(&self.buffer.drain(..there).collect::<Vec<u8>>());
        self.stream.read_exact(rest)
    }

    fn chunks(&mut self, answer: &mut Answer) -> io::Result<()> {
        loop {
            let size = self.line()?;
            let size = usize::from_str_radix(&size, 16).map_err(|_| broken(&size))?;
            if size == 0 {
                break;
            }
            answer.body.extend(self.bytes(size)?);
            assert_eq!(self.line()?, "");
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(());
            }
            answer.trailers.push(line);
        }
    }

    /// A line without its CRLF.
    pub fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 65536];
        let read = self.stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend(&chunk[..read]);
        Ok(())
    }
}

fn broken(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}
