//! Messages over WebSocket: each connection sends one, waits until it has come back, and sends the next.

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::wrk::FIELDS;
use crate::Failure;
use crate::figures::wrk::Run;

pub const CONNECTIONS: usize = 64;

/// A masked frame with 100 bytes of text: head, length, key of zeros, text.
const FRAME: [u8; 106] = {
    let mut frame = [b'x'; 106];
    let head = [0x81, 0x80 | 100, 0, 0, 0, 0];
    let (first, _) = frame.split_at_mut(head.len());
    first.copy_from_slice(&head);
    frame
};

/// The longest that an answer may take; what is slower counts as a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends for `time` and measures each message's way there and back.
pub fn run(port: u16, time: Duration) -> Result<Run, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            streams.push(timeout(PATIENCE, open(port)).await??);
        }
        let begun = Instant::now();
        let mut clients: JoinSet<_> = streams.into_iter().map(|stream| ping(stream, begun + time)).collect();
        let (mut latencies, mut failures) = (Vec::new(), 0);
        while let Some(client) = clients.join_next().await {
            match client? {
                Ok(measured) => latencies.extend(measured),
                Err(_) => failures += 1,
            }
        }
        Ok(summary(latencies, begun.elapsed(), failures))
    })
}

pub fn summary(mut latencies: Vec<u32>, time: Duration, failures: u64) -> Run {
    latencies.sort_unstable();
    let at =
        |percent: usize| latencies.get(latencies.len() * percent / 100).map_or(f64::NAN, |ns| f64::from(*ns) / 1e3);
    Run { requests: latencies.len() as u64, seconds: time.as_secs_f64(), p50_us: at(50), p99_us: at(99), failures }
}

async fn open(port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let fields = FIELDS.join("\r\n");
    let request = format!(
        "GET /ws HTTP/1.1\r\n{fields}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    if answer.starts_with(b"HTTP/1.1 101 ") {
        return Ok(stream);
    }
    Err(io::Error::other(format!("the upgrade was refused: {}", String::from_utf8_lossy(&answer))))
}

/// Nanoseconds of each message's way there and back.
async fn ping(mut stream: TcpStream, until: Instant) -> io::Result<Vec<u32>> {
    let (mut latencies, mut echo) = (Vec::new(), FRAME);
    let mut sent = Instant::now();
    while sent < until {
        stream.write_all(&FRAME).await?;
        timeout(PATIENCE, stream.read_exact(&mut echo)).await??;
        let now = Instant::now();
        latencies.push(u32::try_from((now - sent).as_nanos()).unwrap_or(u32::MAX));
        sent = now;
    }
    Ok(latencies)
}
