//! Two servers behind the proxies, as cheap as they can be: answers are rendered beforehand and nothing of a request
//! is understood that need not be.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use super::Failure;

/// More than any request head here; a read takes a body of 16 KiB in one go.
const BUFFER: usize = 64 * 1024;

/// The answer to the example key of RFC 6455, section 1.3, which our client sends.
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

pub struct Origins {
    servers: [Origin; 2],
}

struct Origin {
    port: u16,
    requests: Arc<AtomicU64>,
}

struct Answers {
    small: Bytes,
    middle: Bytes,
    large: Bytes,
    requests: Arc<AtomicU64>,
}

impl Origins {
    /// Each runs in a thread of its own until the process ends.
    pub fn start() -> Result<Self, Failure> {
        Ok(Self { servers: [Origin::start()?, Origin::start()?] })
    }

    pub fn ports(&self) -> [u16; 2] {
        self.servers.each_ref().map(|server| server.port)
    }

    /// Requests, and messages of tunnels, so far.
    pub fn requests(&self) -> [u64; 2] {
        self.servers.each_ref().map(|server| server.requests.load(Ordering::Relaxed))
    }
}

impl Origin {
    fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let (port, requests) = (listener.local_addr()?.port(), Arc::default());
        let answers = Answers::new(Arc::clone(&requests));
        let runtime = Builder::new_current_thread().enable_io().build()?;
        thread::Builder::new().name("origin".to_owned()).spawn(move || runtime.block_on(listen(listener, answers)))?;
        Ok(Self { port, requests })
    }
}

impl Answers {
    fn new(requests: Arc<AtomicU64>) -> Self {
        Self { small: answer(100), middle: answer(16 * 1024), large: answer(1024 * 1024), requests }
    }

    /// What this request gets. Its target is all that counts.
    fn to(&self, head: &[u8]) -> &Bytes {
        match head {
            head if head.starts_with(b"GET /16k ") => &self.middle,
            head if head.starts_with(b"GET /1m ") => &self.large,
            _ => &self.small,
        }
    }
}

fn answer(length: usize) -> Bytes {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\nCache-Control: no-cache\r\n\
         ETag: \"5f3c-61d0a9e2b8f40\"\r\nVary: Accept-Encoding\r\n\r\n"
    );
    [head.into_bytes(), vec![b'x'; length]].concat().into()
}

async fn listen(listener: TcpListener, answers: Answers) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let answers = Arc::new(answers);
    loop {
        let (stream, _) = listener.accept().await?;
        let answers = Arc::clone(&answers);
        // A proxy that goes away ends this connection and nothing else.
        tokio::spawn(async move { serve(stream, &answers).await });
    }
}

async fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(BUFFER);
    while let Some(head) = head(&mut stream, &mut buffer).await? {
        answers.requests.fetch_add(1, Ordering::Relaxed);
        if head.starts_with(b"GET /ws ") {
            stream.write_all(SWITCHING.as_bytes()).await?;
            return echo(stream, buffer, answers).await;
        }
        if head.starts_with(b"POST ") {
            skip(&mut stream, &mut buffer, content_length(&head)?).await?;
        }
        stream.write_all(answers.to(&head)).await?;
    }
    Ok(())
}

/// The next request's head; `None` once the other side has closed.
async fn head(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<BytesMut>> {
    loop {
        // Without a body the head ends where the bytes end, which is quickly seen.
        let end = if buffer.ends_with(b"\r\n\r\n") && buffer.starts_with(b"GET ") {
            Some(buffer.len())
        } else {
            buffer.windows(4).position(|four| four == b"\r\n\r\n").map(|start| start + 4)
        };
        if let Some(end) = end {
            return Ok(Some(buffer.split_to(end)));
        }
        buffer.reserve(BUFFER);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let lower = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = value.and_then(|value| value.trim().parse().ok());
    length.ok_or_else(|| io::Error::other("a request with a body of unknown length"))
}

async fn skip(stream: &mut TcpStream, buffer: &mut BytesMut, mut length: usize) -> io::Result<()> {
    loop {
        let here = length.min(buffer.len());
        buffer.advance(here);
        length -= here;
        if length == 0 {
            return Ok(());
        }
        buffer.reserve(BUFFER);
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Proxies carry the bytes of a tunnel without reading them, so frames are not unmasked here either.
async fn echo(mut stream: TcpStream, mut buffer: BytesMut, answers: &Answers) -> io::Result<()> {
    loop {
        if buffer.is_empty() && stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        answers.requests.fetch_add(1, Ordering::Relaxed);
        stream.write_all(&buffer).await?;
        buffer.clear();
    }
}
