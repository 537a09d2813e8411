//! Honest requests with a few bytes changed: whatever becomes of them, all servers behind us would read the same of it, and
//! never more requests than were answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;

use crate::support::{Setup, Site};

use super::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Raw, fields, frame, request};
use super::http1::agree;
use super::recorder::Recorder;

/// The same in each run: a failure names its case, which is found again by its number.
const SEED: u64 = 0x0E_4EA4;

const CASES_1: usize = 4000;
const CASES_2: usize = 2500;
const THREADS: usize = 4;

/// What is left unfinished by a change ends soon. How soon decides nothing here but how long this takes.
fn site(recorder: &Recorder) -> Site {
    let short = Duration::from_millis(150);
    Setup::http(&[&recorder.origin])
        .change(|port| {
            port.http2 = true;
            (port.timeouts.head, port.timeouts.body, port.timeouts.idle) = (short, short, short);
        })
        .start()
}

/// Runs the cases on a few threads.
fn in_threads(cases: usize, case: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases {
                        return;
                    }
                    case(number);
                }
            });
        }
    });
}

const HONEST: [&str; 6] = [
    "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nCookie: a=1\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 11\r\n\r\nhello=world",
    "POST /a HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
    "PUT http://shop.example/a HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nContent-Length: 3\r\n\r\nabc",
    "OPTIONS * HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 46\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: other.example\r\n\r\n",
];

/// What smugglers are fond of.
const PIECES: [&str; 28] = [
    "\r",
    "\n",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "\x0b",
    "\x7f",
    "\r\n",
    "\r\n\r\n",
    "\n\n",
    "0",
    "-",
    "+",
    "_",
    "#",
    "\\",
    "Content-Length: 3\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Host: b\r\n",
    "Connection: content-length\r\n",
    "0\r\n\r\n",
    "\r\n chunked",
];

/// One to three changes.
fn changed(rng: &mut Rng, honest: &[u8]) -> Vec<u8> {
    let mut bytes = honest.to_vec();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(0..bytes.len());
        match rng.u8(0..6) {
            0 => {
                bytes.splice(at..at, PIECES[rng.usize(0..PIECES.len())].bytes());
            }
            1 => {
                // In front of a line, where a field would be.
                let lines: Vec<usize> = (1..bytes.len()).filter(|&at| bytes[at - 1] == b'\n').collect();
                let at = rng.choice(lines).unwrap_or(at);
                bytes.splice(at..at, PIECES[rng.usize(0..PIECES.len())].bytes());
            }
            2 => {
                bytes.remove(at);
            }
            3 => bytes[at] = rng.u8(..),
            4 => bytes[at] ^= 0x20,
            _ => {
                let end = rng.usize(at..(at + 24).min(bytes.len()));
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
        if bytes.is_empty() {
            return b"G".to_vec();
        }
    }
    bytes
}

#[test]
fn changed_requests_of_http11() {
    let recorder = Recorder::start();
    let site = site(&recorder);
    let answered = AtomicUsize::new(0);
    in_threads(CASES_1, |number| {
        let mut rng = Rng::with_seed(SEED + number as u64);
        let honest = HONEST[rng.usize(0..HONEST.len())];
        let mut sent = changed(&mut rng, honest.as_bytes());
        sent.extend(b"GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n");
        let mut client = site.client();
        let _some_or_all = client.try_send(&sent);
        // However the connection ends, what was answered came before.
        while let Ok(line) = client.line() {
            answered.fetch_add(usize::from(line.starts_with("origin ")), Ordering::Relaxed);
        }
    });
    let seen = recorder.whole().len();
    assert!(seen > CASES_1 / 4, "{seen}: not everything is refused");
    assert_eq!(answered.load(Ordering::Relaxed), seen, "as many answers as requests");
    agree(&recorder);
}

/// Frames of a request, before or after a change.
fn frames(rng: &mut Rng) -> Vec<u8> {
    let body = b"GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n";
    let has_body = rng.bool();
    let mut list = request(if has_body { "POST" } else { "GET" }, "/a?b=c");
    let mut more = vec![("accept", "*/*".to_owned()), ("cookie", "a=1".to_owned()), ("te", "trailers".to_owned())];
    if has_body && rng.bool() {
        more.push(("content-length", body.len().to_string()));
    }
    list.extend(more.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes())));
    for _ in 0..rng.usize(0..3) {
        let place = rng.usize(0..list.len());
        match rng.u8(0..5) {
            0 => list[place].1 = changed(rng, &[b"x", &list[place].1[..]].concat()),
            1 => list[place].0 = changed(rng, &[b"x", &list[place].0[..]].concat()),
            2 => list.push(list[place].clone()),
            3 => {
                const FIELDS: [(&str, &str); 6] = [
                    ("host", "b"),
                    ("transfer-encoding", "chunked"),
                    ("connection", "close"),
                    ("content-length", "3"),
                    ("content-length", "0"),
                    ("x", "y\r\nContent-Length: 9"),
                ];
                let (name, value) = FIELDS[rng.usize(0..FIELDS.len())];
                list.insert(place, (name.into(), value.into()));
            }
            _ => {
                list.remove(place);
            }
        }
        if list.is_empty() {
            break;
        }
    }
    let block = fields(&list);
    let cut = rng.usize(0..=block.len());
    let mut sent = if rng.bool() {
        let (first, rest) = block.split_at(cut);
        let end = if has_body { 0 } else { END_STREAM };
        [frame(HEADERS, end, 1, first), frame(CONTINUATION, END_HEADERS, 1, rest)].concat()
    } else {
        frame(HEADERS, END_HEADERS | if has_body { 0 } else { END_STREAM }, 1, &block)
    };
    if has_body {
        // Often all of it, else a part that ends the stream all the same.
        let length = if rng.bool() { body.len() } else { rng.usize(0..=body.len()) };
        let (first, rest) = body[..length].split_at(rng.usize(0..=length));
        sent.extend(frame(DATA, 0, 1, first));
        sent.extend(frame(DATA, END_STREAM, 1, rest));
    }
    if rng.u8(0..8) == 0 {
        let at = rng.usize(0..sent.len());
        sent[at] = rng.u8(..);
    }
    sent
}

#[test]
fn changed_requests_of_http2() {
    let recorder = Recorder::start();
    let site = site(&recorder);
    let (asked, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    in_threads(CASES_2, |number| {
        let mut rng = Rng::with_seed(SEED + number as u64);
        let mut raw = Raw::connect(site.address);
        raw.send(&frames(&mut rng));
        raw.get(3, "/last");
        raw.over(1);
        raw.over(3);
        asked.fetch_add(2, Ordering::Relaxed);
        let texts = raw.streams.values().filter(|stream| stream.text().starts_with("origin "));
        answered.fetch_add(texts.count(), Ordering::Relaxed);
    });
    let (seen, asked) = (recorder.whole(), asked.load(Ordering::Relaxed));
    // Where a connection breaks, answers are lost; nothing comes to the server that nobody asked for.
    assert!(seen.len() > CASES_2 / 2 && seen.len() <= asked, "{} of {asked}", seen.len());
    assert!(answered.load(Ordering::Relaxed) <= seen.len());
    assert!(seen.iter().all(|seen| seen.target != "/smuggled"), "what was a body is one");
    agree(&recorder);
}
