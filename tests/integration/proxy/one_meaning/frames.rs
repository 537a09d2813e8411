//! HTTP/2 written by hand, so that it can be wrong.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The preface and empty settings.
pub const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as literals without indexing and without Huffman's code (RFC 7541 6.2.2).
pub fn fields(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(name, &mut block);
        string(value, &mut block);
    }
    block
}

/// A length in seven bits and more (RFC 7541 5.1), and the bytes.
fn string(text: &[u8], block: &mut Vec<u8>) {
    const FULL: usize = 127;
    if text.len() < FULL {
        block.push(text.len() as u8);
    } else {
        block.push(FULL as u8);
        let mut rest = text.len() - FULL;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend(text);
}

/// A request's first fields.
pub fn request(method: &str, path: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    [(":method", method), (":scheme", "http"), (":authority", "shop.example"), (":path", path)]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec()
}

/// A connection whose frames are written by hand.
pub struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
    /// The code of the GOAWAY that came.
    pub goaway: Option<u32>,
    pub streams: std::collections::BTreeMap<u32, Stream>,
}

/// What came of one stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub has_head: bool,
    pub data: Vec<u8>,
    pub is_whole: bool,
    pub reset: Option<u32>,
}

impl Stream {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    fn is_over(&self) -> bool {
        self.is_whole || self.reset.is_some()
    }
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut raw = Self { stream, unread: Vec::new(), goaway: None, streams: Default::default() };
        raw.send(GREETING);
        raw
    }

    /// As much as the other side takes.
    pub fn send(&mut self, bytes: &[u8]) {
        let _gone = self.stream.write_all(bytes);
    }

    /// One request without a body.
    pub fn get(&mut self, stream: u32, path: &str) {
        let block = fields(&request("GET", path));
        self.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block));
    }

    /// Reads until this stream is over, or the connection.
    pub fn over(&mut self, stream: u32) -> Stream {
        while !self.streams.get(&stream).is_some_and(Stream::is_over) && self.read().is_ok_and(|more| more) {}
        self.streams.get(&stream).cloned().unwrap_or_default()
    }

    /// `false`: the connection has ended.
    fn read(&mut self) -> io::Result<bool> {
        let mut room = [0; 65536];
        let length = self.stream.read(&mut room)?;
        self.unread.extend_from_slice(&room[..length]);
        while let Some(taken) = self.take_frame() {
            self.unread.drain(..taken);
        }
        Ok(length > 0)
    }

    fn take_frame(&mut self) -> Option<usize> {
        let head = self.unread.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.unread.get(9..9 + length)?.to_vec();
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match kind {
            HEADERS => self.of(stream).has_head = true,
            DATA => self.of(stream).data.extend_from_slice(&payload),
            RST_STREAM => self.of(stream).reset = Some(code(0)),
            GOAWAY => self.goaway = Some(code(4)),
            SETTINGS if flags == 0 => self.send(&frame(SETTINGS, 1, 0, &[])),
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            self.of(stream).is_whole = true;
        }
        Some(9 + length)
    }

    fn of(&mut self, stream: u32) -> &mut Stream {
        self.streams.entry(stream).or_default()
    }
}
