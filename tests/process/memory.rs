//! The ceiling on memory, at a process that comes up to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Origin, Site, get};

fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    let mut room = [0; 4096];
    let read = stream.read(&mut room).unwrap();
    String::from_utf8_lossy(&room[..read]).into_owned()
}

#[test]
fn close_to_its_ceiling_it_refuses_and_says_so_and_goes_on_when_there_is_room() {
    let origin = Origin::start("a");
    let site = Site::new(&format!(
        "[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\n\
         [[cluster.port.server]]\nname = \"a\"\naddress = \"127.0.0.1\"\nmapport = {}\n",
        origin.port()
    ));
    let daemon = site.start();
    let mut client = TcpStream::connect(site.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(ask(&mut client).starts_with("HTTP/1.1 200"));
    let level = || {
        let page = get(site.metrics_address(), "/metrics").body;
        page.lines().find_map(|line| line.strip_prefix("tsuji_proxy_memory_level ").map(str::to_owned)).unwrap()
    };
    assert_eq!(level(), "0");
    assert!(!daemon.must("status").contains("memory:"));

    // No process is as small as this.
    daemon.must("executor set maxmemory 2");
    daemon.wait_until("it is refused", |_| level() == "3");
    let _late = TcpStream::connect(site.address()).unwrap();
    let answer = ask(&mut client);
    let answered = answer.contains("tsuji-error: overloaded");
    assert!(answered || answer.is_empty(), "it was answered, or closed as a silent one: {answer}");
    let status = daemon.must("status");
    assert!(status.contains("requests are answered with 503"), "{status}");
    daemon.wait_until("it is told once", |daemon| daemon.errors().matches("memory:").count() == 1);

    daemon.must("executor set maxmemory 0");
    daemon.wait_until("it is over", |_| level() == "0");
    let mut again = TcpStream::connect(site.address()).unwrap();
    again.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(ask(&mut again).starts_with("HTTP/1.1 200"));
}
