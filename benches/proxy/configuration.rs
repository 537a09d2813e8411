//! The configuration that somebody who knows the product would write for this site: one proxy in front of two servers,
//! connections to servers kept, forwarding fields set, HTTP/1.1 on both sides.

use std::fmt::Write as _;
use std::path::Path;

use super::figures::report::Buffers;

/// Kept connections per server: as many as a cell has clients, so that nobody closes one for want of room.
const KEPT: usize = 512;

/// How it is to be set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setup {
    pub workers: usize,
    /// A client stays with its server, where the product can do that.
    pub sticky: bool,
    /// Servers have clone ids, so that the session id in each request's cookie is looked for and followed (Tsuji).
    pub clone_ids: bool,
    pub access_log: bool,
    /// Whether a silent client's buffers are given up, as Tsuji does unless told otherwise.
    pub parking: bool,
    /// Clients speak TLS, and HTTP/2 where they ask for it.
    pub tls: bool,
    /// Of the peers.
    pub buffers: Buffers,
}

impl Setup {
    /// What every product is measured with unless a cell says otherwise.
    pub const PLAIN: Self = Self {
        workers: 1,
        sticky: true,
        clone_ids: false,
        access_log: false,
        parking: true,
        tls: false,
        buffers: Buffers::Default,
    };
}

/// Where it is to run.
pub struct Site<'a> {
    pub directory: &'a Path,
    pub port: u16,
    pub metrics: u16,
    pub servers: [u16; 2],
    pub descriptors: u64,
    /// A chain and its key, in one file.
    pub certificate: &'a Path,
    /// Whether we are root.
    pub root: bool,
}

pub fn tsuji(setup: Setup, site: &Site) -> String {
    let Setup { workers, sticky, clone_ids, access_log, parking, tls, .. } = setup;
    let directory = site.directory.display();
    let stickytime = if sticky { 300 } else { 0 };
    let mut text = format!(
        "[executor]\nworkers = {workers}\ndraintime = 0.1\n\n\
         [control]\nsocket = \"{directory}/control.sock\"\nstatedir = \"{directory}/state\"\n\n\
         [metrics]\nlisten = \"127.0.0.1:{}\"\n\n\
         [[cluster]]\nname = \"shop\"\naddress = \"127.0.0.1\"\n\n\
         [[cluster.port]]\nnumber = {}\nmethod = \"http\"\nstickytime = {stickytime}\npoolsize = {KEPT}\n",
        site.metrics, site.port,
    );
    if tls {
        let _ = writeln!(text, "certificates = [\"{}\"]", site.certificate.display());
    }
    if !parking {
        text += "parktime = 0\n";
    }
    if access_log {
        let _ = write!(text, "accesslog = \"{directory}/access.log\"\naccesslogformat = \"combined\"\n");
    }
    for (index, port) in site.servers.iter().enumerate() {
        let _ = write!(
            text,
            "\n[[cluster.port.server]]\nname = \"w{}\"\naddress = \"127.0.0.1\"\nmapport = {port}\n",
            index + 1
        );
        if clone_ids {
            let _ = writeln!(text, "cloneid = \"w{}\"", index + 1);
        }
    }
    text
}

/// It has no log files of its own; standard output is one here, as in a container. A body of 16 KiB just misses its
/// default buffer and takes a second turn.
pub fn haproxy(setup: Setup, site: &Site) -> String {
    let (log, format) = match setup.access_log {
        true => ("    log stdout format raw local0\n", "    log global\n    option httplog\n"),
        false => ("", ""),
    };
    let affinity = match setup.sticky {
        true => "    stick-table type ip size 100k expire 5m\n    stick on src\n",
        false => "",
    };
    let buffers = match setup.buffers {
        Buffers::Default => "",
        Buffers::Tuned => "    tune.bufsize 32768\n",
    };
    let (security, proto) = match setup.tls {
        true => (format!(" ssl crt {} alpn h2,http/1.1 curves X25519", site.certificate.display()), "https"),
        false => (String::new(), "http"),
    };
    let connections = 20_000.min(site.descriptors.saturating_sub(500) / 2);
    let [first, second] = site.servers;
    format!(
        "global\n    nbthread {}\n{buffers}    maxconn {connections}\n{log}\n\
         defaults\n    mode http\n{format}    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n    \
         timeout http-request 10s\n    timeout http-keep-alive 60s\n    timeout tunnel 300s\n    option forwardfor\n\n\
         frontend shop\n    bind 127.0.0.1:{}{security}\n    maxconn {connections}\n    \
         http-request set-header X-Forwarded-Proto {proto}\n    \
         http-request set-header X-Forwarded-Host %[req.hdr(Host)]\n    \
         http-request set-header X-Forwarded-Port %[dst_port]\n    default_backend servers\n\n\
         backend servers\n    balance roundrobin\n{affinity}    \
         server w1 127.0.0.1:{first}\n    server w2 127.0.0.1:{second}\n\n\
         frontend metrics\n    bind 127.0.0.1:{}\n    \
         http-request use-service prometheus-exporter if {{ path /metrics }}\n",
        setup.workers, site.port, site.metrics,
    )
}

/// It has no affinity for clients that it balances in turn, so it does without. Its default buffers are eight pages, which
/// 1 MiB has to pass through in many turns. Its log is unbuffered unless told otherwise: a line can be read as soon as its request is over.
pub fn nginx(setup: Setup, site: &Site) -> String {
    let directory = site.directory.display();
    let log = match setup.access_log {
        true => format!("{directory}/access.log combined"),
        false => "off".to_owned(),
    };
    // Its worker gives up root and could then write no temporary files in our directory.
    let user = if site.root { "user root;\n" } else { "" };
    let (bodies, answers) = nginx_buffers(setup.buffers);
    let [first, second] = site.servers;
    let certificate = site.certificate.display();
    let (security, files) = match setup.tls {
        true => (
            " ssl http2",
            format!(
                "    ssl_certificate {certificate};\n    ssl_certificate_key {certificate};\n    \
                 ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_ecdh_curve X25519;\n    ssl_session_cache shared:s:10m;\n    \
                 ssl_session_tickets on;\n"
            ),
        ),
        false => ("", String::new()),
    };
    let mut text = format!(
        "{user}daemon off;\nworker_processes {};\nworker_rlimit_nofile {};\npid {directory}/nginx.pid;\n\
         events {{ worker_connections 16384; }}\n\
         http {{\n  access_log {log};\n  tcp_nodelay on;\n  keepalive_timeout 60s;\n  keepalive_requests 1000000000;\n{bodies}",
        setup.workers, site.descriptors,
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(text, "  {kind}_temp_path {directory}/{kind};");
    }
    let _ = write!(
        text,
        "  upstream servers {{\n    server 127.0.0.1:{first};\n    server 127.0.0.1:{second};\n    keepalive {KEPT};\n    \
         keepalive_requests 1000000000;\n  }}\n  \
         map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n  \
         server {{\n    listen 127.0.0.1:{}{security};\n{files}    location / {{\n      proxy_pass http://servers;\n      \
         proxy_http_version 1.1;\n      proxy_set_header Connection $connection_upgrade;\n      \
         proxy_set_header Upgrade $http_upgrade;\n      proxy_set_header Host $http_host;\n      \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n      \
         proxy_set_header X-Forwarded-Proto $scheme;\n      proxy_set_header X-Forwarded-Host $http_host;\n      \
         proxy_set_header X-Forwarded-Port $server_port;\n{answers}    }}\n  }}\n}}\n",
        site.port,
    );
    text
}

/// For requests and for answers. What does not fit goes through a temporary file by default, which the tuned ones avoid.
const fn nginx_buffers(buffers: Buffers) -> (&'static str, &'static str) {
    match buffers {
        Buffers::Default => ("", ""),
        Buffers::Tuned => (
            "  client_body_buffer_size 64k;\n",
            "      proxy_buffer_size 16k;\n      proxy_buffers 16 32k;\n      proxy_busy_buffers_size 128k;\n      \
             proxy_max_temp_file_size 0;\n",
        ),
    }
}
