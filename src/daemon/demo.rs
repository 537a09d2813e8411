//! `tsuji demo`: a whole site on loopback, to be played with.

use super::run::ConfigurationFiles;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// The demo's three servers; each has its colour, so that one sees who answers.
const ORIGINS: [(&str, &str); 3] = [("plum", "#8e4585"), ("sand", "#c2a267"), ("teal", "#00807a")];

/// Runs the demo until Ctrl-C.
pub fn run(listen: SocketAddr, metrics: SocketAddr) -> ExitCode {
    let directory = std::env::temp_dir().join(format!("tsuji-demo-{}", std::process::id()));
    let code = match Demo::prepare(&directory, listen, metrics) {
        Ok(demo) => {
            super::run::run(&ConfigurationFiles { files: vec![demo.configuration.clone()], watched: None }, || {
                // Without anybody to read it the demo runs all the same.
                let _ = io::stdout().write_all(invitation(listen, metrics, &demo.socket).as_bytes());
            })
        }
        Err(error) => {
            eprintln!("tsuji: cannot prepare the demo in {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    };
    // What lies in a directory of our own name in the system's temporary place is ours to remove.
    let _ = std::fs::remove_dir_all(&directory);
    code
}

/// What the demo runs on.
struct Demo {
    configuration: PathBuf,
    socket: PathBuf,
}

impl Demo {
    /// Starts the servers and writes configuration and sorry page into a directory of its own.
    fn prepare(directory: &Path, listen: SocketAddr, metrics: SocketAddr) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let sorry = directory.join("sorry.html");
        std::fs::write(&sorry, SORRY_PAGE)?;
        let socket = directory.join("control.sock");
        let origins = start_origins()?;
        let configuration = directory.join("demo.toml");
        std::fs::write(&configuration, site(listen, metrics, &socket, directory, &sorry, &origins))?;
        Ok(Self { configuration, socket })
    }
}

/// What can be tried, for the terminal.
fn invitation(listen: SocketAddr, metrics: SocketAddr, socket: &Path) -> String {
    let dscontrol = dscontrol_command();
    let socket = socket.display();
    format!(
        "Tsuji demo: three servers behind http://{listen}/\n\
         \n\
         Try:\n\
         \x20 curl http://{listen}/                          (again and again: the servers take turns)\n\
         \x20 {dscontrol} --socket {socket} manager report\n\
         \x20 {dscontrol} --socket {socket} server down shop:{port}:plum+sand+teal   (then curl again: the sorry page)\n\
         \x20 {dscontrol} --socket {socket} server up shop:{port}:plum+sand+teal\n\
         \x20 curl http://{metrics}/metrics\n\
         \n\
         Ctrl-C ends it.\n",
        port = listen.port(),
    )
}

/// The other program, where this one was started from.
fn dscontrol_command() -> String {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name("dscontrol")).filter(|path| path.exists());
    let here = std::env::current_dir().ok();
    let shortened = beside.map(|path| match here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned)) {
        Some(relative) => relative,
        None => path,
    });
    shortened.map_or_else(|| "dscontrol".to_owned(), |path| path.display().to_string())
}

fn site(
    listen: SocketAddr,
    metrics: SocketAddr,
    socket: &Path,
    directory: &Path,
    sorry: &Path,
    origins: &[(&str, SocketAddr)],
) -> String {
    let mut text = format!(
        "[control]\nsocket = {socket:?}\nstatedir = {directory:?}\n\n[metrics]\nlisten = \"{metrics}\"\n\n\
         [alerts]\ndirectory = \"\"\n\n\
         [[cluster]]\nname = \"shop\"\naddress = \"{}\"\n\n\
         [[cluster.port]]\nnumber = {}\nmethod = \"http\"\nsorrypage = {sorry:?}\nretryafter = 5\n",
        listen.ip(),
        listen.port(),
    );
    for (name, address) in origins {
        let _ = write!(
            text,
            "\n[[cluster.port.server]]\nname = \"{name}\"\naddress = \"{}\"\nmapport = {}\nadvisorrequest = \"GET /health HTTP/1.1\"\nadvisorresponse = \"OK\"\n",
            address.ip(),
            address.port(),
        );
    }
    let _ = write!(text, "\n[[advisor]]\nname = \"http\"\nport = {}\ninterval = 2\n", listen.port());
    text
}

/// The servers run on a thread of their own, as they would on machines of their own.
fn start_origins() -> io::Result<Vec<(&'static str, SocketAddr)>> {
    let sockets: Vec<_> = ORIGINS
        .iter()
        .map(|&(name, colour)| {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            Ok((name, colour, listener))
        })
        .collect::<io::Result<_>>()?;
    let addresses = sockets.iter().map(|(name, _, listener)| Ok((*name, listener.local_addr()?)));
    let addresses = addresses.collect::<io::Result<_>>()?;
    thread::Builder::new().name("tsuji-demo".to_owned()).spawn(move || run_origins(sockets))?;
    Ok(addresses)
}

fn run_origins(sockets: Vec<(&'static str, &'static str, std::net::TcpListener)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let mut origins = tokio::task::JoinSet::new();
        for (name, colour, listener) in sockets {
            if let Ok(listener) = TcpListener::from_std(listener) {
                origins.spawn(serve_origin(name, colour, listener));
            }
        }
        origins.join_all().await;
    });
}

async fn serve_origin(name: &'static str, colour: &'static str, listener: TcpListener) {
    let served = Arc::new(AtomicU64::new(0));
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_client(name, colour, stream, Arc::clone(&served)));
    }
}

async fn serve_client(name: &'static str, colour: &'static str, stream: TcpStream, served: Arc<AtomicU64>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let body = match request.uri().path() {
            "/health" => "OK\n".to_owned(),
            path => page(name, colour, path, served.fetch_add(1, Ordering::Relaxed) + 1),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html; charset=utf-8"));
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn page(name: &str, colour: &str, path: &str, count: u64) -> String {
    let path = path.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><title>{name}</title>\
         <body style=\"background:{colour};color:#fff;font:2em sans-serif;text-align:center;padding-top:20vh\">\
         <p>This is server <b>{name}</b>, request {count}.</p><p><code>{path}</code></p>\n"
    )
}

const SORRY_PAGE: &str = "<!doctype html><meta charset=\"utf-8\"><title>Back soon</title>\
<body style=\"font:2em sans-serif;text-align:center;padding-top:20vh\">\
<p>We are sorry: the shop is closed for a moment.</p>\n";
