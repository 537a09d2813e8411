//! A client that asks all the time, and how long it got no answer.

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lab::Lab;

/// Between two questions.
const EVERY: Duration = Duration::from_millis(2);

/// Asks until it is told to stop.
pub struct Asker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Instant>>,
}

/// When questions were answered.
pub struct Heard(Vec<Instant>);

impl Asker {
    /// Datagrams to port 80 of a cluster address, each from a port of its own, so that each is a new connection.
    pub fn start(lab: &Lab, address: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = lab.on("client", move || ask(address, &seen));
        Self { stop, thread }
    }

    pub fn stop(self) -> Heard {
        self.stop.store(true, Ordering::Relaxed);
        Heard(self.thread.join().unwrap())
    }
}

fn ask(address: &str, stop: &AtomicBool) -> Vec<Instant> {
    let address: IpAddr = address.parse().unwrap();
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let (mut heard, mut sockets) = (Vec::new(), Vec::<UdpSocket>::new());
    while !stop.load(Ordering::Relaxed) {
        let socket = UdpSocket::bind(any).unwrap();
        socket.set_nonblocking(true).unwrap();
        // Whoever cannot be reached is no answer.
        let _ = socket.send_to(b"?", (address, 80));
        sockets.push(socket);
        if sockets.len() > 64 {
            sockets.remove(0);
        }
        let until = Instant::now() + EVERY;
        while Instant::now() < until {
            for socket in &sockets {
                match socket.recv_from(&mut [0; 8]) {
                    Ok(_) => heard.push(Instant::now()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => {}
                }
            }
            std::thread::sleep(Duration::from_micros(300));
        }
    }
    heard
}

impl Heard {
    /// The longest time without an answer.
    pub fn gap(&self) -> Duration {
        self.0.windows(2).map(|two| two[1] - two[0]).max().expect("something was heard")
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}
