//! A server that says its name, counts what it is asked, and can be killed and started again on its port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

pub struct Origin {
    name: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    requests: AtomicU64,
    sick: AtomicBool,
    /// The largest `x-mark` of a request.
    mark: AtomicU64,
    connections: Mutex<Vec<TcpStream>>,
}

impl Origin {
    pub fn start(name: &str) -> Self {
        let mut origin = Self {
            name: name.to_owned(),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            shared: Arc::default(),
            listener: None,
        };
        origin.restart();
        origin
    }

    /// Listens (again), on the port of before.
    pub fn restart(&mut self) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&self.address.into()).unwrap();
        socket.listen(1024).unwrap();
        let listener: TcpListener = socket.into();
        self.address = listener.local_addr().unwrap();
        self.shared.stopping.store(false, Ordering::SeqCst);
        let (name, shared) = (self.name.clone(), Arc::clone(&self.shared));
        self.listener = Some(thread::spawn(move || accept(&name, &shared, &listener)));
    }

    /// As kill -9: the port is closed, every connection is cut.
    pub fn kill(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// From now on health checks get a 503 and no "OK".
    pub fn set_sick(&self, sick: bool) {
        self.shared.sick.store(sick, Ordering::SeqCst);
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    pub fn mark(&self) -> u64 {
        self.shared.mark.load(Ordering::SeqCst)
    }

    /// Its lines in a configuration.
    pub fn server(&self) -> String {
        format!(
            "[[cluster.port.server]]\nname = \"{}\"\naddress = \"127.0.0.1\"\nmapport = {}\n\
             advisorrequest = \"GET /health HTTP/1.0\"\nadvisorresponse = \"OK\"\n",
            self.name,
            self.port()
        )
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.kill();
    }
}

fn accept(name: &str, shared: &Arc<Shared>, listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
        let (name, shared) = (name.to_owned(), Arc::clone(shared));
        thread::spawn(move || serve(&name, &shared, stream));
    }
}

fn serve(name: &str, shared: &Shared, stream: TcpStream) {
    let mut input = BufReader::new(stream.try_clone().unwrap());
    let mut output = stream;
    while let Some(head) = read_head(&mut input) {
        let mut body = vec![0; length(&head)];
        if input.read_exact(&mut body).is_err() {
            return;
        }
        if output.write_all(&respond(name, shared, &head, &body)).is_err() || head.starts_with("GET /health") {
            // The copy that is kept for the day of the kill would hold the connection open.
            let _ = output.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn respond(name: &str, shared: &Shared, head: &str, body: &[u8]) -> Vec<u8> {
    let sick = shared.sick.load(Ordering::SeqCst);
    if head.starts_with("GET /health") {
        let answer = if sick { "503 Sick\r\n\r\nill\n" } else { "200 OK\r\n\r\nOK\n" };
        return format!("HTTP/1.0 {answer}").into_bytes();
    }
    shared.requests.fetch_add(1, Ordering::SeqCst);
    if let Some(mark) = field(head, "x-mark").and_then(|mark| mark.parse().ok()) {
        shared.mark.fetch_max(mark, Ordering::SeqCst);
    }
    let target = head.split(' ').nth(1).unwrap_or_default();
    let id = field(head, "x-id").unwrap_or_default();
    let text = format!("{name} {target} {}", String::from_utf8_lossy(body));
    format!("HTTP/1.1 200 OK\r\nx-server: {name}\r\nx-id: {id}\r\ncontent-length: {}\r\n\r\n{text}", text.len())
        .into_bytes()
}

fn read_head(input: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            return Some(head);
        }
        head.push_str(&line);
    }
}

fn length(head: &str) -> usize {
    field(head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let wanted = |line: &&str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
    head.lines().find(wanted)?.split_once(':').map(|(_, value)| value.trim())
}
