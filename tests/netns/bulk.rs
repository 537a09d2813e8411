//! Servers that take and give as much as they are asked for, and clients that look at every byte.

use std::io::{Error, Read, Result, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::lab::{CLUSTER, CLUSTER6, Lab};

/// Beside the port of `web`.
const PORT: u16 = 81;
/// Longer than any pause that lost segments cause: the time-out after the fifth loss of one segment in a row is 6 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves TCP and UDP on `PORT` until the process ends.
pub fn serve(lab: &Lab, host: &'static str) {
    let bind = || TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap();
    let tcp = lab.on(host, bind).join().unwrap();
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            std::thread::spawn(move || answer(stream, host));
        }
    });
    // A socket for all addresses would not answer from the one that was asked.
    for address in [CLUSTER, CLUSTER6] {
        let address: IpAddr = address.parse().unwrap();
        let udp = lab.on(host, move || UdpSocket::bind((address, PORT)).unwrap()).join().unwrap();
        std::thread::spawn(move || echo(&udp, host));
    }
}

/// What a client sends and what it gets: two lengths, then that many bytes; a name, then that many bytes.
fn answer(mut stream: TcpStream, name: &str) -> Result<()> {
    let mut lengths = [0; 8];
    stream.read_exact(&mut lengths)?;
    let [up, down] = [&lengths[..4], &lengths[4..]].map(|length| u32::from_be_bytes(length.try_into().unwrap()));
    take(&mut stream, up)?;
    stream.write_all(name.as_bytes())?;
    stream.write_all(&bytes(down))
}

/// A name and the length of each datagram that is as it was sent.
fn echo(udp: &UdpSocket, name: &str) {
    let mut datagram = vec![0; 65536];
    while let Ok((length, from)) = udp.recv_from(&mut datagram) {
        if datagram[..length] == bytes(length as u32) {
            let _ = udp.send_to(format!("{name} {length}").as_bytes(), from);
        }
    }
}

/// One connection, over which that many bytes go up and down; who served it. To be called on a host, see [`Lab::on`].
pub fn transfer(address: &str, up: u32, down: u32) -> Result<String> {
    let address = SocketAddr::new(address.parse().unwrap(), PORT);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[up.to_be_bytes(), down.to_be_bytes()].concat())?;
    stream.write_all(&bytes(up))?;
    let mut name = [0; 2];
    stream.read_exact(&mut name)?;
    take(&mut stream, down)?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

/// A socket for datagrams to an address. To be called on a host.
pub fn socket(address: &str) -> Result<UdpSocket> {
    let address = SocketAddr::new(address.parse().unwrap(), PORT);
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(Duration::from_secs(3)))?;
    socket.connect(address)?;
    Ok(socket)
}

/// Who got a datagram of this length, and how much of it.
pub fn send(socket: &UdpSocket, length: u32) -> Result<String> {
    socket.send(&bytes(length))?;
    let mut answer = [0; 16];
    let length = socket.recv(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn take(stream: &mut TcpStream, length: u32) -> Result<()> {
    let mut taken = vec![0; length as usize];
    stream.read_exact(&mut taken)?;
    (taken == bytes(length)).then_some(()).ok_or_else(|| Error::other("other bytes than were sent"))
}

/// A sequence whose period is longer than any segment or fragment.
fn bytes(length: u32) -> Vec<u8> {
    (0..length).map(|at| (at % 65_521).wrapping_mul(0x9e37_79b1).to_be_bytes()[0]).collect()
}
