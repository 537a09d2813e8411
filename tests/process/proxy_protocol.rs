//! The PROXY protocol with those who invented it and those who took it up: HAProxy, nginx, curl.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::{Site, free_port, get};

/// A program beside ours. Dropping it kills it.
struct Neighbour(Child);

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it and waits until it listens there. `None`, with one line that says so, where it is not installed.
fn neighbour(program: &str, arguments: &[&str], directory: &Path, port: u16) -> Option<Neighbour> {
    let log = fs::File::create(directory.join(format!("{program}.log"))).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut child = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed here");
            return None;
        }
        started => Neighbour(started.unwrap()),
    };
    let begun = Instant::now();
    while TcpStream::connect(local(port)).is_err() {
        let said = || fs::read_to_string(directory.join(format!("{program}.log"))).unwrap_or_default();
        assert!(child.0.try_wait().unwrap().is_none(), "{program} ended: {}", said());
        assert!(begun.elapsed() < Duration::from_secs(20), "{program} does not listen: {}", said());
        thread::sleep(Duration::from_millis(20));
    }
    Some(child)
}

fn haproxy(directory: &Path, sections: &str, port: u16) -> Option<Neighbour> {
    let head = "defaults\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n";
    fs::write(directory.join("haproxy.cfg"), format!("{head}{sections}")).unwrap();
    neighbour("haproxy", &["-db", "-f", "haproxy.cfg"], directory, port)
}

fn nginx(directory: &Path, before: &str, server: &str, port: u16) -> Option<Neighbour> {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path t;\n"));
    let text = format!(
        "{before}\ndaemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{}{server}\n}}\n",
        temporary.concat()
    );
    fs::write(directory.join("nginx.conf"), text).unwrap();
    let prefix = format!("{}/", directory.display());
    neighbour("nginx", &["-p", &prefix, "-c", "nginx.conf", "-e", "stderr"], directory, port)
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A server that answers each connection's first request with its head.
fn mirror() -> u16 {
    let listener = TcpListener::bind(local(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let head = head(&stream);
                let answer =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{head}", head.len());
                let _ = (&stream).write_all(answer.as_bytes());
            });
        }
    });
    port
}

/// Up to its empty line, or to the end of the connection.
fn head(mut stream: &TcpStream) -> String {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One request from 127.0.0.77, with these bytes before it; everything that comes back.
fn ask(port: u16, before: &str) -> String {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, 77), 0)).into()).unwrap();
    socket.connect(&local(port).into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(format!("{before}GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).to_ascii_lowercase()
}

fn port(number: u16, method: &str, settings: &str, server: u16) -> String {
    format!(
        "[[cluster.port]]\nnumber = {number}\nmethod = \"{method}\"\n{settings}\n[[cluster.port.server]]\nname = \"w1\"\n\
         address = \"127.0.0.1\"\nmapport = {server}\nadvisorrequest = \"GET /health HTTP/1.0\"\nadvisorresponse = \"200\"\n"
    )
}

/// Whether an advisor calls the port's server up.
fn is_up(site: &Site, port: u16) -> bool {
    let page = get(site.metrics_address(), "/metrics").body;
    let of_port = format!("port=\"{port}\"");
    page.lines().any(|line| line.starts_with("tsuji_advisor_up{") && line.contains(&of_port) && line.ends_with(" 1"))
}

const EXPECTING: &str = "trustedproxies = [\"127.0.0.1\"]\nproxyprotocol = \"on\"";
const CLIENTS: [(&str, &str); 2] = [
    ("PROXY TCP4 203.0.113.9 198.51.100.1 56324 8443\r\n", "203.0.113.9"),
    ("PROXY TCP6 2001:db8::9 2001:db8::1 56324 8443\r\n", "2001:db8::9"),
];

#[test]
fn haproxy_before_us() {
    let servers = ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"];
    let site = Site::new(&port(0, "http", EXPECTING, mirror()).replace("number = 0", "number = {port}"));
    let ports = servers.map(|_| free_port());
    let sections = servers.iter().zip(ports).map(|(server, port)| {
        format!(
            "listen l{port}\n mode tcp\n unique-id-format %[uuid()]\n bind 127.0.0.1:{port} accept-proxy\n \
             server tsuji 127.0.0.1:{} {server}\n",
            site.port
        )
    });
    let Some(_haproxy) = haproxy(site.directory.path(), &sections.collect::<String>(), ports[0]) else { return };
    let _daemon = site.start();
    for (server, port) in servers.iter().zip(ports) {
        for (header, client) in CLIENTS {
            let told = ask(port, header);
            assert!(told.contains(&format!("x-forwarded-for: {client}\r\n")), "{server}: {told}");
            assert!(told.contains("x-forwarded-port: 8443\r\n"), "{server}: {told}");
        }
    }
}

#[test]
fn haproxys_health_checks_before_us() {
    let site = Site::new(&port(0, "http", EXPECTING, mirror()).replace("number = 0", "number = {port}"));
    let front = free_port();
    // Both kinds: of the connection alone, and with a header that speaks for HAProxy.
    let section = format!(
        "listen front\n mode http\n option httpchk GET /health\n bind 127.0.0.1:{front}\n \
         server plain 127.0.0.1:{port} send-proxy check inter 100 check-send-proxy\n \
         server binary 127.0.0.1:{port} send-proxy-v2 check inter 100 check-send-proxy\n\
         listen silent\n mode tcp\n bind 127.0.0.1:{}\n server tsuji 127.0.0.1:{port} send-proxy check inter 100\n",
        free_port(),
        port = site.port
    );
    let daemon = site.start();
    let Some(_haproxy) = haproxy(site.directory.path(), &section, front) else { return };
    daemon.wait_until("checks with headers were served", |_| {
        let page = get(site.metrics_address(), "/metrics").body;
        let read = page.lines().find_map(|line| line.strip_prefix("tsuji_proxy_headers_read_total "));
        read.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count >= 4)
    });
    assert!(ask(front, "").contains("x-forwarded-for: 127.0.0.77\r\n"));
    let page = get(site.metrics_address(), "/metrics").body;
    let refused = page.lines().find(|line| line.contains("bad-proxy-header")).unwrap();
    assert!(refused.ends_with(" 0"), "a look at the connection is no fault: {refused}");
}

#[test]
fn haproxy_behind_us() {
    let (v1, v2, tcp, behind) = (free_port(), free_port(), free_port(), free_port());
    let ports = [
        port(v1, "http", "sendproxy = \"v1\"", behind),
        port(v2, "http", "sendproxy = \"v2\"", behind),
        port(tcp, "tcp", "sendproxy = \"v2\"", behind),
        format!("[[advisor]]\nname = \"http\"\nport = {v1}\ninterval = 0.2\n"),
        format!("[[advisor]]\nname = \"http\"\nport = {v2}\ninterval = 0.2\n"),
        format!("[[advisor]]\nname = \"connect\"\nport = {tcp}\ninterval = 0.2\n"),
    ];
    let site = Site::new(&ports.concat());
    let section = format!(
        "listen behind\n mode http\n bind 127.0.0.1:{behind} accept-proxy\n http-request set-header x-seen %[src]\n \
         server mirror 127.0.0.1:{}\n",
        mirror()
    );
    let Some(_haproxy) = haproxy(site.directory.path(), &section, behind) else { return };
    let daemon = site.start();
    for port in [v1, v2, tcp] {
        daemon.wait_until("the advisor finds it up", |_| is_up(&site, port));
        let told = ask(port, "");
        assert!(told.contains("x-seen: 127.0.0.77\r\n"), "{told}");
    }
}

#[test]
fn nginx_behind_us_and_before_us() {
    let (v1, v2, tcp, behind, before) = (free_port(), free_port(), free_port(), free_port(), free_port());
    let expecting = port(0, "http", EXPECTING, mirror()).replace("number = 0", "number = {port}");
    let ports = [
        expecting,
        port(v1, "http", "sendproxy = \"v1\"", behind),
        port(v2, "http", "sendproxy = \"v2\"", behind),
        port(tcp, "tcp", "sendproxy = \"v1\"", behind),
        format!("[[advisor]]\nname = \"http\"\nport = {v1}\ninterval = 0.2\n"),
        format!("[[advisor]]\nname = \"http\"\nport = {v2}\ninterval = 0.2\n"),
    ];
    let site = Site::new(&ports.concat());
    let server = format!(
        "server {{\nlisten 127.0.0.1:{behind} proxy_protocol;\n\
         return 200 \"seen $proxy_protocol_addr, came to $proxy_protocol_server_port\";\n}}"
    );
    let stream = Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
    let has_stream = stream.exists();
    let before_us = format!(
        "load_module {};\nstream {{ server {{ listen 127.0.0.1:{before}; proxy_pass 127.0.0.1:{}; proxy_protocol on; }} }}",
        stream.display(),
        site.port
    );
    let modules = if has_stream { before_us.as_str() } else { "" };
    let Some(_nginx) = nginx(site.directory.path(), modules, &server, behind) else { return };
    let daemon = site.start();
    for port in [v1, v2, tcp] {
        let seen = format!("seen 127.0.0.77, came to {port}");
        daemon.wait_until("it serves", |_| ask(port, "").ends_with(&seen));
    }
    for port in [v1, v2] {
        daemon.wait_until("the advisor finds it up", |_| is_up(&site, port));
    }
    if !has_stream {
        eprintln!("skipped in part: nginx has no stream module here");
        return;
    }
    let told = ask(before, "");
    assert!(told.contains("x-forwarded-for: 127.0.0.77\r\n"), "{told}");
    assert!(told.contains(&format!("x-forwarded-port: {before}\r\n")), "{told}");
}

#[test]
fn curl_before_us() {
    let site = Site::new(&port(0, "http", EXPECTING, mirror()).replace("number = 0", "number = {port}"));
    let _daemon = site.start();
    let curl = |arguments: &[&str]| {
        let url = format!("http://{}/", site.address());
        Command::new("curl").args(["-s", "--noproxy", "*", "--max-time", "20"]).args(arguments).arg(url).output()
    };
    let output = match curl(&["--haproxy-protocol"]) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: curl is not installed here");
            return;
        }
        output => output.unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout).to_ascii_lowercase();
    assert!(text.contains("x-forwarded-for: 127.0.0.1\r\n"), "{text}");
    let without = curl(&[]).unwrap();
    assert!(!without.status.success() && without.stdout.is_empty(), "trusted, and without a header: {without:?}");
}
