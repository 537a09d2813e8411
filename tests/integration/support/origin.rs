//! A server that does byte for byte what its script says.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;

use super::site::PATIENCE;

/// A listening server. Each connection runs the script in a thread of its own.
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    closed: AtomicBool,
    /// Heads of requests as they came.
    heads: Mutex<Vec<String>>,
    streams: Mutex<Vec<TcpStream>>,
}

/// One connection to an origin.
pub struct Visit {
    stream: TcpStream,
    buffer: VecDeque<u8>,
    /// Which connection this is, from 0.
    pub number: usize,
    state: Arc<State>,
}

impl Origin {
    pub fn new(script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self::on(listener, script)
    }

    pub fn on(listener: TcpListener, script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let script = Arc::new(script);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.closed.load(Ordering::SeqCst) {
                    return;
                }
                // Where file descriptors are used up on purpose, the next one may be well.
                let Ok((stream, twin)) = stream.and_then(|stream| Ok((stream.try_clone()?, stream))) else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                shared.streams.lock().unwrap().push(twin);
                let (script, state) = (Arc::clone(&script), Arc::clone(&shared));
                std::thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let mut visit = Visit { stream, buffer: VecDeque::new(), number, state };
                    script(&mut visit);
                    // The clone kept for `kill` would keep it open.
                    let _gone = visit.stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, state }
    }

    /// Answers each request of each connection with the same bytes.
    pub fn saying(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::new(move |visit| {
            while let Some(request) = visit.request() {
                visit.body_of(&request);
                visit.send(&response);
            }
        })
    }

    /// Answers each request with a short body that names this origin.
    pub fn named(name: &str) -> Self {
        Self::saying(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()))
    }

    /// Answers each request with its own head and body.
    pub fn mirror() -> Self {
        Self::new(|visit| {
            while let Some(request) = visit.request() {
                let body = visit.body_of(&request);
                let length = request.len() + body.len();
                visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{request}"));
                visit.send(&body);
            }
        })
    }

    /// An address where nobody listens.
    pub fn nobody() -> SocketAddr {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.state.heads.lock().unwrap().clone()
    }

    /// Stops listening and resets all connections, as a killed process does.
    pub fn kill(&self) {
        self.state.closed.store(true, Ordering::SeqCst);
        // Wakes the listening thread, which then closes the listener.
        let _woken = TcpStream::connect(self.address);
        while TcpStream::connect(self.address).is_ok() {
            std::thread::yield_now();
        }
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _reset = SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Visit {
    /// The head of the next request, without its last empty line. `None`: the connection ended.
    pub fn request(&mut self) -> Option<String> {
        let mut head = String::new();
        loop {
            let line = self.line()?;
            if line == "\r\n" {
                self.state.heads.lock().unwrap().push(head.clone());
                return Some(head);
            }
            head.push_str(&line);
        }
    }

    /// The body that belongs to this head.
    pub fn body_of(&mut self, head: &str) -> Vec<u8> {
        let field = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        if field("transfer-encoding").is_some() {
            return self.chunks().0;
        }
        field("content-length").map_or(Vec::new(), |length| self.bytes(length.parse().unwrap()))
    }

    /// A chunked body and its trailers.
    pub fn chunks(&mut self) -> (Vec<u8>, String) {
        let mut body = Vec::new();
        loop {
            let size = self.line().unwrap_or_default();
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap_or(0);
            if size == 0 {
                break;
            }
            body.extend(self.bytes(size));
            self.line();
        }
        let mut trailers = String::new();
        while let Some(line) = self.line().filter(|line| line != "\r\n") {
            trailers.push_str(&line);
        }
        (body, trailers)
    }

    /// So many bytes, fewer if the connection ends.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length && self.fill() {}
        let length = length.min(self.buffer.len());
        self.buffer.drain(..length).collect()
    }

    /// What is there, at least a byte; nothing when the connection has ended.
    pub fn some(&mut self) -> Vec<u8> {
        let _ended = !self.buffer.is_empty() || self.fill();
        std::mem::take(&mut self.buffer).into()
    }

    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Sends as much as the other side takes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _gone = self.stream.write_all(bytes.as_ref());
        self
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Closes the sending side.
    pub fn finish(&mut self) -> &mut Self {
        let _gone = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Ends the connection with a reset.
    pub fn reset(&mut self) {
        SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        // All clones have to go before the kernel resets.
        let address = self.stream.peer_addr().unwrap();
        self.state.streams.lock().unwrap().retain(|stream| stream.peer_addr().ok() != Some(address));
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        self.stream = TcpStream::connect(other.local_addr().unwrap()).unwrap();
    }

    /// Waits for the other side to close or reset; `false` if it sent something.
    pub fn wait_for_end(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(read) if read > 0 => {
                self.buffer.extend(&chunk[..read]);
                true
            }
            _ => false,
        }
    }
}
