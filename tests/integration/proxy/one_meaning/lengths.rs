//! A message that ends before its end, or a body that is not as long as was said, never looks whole, wherever that is
//! (CVE-2026-33555 and its kin).

use http::Request;

use crate::support::http2::{Http2, story};
use crate::support::{Origin, Setup, Site};

use super::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Raw, fields, frame, request};
use super::http1::agree;
use super::recorder::Recorder;

const BODY: &[u8] = b"eight by";

fn head(length: &str) -> Vec<u8> {
    let mut list = request("POST", "/a");
    list.push((b"content-length".to_vec(), length.into()));
    fields(&list)
}

fn site(recorder: &Recorder) -> Site {
    Setup::http(&[&recorder.origin]).change(|port| port.http2 = true).start()
}

/// The end of a stream, said in each of the ways there are.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Data,
    EmptyData,
    Fields,
}

impl Ending {
    fn frames(self, body: &[u8]) -> Vec<u8> {
        let data = frame(DATA, 0, 1, body);
        match self {
            Self::Data => frame(DATA, END_STREAM, 1, body),
            Self::EmptyData => [data, frame(DATA, END_STREAM, 1, b"")].concat(),
            Self::Fields => {
                let trailers = fields(&[(b"x-sum".to_vec(), b"1".to_vec())]);
                [data, frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers)].concat()
            }
        }
    }
}

#[test]
fn a_stream_that_ends_at_another_place_than_it_said_is_no_request() {
    let recorder = Recorder::start();
    let site = site(&recorder);
    for ending in [Ending::Data, Ending::EmptyData, Ending::Fields] {
        for sent in 0..=BODY.len() + 1 {
            let before = recorder.whole().len();
            let mut raw = Raw::connect(site.address);
            let body: Vec<u8> = BODY.iter().chain(b"!").take(sent).copied().collect();
            raw.send(&frame(HEADERS, END_HEADERS, 1, &head("8")));
            raw.send(&ending.frames(&body));
            let stream = raw.over(1);
            if sent == BODY.len() {
                assert!(stream.text().starts_with("origin "), "{ending:?} {stream:?}");
                assert_eq!(recorder.whole()[before].body, BODY);
            } else {
                assert_eq!(stream.reset, Some(1), "{ending:?} {sent}: {stream:?}");
                assert_eq!(recorder.whole().len(), before, "{ending:?} {sent}");
            }
            raw.get(3, "/after");
            assert!(raw.over(3).text().starts_with("origin "), "{ending:?} {sent}: the connection goes on");
        }
    }
    agree(&recorder);
}

/// A client that gives up, after each frame of an upload: what the server had of it is never made whole by another request.
#[test]
fn resets_at_each_step() {
    let recorder = Recorder::start();
    let site = site(&recorder);
    let mut steps = vec![frame(HEADERS, END_HEADERS, 1, &head("8"))];
    steps.extend(BODY.iter().map(|byte| frame(DATA, 0, 1, &[*byte])));
    for taken in 1..=steps.len() {
        for (waits, whole) in [(false, false), (true, false), (true, true)] {
            let before = recorder.whole().len();
            let mut raw = Raw::connect(site.address);
            for step in &steps[..taken] {
                raw.send(step);
            }
            if waits {
                // Some of it is at the server by the time that another stream has its answer.
                raw.get(3, "/meanwhile");
                assert!(raw.over(3).text().starts_with("origin "));
            }
            if whole {
                raw.send(&frame(DATA, END_STREAM, 1, &BODY[taken - 1..]));
            }
            raw.send(&frame(RST_STREAM, 0, 1, &8u32.to_be_bytes()));
            raw.get(5, "/after");
            assert!(raw.over(5).text().starts_with("origin "), "{taken} {waits}");
            for seen in &recorder.whole()[before..] {
                let is_whole = seen.target == "/a" && seen.body == BODY;
                assert!(is_whole || (seen.method == "GET" && seen.body.is_empty()), "{seen:?}");
                assert!(!is_whole || whole || taken == steps.len(), "{seen:?} after {taken}");
            }
        }
    }
    agree(&recorder);
    site.until("nothing runs", |site| site.server(0).active == 0);
}

/// A client of HTTP/1.1 that leaves after each byte of a request.
#[test]
fn a_request_that_is_cut_at_any_byte_is_no_request() {
    let requests = [
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\neight by",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\neig\r\n5\r\nht by\r\n0\r\nX-Sum: 1\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let recorder = Recorder::start();
    let site = site(&recorder);
    for request in requests {
        for end in 1..request.len() {
            site.client().send(&request[..end]);
        }
        site.until("all are gone", |site| site.port().connections == 0);
        assert_eq!(recorder.whole().len(), 0, "{request}");
    }
    agree(&recorder);
    site.until("nothing runs", |site| site.server(0).active == 0);
}

/// A server that leaves after each byte of a response, before clients of both protocols.
#[test]
fn a_response_that_is_cut_at_any_byte_is_no_response() {
    let responses = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ];
    let origin = Origin::new(move |visit| {
        let Some(head) = visit.request() else { return };
        let mut numbers = head.split(['/', ' ']).filter_map(|part| part.parse::<usize>().ok());
        let (which, end) = (numbers.next().unwrap(), numbers.next().unwrap());
        visit.send(&responses[which][..end]);
    });
    let site = Setup::http(&[&origin]).change(|port| port.http2 = true).start();
    story(async {
        let mut second = Http2::plain(site.address).await;
        for (which, response) in responses.iter().enumerate() {
            for end in 0..=response.len() {
                let (path, whole) = (format!("/{which}/{end}"), end == response.len());
                let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
                let first = site.client().send(request).try_answer("GET").is_ok_and(|answer| answer.status < 500);
                assert_eq!(first, whole, "{:?}", &response[..end]);
                let request = Request::get(format!("http://a{path}")).body(()).unwrap();
                let second = second.ask(request).await.is_ok_and(|answer| answer.status() < 500);
                assert_eq!(second, whole, "{:?}", &response[..end]);
            }
        }
    });
}
