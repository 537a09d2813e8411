//! Small servers that say who they are, and clients of theirs.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::lab::Lab;

const PATIENCE: Duration = Duration::from_secs(3);

/// Serves `name` to each connection on TCP port 80, and to each datagram on UDP port 80, until the process ends.
pub fn serve(lab: &Lab, host: &'static str) {
    let bound = lab.on(host, move || {
        let tcp = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80)).unwrap();
        let udp = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 80)).unwrap();
        (tcp, udp)
    });
    let (tcp, udp) = bound.join().unwrap();
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            std::thread::spawn(move || talk(stream, host));
        }
    });
    // A datagram's answer has to come from the address that was asked, which a socket for all addresses does not know: each
    // cluster address gets one of its own.
    drop(udp);
    for address in [super::lab::CLUSTER, super::lab::CLUSTER6] {
        let address: IpAddr = address.parse().unwrap();
        let udp = lab.on(host, move || UdpSocket::bind((address, 80)).unwrap()).join().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 64];
            while let Ok((_, from)) = udp.recv_from(&mut bytes) {
                let _ = udp.send_to(host.as_bytes(), from);
            }
        });
    }
}

/// Answers each line with its name, so that a connection can be used again.
fn talk(mut stream: TcpStream, name: &str) {
    let mut bytes = [0; 512];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        for _ in bytes[..length].iter().filter(|byte| **byte == b'\n') {
            if stream.write_all(format!("{name}\n").as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// One connection to a server, whichever it is.
pub struct Connection(TcpStream);

impl Connection {
    /// To be called on a host, see [`Lab::on`].
    pub fn open(address: &str) -> std::io::Result<Self> {
        let address = SocketAddr::new(address.parse().unwrap(), 80);
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Who is there?
    pub fn ask(&mut self) -> std::io::Result<String> {
        self.tell(1)
    }

    /// The same after so many bytes.
    pub fn tell(&mut self, bytes: usize) -> std::io::Result<String> {
        self.0.write_all(&[&vec![b'?'; bytes][..], b"\n"].concat())?;
        let mut name = [0; 3];
        self.0.read_exact(&mut name)?;
        Ok(String::from_utf8_lossy(&name[..2]).into_owned())
    }
}

/// A connection of the client that asks whenever it is told to, for the name of its server.
pub struct Visitor {
    ask: Sender<()>,
    heard: Receiver<std::io::Result<String>>,
}

impl Visitor {
    pub fn new(lab: &Lab) -> Self {
        let (ask, asked) = channel();
        let (hear, heard) = channel();
        lab.on("client", move || {
            let mut connection = Connection::open(super::lab::CLUSTER).unwrap();
            while asked.recv().is_ok() {
                hear.send(connection.ask()).unwrap();
            }
        });
        Self { ask, heard }
    }

    pub fn ask(&self) -> String {
        self.ask.send(()).unwrap();
        self.heard.recv().unwrap().unwrap()
    }

    /// `None`: the connection has broken.
    pub fn try_ask(&self) -> Option<String> {
        self.ask.send(()).ok()?;
        self.heard.recv().ok()?.ok()
    }
}

/// Who answers each of `count` new connections from the client.
pub fn who(lab: &Lab, address: &'static str, count: usize) -> Vec<String> {
    let asked = lab.on("client", move || {
        let one = |_| Connection::open(address).and_then(|mut connection| connection.ask());
        (0..count).map(one).map(|answer| answer.unwrap_or_else(|error| error.to_string())).collect()
    });
    asked.join().unwrap()
}

/// Who answers each of `count` datagrams, each from a port of its own.
pub fn who_by_datagram(lab: &Lab, address: &'static str, count: usize) -> Vec<String> {
    let asked = lab.on("client", move || {
        // All stay open, so that each has another port.
        let mut sockets = Vec::new();
        let mut one = |_| -> std::io::Result<String> {
            let address: IpAddr = address.parse().unwrap();
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect((address, 80))?;
            socket.send(b"?")?;
            let mut bytes = [0; 8];
            let length = socket.recv(&mut bytes)?;
            sockets.push(socket);
            Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
        };
        (0..count).map(&mut one).map(|answer| answer.unwrap_or_else(|error| error.to_string())).collect()
    });
    asked.join().unwrap()
}
