//! Under load, with everything that can happen on a bad day: no request that could be saved is lost, and nobody gets
//! what is another's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{Daemon, Origin, Site};

/// Keep-alive clients that ask without a pause; the first request that fails is remembered.
struct Crowd {
    stop: Arc<AtomicBool>,
    /// Requests carry the mark of the moment at which they were sent.
    mark: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<u64, String>>>,
}

impl Crowd {
    fn gather(size: u64, address: SocketAddr) -> Self {
        let (stop, mark) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(1)));
        let clients = (0..size).map(|number| {
            let (stop, mark) = (Arc::clone(&stop), Arc::clone(&mark));
            thread::spawn(move || ask_on(number, address, &stop, &mark))
        });
        Self { clients: clients.collect(), stop, mark }
    }

    /// Every request sent from now on carries a higher mark.
    fn next_mark(&self) -> u64 {
        self.mark.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Requests that were answered; panics with the first that was not.
    fn disperse(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        let ends = self.clients.into_iter().map(|client| client.join().unwrap());
        ends.map(|end| end.unwrap_or_else(|failure| panic!("{failure}"))).sum()
    }
}

fn ask_on(number: u64, address: SocketAddr, stop: &AtomicBool, mark: &AtomicU64) -> Result<u64, String> {
    let mut connection = Connection::open(address)?;
    let mut answered = 0;
    while !stop.load(Ordering::SeqCst) {
        let id = format!("{number}-{answered}");
        let mark = mark.load(Ordering::SeqCst);
        let head = match connection.ask(&id, mark) {
            Ok(head) => head,
            Err(Broken::AfterTheAnswerBegan) => {
                connection = Connection::open(address)?;
                continue;
            }
            Err(Broken::BeforeTheAnswer(error)) => return Err(format!("request {id}: {error}")),
        };
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("request {id} was answered with {head}"));
        }
        if !head.contains(&format!("x-id: {id}\r\n")) {
            return Err(format!("request {id} got another one's answer: {head}"));
        }
        answered += 1;
        if head.to_lowercase().contains("connection: close") {
            connection = Connection::open(address)?;
        }
    }
    Ok(answered)
}

/// A server that dies in the middle of its answer cannot be hidden from the client, and must not be.
enum Broken {
    BeforeTheAnswer(String),
    AfterTheAnswerBegan,
}

impl Broken {
    fn new(head: &str, error: &str) -> Self {
        if head.is_empty() { Self::BeforeTheAnswer(error.to_owned()) } else { Self::AfterTheAnswerBegan }
    }
}

struct Connection {
    input: BufReader<TcpStream>,
    output: TcpStream,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        Ok(Self { input: BufReader::new(stream.try_clone().unwrap()), output: stream })
    }

    /// The head of the answer; the body is read too.
    fn ask(&mut self, id: &str, mark: u64) -> Result<String, Broken> {
        let request = format!("GET /{id} HTTP/1.1\r\nHost: shop\r\nx-id: {id}\r\nx-mark: {mark}\r\n\r\n");
        let mut head = String::new();
        self.output.write_all(request.as_bytes()).map_err(|error| Broken::new(&head, &error.to_string()))?;
        while !head.ends_with("\r\n\r\n") {
            match self.input.read_line(&mut head) {
                Ok(0) => return Err(Broken::new(&head, "closed")),
                Ok(_) => {}
                Err(error) => return Err(Broken::new(&head, &error.to_string())),
            }
        }
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|text| text.parse().ok());
        let body = self.input.read_exact(&mut vec![0; length.unwrap_or(0)]);
        body.map_err(|error| Broken::new(&head, &error.to_string()))?;
        Ok(head)
    }
}

const CLIENTS: u64 = 64;

fn site(origins: &[Origin]) -> Site {
    let servers: String = origins.iter().map(Origin::server).collect();
    Site::new(&format!(
        "[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\nconnecttimeout = 2\n{servers}\
         [[advisor]]\nname = \"http\"\nport = {{port}}\ninterval = 0.2\nconnecttimeout = 10\nreceivetimeout = 10\n"
    ))
}

fn origins() -> Vec<Origin> {
    ["one", "two", "three"].map(Origin::start).into()
}

#[test]
fn a_hundred_reloads_lose_nothing() {
    let origins = origins();
    let site = site(&origins);
    let daemon = site.start();
    let crowd = Crowd::gather(CLIENTS, site.address());
    for _ in 0..50 {
        daemon.must("file newload tsuji.toml");
        daemon.must("server set shop::one weight 5");
    }
    let answered = crowd.disperse();
    assert!(answered > CLIENTS, "{answered}");
    settled(&daemon);
}

#[test]
fn a_killed_server_loses_nothing_and_serves_again() {
    let mut origins = origins();
    let site = site(&origins);
    let daemon = site.start();
    let crowd = Crowd::gather(CLIENTS, site.address());
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(200));
        origins[0].kill();
        daemon.wait_until("it is out", |daemon| daemon.must("server report shop::one").contains("-1"));
        origins[0].restart();
        let before = origins[0].requests();
        daemon.wait_until("it serves again", |_| origins[0].requests() > before);
    }
    crowd.disperse();
    settled(&daemon);
}

#[test]
fn after_quiesce_now_returned_no_request_is_sent_there() {
    let origins = origins();
    let site = site(&origins);
    let daemon = site.start();
    let crowd = Crowd::gather(CLIENTS, site.address());
    for round in 0..10 {
        daemon.must("manager quiesce one now");
        let mark = crowd.next_mark();
        thread::sleep(Duration::from_millis(100));
        let newest = origins[0].mark();
        assert!(newest < mark, "round {round}: a request of mark {newest} came after mark {mark} was given out");
        daemon.must("manager unquiesce one");
        daemon.wait_until("it serves again", |_| origins[0].mark() >= mark);
    }
    crowd.disperse();
    settled(&daemon);
}

/// When the crowd is gone, nothing is counted as running.
fn settled(daemon: &Daemon) {
    daemon.wait_until("nothing runs any more", |daemon| {
        let json: serde_json::Value = serde_json::from_str(&daemon.must("--json server report shop::")).unwrap();
        let servers = json["body"]["server_report"].as_array().unwrap();
        servers.len() == 3 && servers.iter().all(|server| server["traffic"]["active"] == 0)
    });
}
