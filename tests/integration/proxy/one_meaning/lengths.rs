//! HTTP/2: a body that is not as long as was said never looks whole, wherever it ends (CVE-2026-33555 and its kin).

use crate::support::{Setup, Site};

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
