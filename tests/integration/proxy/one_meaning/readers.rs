//! Readers of requests that servers behind us could be.

use std::convert::Infallible;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// A request that came to its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub host: String,
    pub body: Vec<u8>,
    /// As it came, of the reader that keeps it.
    pub head: String,
    /// Fields behind the body, as they came.
    pub trailers: String,
}

impl Seen {
    /// What all readers have to agree on.
    pub fn meaning(&self) -> (&str, &str, &str, &[u8]) {
        (&self.method, &self.target, &self.host, &self.body)
    }
}

/// What bytes begin with.
pub enum Next {
    /// A request, so many bytes long.
    Whole(Seen, usize),
    /// Perhaps a request, when more comes.
    Half,
    Nonsense(String),
}

/// Fields of a head that this reader takes: those of the client, and ours.
const MOST_FIELDS: usize = 128;

/// Reads nothing but what has one meaning by the letter of RFC 9112.
pub fn strictly(bytes: &[u8]) -> Next {
    let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4) else {
        return if bytes.contains(&0) { Next::Nonsense("NUL".to_owned()) } else { Next::Half };
    };
    match strict_head(&bytes[..end]) {
        Err(why) => Next::Nonsense(format!("{why} in {:?}", String::from_utf8_lossy(&bytes[..end]))),
        Ok((mut seen, length)) => match strict_body(&bytes[end..], length) {
            Ok(Some(read)) => {
                (seen.body, seen.trailers) = (read.body, read.trailers);
                Next::Whole(seen, end + read.length)
            }
            Ok(None) => Next::Half,
            Err(why) => Next::Nonsense(format!("{why} after {:?}", seen.head)),
        },
    }
}

/// A body's length; `None`: chunked.
type Length = Option<usize>;

fn strict_head(head: &[u8]) -> Result<(Seen, Length), String> {
    let text = String::from_utf8_lossy(head).into_owned();
    for (at, &byte) in head.iter().enumerate() {
        let is_pair = (byte == b'\n' && at > 0 && head[at - 1] == b'\r') || (byte == b'\r' && head[at + 1] == b'\n');
        let is_text = byte == b'\t' || (byte >= b' ' && byte != 0x7F);
        if !is_pair && !is_text {
            return Err(format!("byte {byte:#x}"));
        }
    }
    let mut room = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut room);
    let parsed = request.parse(head).map_err(|error| error.to_string())?;
    if parsed != httparse::Status::Complete(head.len()) || request.version != Some(1) {
        return Err("not one head of HTTP/1.1".to_owned());
    }
    let values = |wanted: &str| -> Vec<&[u8]> {
        request
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(wanted))
            .map(|field| field.value)
            .collect()
    };
    let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if let Some(odd) = request.headers.iter().find(|field| !is_plain(field.name)) {
        return Err(format!("the name {:?}", odd.name));
    }
    let [host] = values("host")[..] else { return Err("not one host".to_owned()) };
    let length = match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) => Some(0),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            Some(std::str::from_utf8(length).unwrap().parse().map_err(|_| "too long a length".to_owned())?)
        }
        ([], [b"chunked"]) => None,
        other => return Err(format!("framing {other:?}")),
    };
    let line = text.lines().next().unwrap_or_default();
    let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err("a request line of other than three words".to_owned());
    };
    let seen = Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        host: String::from_utf8_lossy(host).into_owned(),
        body: Vec::new(),
        head: text.clone(),
        trailers: String::new(),
    };
    Ok((seen, length))
}

/// A body with all that belongs to it.
struct Read {
    body: Vec<u8>,
    trailers: String,
    /// Bytes that it took.
    length: usize,
}

/// `None`: it is not all here.
fn strict_body(bytes: &[u8], length: Length) -> Result<Option<Read>, String> {
    match length {
        Some(length) => {
            Ok(bytes.get(..length).map(|body| Read { body: body.to_vec(), trailers: String::new(), length }))
        }
        None => strict_chunks(bytes),
    }
}

fn strict_chunks(bytes: &[u8]) -> Result<Option<Read>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = bytes[at..].windows(2).position(|end| end == b"\r\n") else { return Ok(None) };
        let digits = &bytes[at..at + end];
        if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(format!("a chunk of {:?}", String::from_utf8_lossy(digits)));
        }
        let size = usize::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        at += end + 2;
        if size == 0 {
            let end = strict_trailers(&bytes[at..])?.map(|length| at + length);
            let trailers = |end| String::from_utf8_lossy(&bytes[at..end]).into_owned();
            return Ok(end.map(|length| Read { body, trailers: trailers(length), length }));
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        let (data, end) = chunk.split_at(size);
        if end != b"\r\n" {
            return Err(format!("{end:?} after a chunk"));
        }
        body.extend_from_slice(data);
        at += size + 2;
    }
}

fn strict_trailers(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let Some(end) = bytes[at..].windows(2).position(|end| end == b"\r\n") else { return Ok(None) };
        let line = &bytes[at..at + end];
        at += end + 2;
        if line.is_empty() {
            return Ok(Some(at));
        }
        if !line.contains(&b':') || line.iter().any(|&byte| byte < b' ' && byte != b'\t') {
            return Err(format!("the trailer {:?}", String::from_utf8_lossy(line)));
        }
    }
}

/// All requests of a connection that came to their end.
pub fn all_strictly(bytes: &[u8]) -> Result<Vec<Seen>, String> {
    let (mut all, mut rest) = (Vec::new(), bytes);
    loop {
        match strictly(rest) {
            Next::Whole(seen, length) => {
                all.push(seen);
                rest = &rest[length..];
            }
            Next::Half => return Ok(all),
            Next::Nonsense(why) => return Err(why),
        }
    }
}

/// The same as hyper's server reads it.
pub fn all_by_hyper(bytes: &[u8]) -> Vec<Seen> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = duplex(8 << 20);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let service = service_fn(|request: Request<Incoming>| {
            let all = Arc::clone(&all);
            async move {
                let (head, body) = request.into_parts();
                if let Ok(body) = body.collect().await {
                    let host =
                        head.headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
                    all.lock().unwrap().push(Seen {
                        method: head.method.to_string(),
                        target: head.uri.to_string(),
                        host: host.unwrap_or_default(),
                        body: body.to_bytes().to_vec(),
                        head: String::new(),
                        trailers: String::new(),
                    });
                }
                Ok::<_, Infallible>(http::Response::new(Empty::<bytes::Bytes>::new()))
            }
        });
        let mut builder = Builder::new();
        let _fault_or_end =
            builder.half_close(true).max_headers(MOST_FIELDS).serve_connection(TokioIo::new(server), service).await;
        let _answers = client.read_to_end(&mut Vec::new()).await;
    });
    let all = all.lock().unwrap();
    all.clone()
}

/// The same as the server of Python's standard library reads it, for each of many connections. It may refuse what the
/// others take, and reads no further then. `None`: there is no Python.
pub fn all_by_python(connections: &[Vec<u8>]) -> Option<Vec<Vec<Seen>>> {
    let spawned =
        Command::new("python3").args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok();
    let Some(mut child) = spawned else {
        eprintln!("skipped: there is no python3 to read it as well");
        return None;
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: String = connections.iter().map(|bytes| hex(bytes) + "\n").collect();
    let mut stdin = child.stdin.take().unwrap();
    // It reads everything before it writes anything.
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let read: Vec<Vec<[String; 4]>> = serde_json::from_slice(&output.stdout).unwrap();
    let unhex = |text: &str| -> Vec<u8> {
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let string = |text: &str| String::from_utf8_lossy(&unhex(text)).into_owned();
    let seen = |[method, target, host, body]: [String; 4]| Seen {
        method: string(&method),
        target: string(&target),
        host: string(&host),
        body: unhex(&body),
        head: String::new(),
        trailers: String::new(),
    };
    Some(read.into_iter().map(|all| all.into_iter().map(seen).collect()).collect())
}

const PYTHON: &str = r#"
import io, json, sys
from http.server import BaseHTTPRequestHandler

class Reader(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, raw):
        self.raw, self.rfile, self.wfile = raw, io.BytesIO(raw), io.BytesIO()
        self.client_address, self.seen = ("", 0), []

    def log_message(self, *args):
        pass

    def read_all(self):
        while self.raw.find(b"\r\n\r\n", self.rfile.tell()) >= 0:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.parse_request():
                break
            body = self.body()
            if body is None:
                break
            words = self.raw_requestline.split(b" ")
            host = self.headers.get("host", "").encode("latin-1")
            self.seen.append([words[0].hex(), words[1].hex(), host.hex(), body.hex()])
        return self.seen

    def body(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline() or b"0", 16)
                chunk = self.rfile.read(size)
                if len(chunk) < size or (size and self.rfile.readline() != b"\r\n"):
                    return None
                if not size:
                    break
                body += chunk
            while True:
                line = self.rfile.readline()
                if line == b"\r\n":
                    return body
                if not line:
                    return None
        length = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(length)
        return body if len(body) == length else None

print(json.dumps([Reader(bytes.fromhex(line.strip())).read_all() for line in sys.stdin.readlines()]))
"#;
