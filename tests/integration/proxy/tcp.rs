//! Method `tcp`.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tsuji::message::ErrorReason;
use tsuji::model::ForwardingMethod;

use crate::support::{Origin, Setup};

/// Speaks first, then gives everything back, and says goodbye when the client has finished.
fn echo(name: &'static str) -> Origin {
    Origin::new(move |visit| {
        visit.send(name);
        while let Some(&byte) = visit.bytes(1).first() {
            visit.send([byte]);
        }
        visit.send(" goodbye");
    })
}

#[test]
fn bytes_pass_both_ways_and_half_closing_is_kept() {
    let origin = echo("hi ");
    let site = Setup::tcp(&[&origin]).start();
    let mut client = site.client();
    assert_eq!(client.bytes(3).unwrap(), b"hi ", "a server that speaks first");
    client.send("\0\u{1}binary").finish();
    assert_eq!(client.rest().unwrap(), b"\0\x01binary goodbye");
    site.until("it is over", |site| site.server(0).active == 0 && site.port().connections == 0);
    let server = site.server(0);
    assert_eq!((server.begun, server.bytes_in, server.bytes_out), (1, 8, 19));
    assert_eq!(site.port().accepted, 1);
}

#[test]
fn a_server_that_finishes_first_still_hears_the_client() {
    let (heard, hearing) = std::sync::mpsc::sync_channel(1);
    let origin = Origin::new(move |visit| {
        visit.send("done").finish();
        heard.send(visit.bytes(100)).unwrap();
    });
    let site = Setup::tcp(&[&origin]).start();
    let mut client = site.client();
    assert_eq!(client.rest().unwrap(), b"done");
    client.send("still here").finish();
    assert_eq!(hearing.recv().unwrap(), b"still here");
}

#[test]
fn much_of_it() {
    let origin = Origin::new(|visit| {
        let body = visit.bytes(30 << 20);
        visit.send(body);
    });
    let site = Setup::tcp(&[&origin]).start();
    let mut client = site.client();
    let sent: Vec<u8> = (0..30u32 << 20).map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    client.send(&sent).finish();
    assert!(client.rest().unwrap() == sent);
}

#[test]
fn connections_are_spread_and_the_next_server_is_tried() {
    let origins = [echo("a"), echo("b")];
    let addresses = vec![origins[0].address(), Origin::nobody(), origins[1].address()];
    let site = Setup::with_addresses(ForwardingMethod::Tcp, addresses).start();
    let mut names: Vec<u8> = (0..6).flat_map(|_| site.client().bytes(1).unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, b"ab");
    assert_eq!(site.port().retries.iter().sum::<u64>(), site.server(1).failed);
    assert!(site.server(1).failed > 0);
}

#[test]
fn nobody_there_means_hanging_up() {
    for (addresses, reason) in [(vec![], ErrorReason::NoServer), (vec![Origin::nobody()], ErrorReason::ConnectRefused)]
    {
        let site = Setup::with_addresses(ForwardingMethod::Tcp, addresses).start();
        let mut client = site.client();
        assert!(client.rest().is_err(), "a reset");
        site.until("it is counted", |site| site.reason(reason) == 1);
    }
}

/// The time for the connection was armed, but nothing told its task when it was over: the client waited for as long as the
/// kernel went on trying, two minutes and more.
#[test]
fn a_server_that_does_not_accept_is_given_up_in_time() {
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    // Its queue takes one; the kernel lets what comes after that wait.
    let _queued = TcpStream::connect(address).unwrap();
    let site = Setup::with_addresses(ForwardingMethod::Tcp, vec![address])
        .change(|port| port.timeouts.connect = Duration::from_millis(200))
        .start();
    assert!(site.client().rest().is_err(), "a reset");
    site.until("it is counted", |site| site.reason(ErrorReason::ConnectTimeout) == 1);
}

#[test]
fn a_silent_connection_ends_after_its_time() {
    let origin = echo("");
    let site = Setup::tcp(&[&origin]).change(|port| port.timeouts.stale = Duration::from_millis(200)).start();
    assert!(site.client().rest().is_err());
    site.until("it is counted", |site| site.counters().stalled == 1 && site.server(0).active == 0);
}

#[test]
fn a_cut_server_ends_its_connections() {
    let origins = [echo("a"), echo("b")];
    let site = Setup::tcp(&[&origins[0], &origins[1]]).start();
    let mut clients = [site.client(), site.client()];
    for client in &mut clients {
        client.bytes(1).unwrap();
    }
    site.cut(0);
    site.until("one is over", |site| site.server(0).active == 0);
    assert_eq!((site.server(1).active, site.reason(ErrorReason::ServerDown)), (1, 1));
}

#[test]
fn a_reset_passes_on() {
    let origin = Origin::new(|visit| {
        visit.bytes(1);
        visit.reset();
    });
    let site = Setup::tcp(&[&origin]).start();
    assert!(site.client().send("x").rest().is_err());
}
