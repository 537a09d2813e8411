//! The corpus in HTTP/2.

use tsuji::message::ErrorReason;

use crate::support::http2::{Http2, story};
use crate::support::{Setup, Site};

use super::corpus::{self, Case, bytes};
use super::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Raw, Stream, fields, frame, request};
use super::http1::{agree, check_seen, refusal};
use super::recorder::Recorder;

fn site(recorder: &Recorder) -> Site {
    Setup::http(&[&recorder.origin]).change(|port| port.http2 = true).start()
}

#[test]
fn each_request_has_one_meaning_or_none() {
    let recorder = Recorder::start();
    let site = site(&recorder);
    corpus::run("http2.txt", |case| {
        let (before, length) = (recorder.whole().len(), recorder.length());
        let mut raw = Raw::connect(site.address);
        raw.send(&frames(case));
        let stream = raw.over(1);
        check(case, &site, &raw, &stream);
        let seen = recorder.whole().split_off(before);
        if case.has("server") {
            check_seen(case, &seen);
        } else {
            assert_eq!(seen.len(), 0, "{}", case.name);
        }
        if case.has("refused") {
            assert_eq!(recorder.length(), length, "{}: nothing reaches the server", case.name);
        }
        if case.has("kept") {
            raw.get(3, "/after");
            assert!(raw.over(3).text().starts_with("origin "), "{}: the connection goes on", case.name);
        }
    });
    agree(&recorder);
}

/// All of it on stream 1.
fn frames(case: &Case) -> Vec<u8> {
    let (mut sent, mut list) = (Vec::new(), Vec::new());
    for (word, rest) in &case.steps {
        let end = if word.ends_with("-end") { END_STREAM } else { 0 };
        match word.as_str() {
            "request" => {
                let (method, path) = rest.split_once(' ').unwrap();
                list = request(method, "");
                list[3].1 = bytes(path);
            }
            "f" => {
                let (name, value) = rest.split_once(' ').unwrap();
                list.push((bytes(name), bytes(value)));
            }
            "data" | "data-end" => sent.extend(frame(DATA, end, 1, &bytes(rest))),
            _ => sent.extend(frame(HEADERS, END_HEADERS | end, 1, &fields(&std::mem::take(&mut list)))),
        }
    }
    sent
}

fn check(case: &Case, site: &Site, raw: &Raw, stream: &Stream) {
    for code in case.all("reset") {
        assert_eq!(stream.reset, Some(code.parse().unwrap()), "{}: {stream:?} {:?}", case.name, raw.goaway);
    }
    for code in case.all("goaway") {
        assert_eq!(raw.goaway, Some(code.parse().unwrap()), "{}: {stream:?}", case.name);
        site.until("it is counted", |site| site.reason(ErrorReason::Http2Protocol) > 0);
    }
    if case.has("server") {
        assert!(stream.is_whole && stream.text().starts_with("origin "), "{}: {stream:?} {:?}", case.name, raw.goaway);
    }
    if case.has("refused") {
        let (status, reason) = refusal(case);
        let said = stream.text();
        let is_it = said.starts_with(&status.to_string()) && said.contains(reason.word());
        assert!(is_it && stream.is_whole, "{}: {stream:?} {:?}", case.name, raw.goaway);
        assert!(site.reason(reason) > 0, "{}: it is counted", case.name);
    }
}

/// A hundred fields are all that may be, in both protocols; each crumb of a cookie is one.
#[test]
fn fields_are_counted_as_they_came() {
    let recorder = Recorder::start();
    let site = site(&recorder);
    let ask = |name: &str, count: usize, ends: bool| {
        let mut list = request("POST", "/a");
        list.extend((0..count).map(|_| (name.into(), b"b".to_vec())));
        let mut raw = Raw::connect(site.address);
        raw.send(&frame(HEADERS, END_HEADERS | if ends { END_STREAM } else { 0 }, 1, &fields(&list)));
        if !ends {
            raw.send(&frame(DATA, END_STREAM, 1, b"hi"));
        }
        raw.over(1).text()
    };
    for name in ["a", "cookie"] {
        // The authority is a field of HTTP/1.1, and so is a body without a length.
        for (most, ends) in [(99, true), (98, false)] {
            let said = ask(name, most, ends);
            assert!(said.starts_with("origin "), "{name} {said}");
            assert_eq!(ask(name, most + 1, ends), "431 Request Header Fields Too Large (too-many-headers)\n", "{name}");
        }
    }
    let cookies = recorder.whole().into_iter().filter(|seen| seen.head.contains("cookie: b; b; "));
    assert_eq!(cookies.count(), 2, "crumbs are one field to the server");
    agree(&recorder);
}

/// The HTTP/2 bomb: each field is a byte that points into the table, or has a name of a byte, by the thousand.
#[test]
fn twenty_five_thousand_fields_of_a_letter() {
    const MANY: usize = 25_000;
    const ENHANCE_YOUR_CALM: u32 = 11;
    let recorder = Recorder::start();
    let site = site(&recorder);
    let indexed = {
        let mut block = fields(&request("GET", "/a"));
        // A literal that is put into the table (RFC 7541 6.2.1), and then its index again and again.
        block.extend([0x40, 1, b'a', 1, b'b']);
        block.extend(std::iter::repeat_n(0xBE, MANY));
        block
    };
    let written = {
        let mut list = request("GET", "/a");
        list.extend((0..MANY).map(|_| (b"a".to_vec(), Vec::new())));
        fields(&list)
    };
    for block in [indexed, written] {
        let mut raw = Raw::connect(site.address);
        let pieces: Vec<&[u8]> = block.chunks(16_384).collect();
        for (place, piece) in pieces.iter().enumerate() {
            let kind = if place == 0 { HEADERS } else { CONTINUATION };
            let first = if place == 0 { END_STREAM } else { 0 };
            let last = if place + 1 == pieces.len() { END_HEADERS } else { 0 };
            raw.send(&frame(kind, first | last, 1, piece));
        }
        let stream = raw.over(1);
        // What is so far beyond the bound that the library does not read it to its end.
        assert_eq!(raw.goaway, Some(ENHANCE_YOUR_CALM), "{stream:?}");
    }
    site.until("both are counted", |site| site.reason(ErrorReason::Http2Protocol) == 2);
    // What is a little beyond it is answered, and the connection goes on.
    story(async {
        let mut client = Http2::plain(site.address).await;
        let many = (0..1000).fold(http::Request::get("http://a/"), |builder, _| builder.header("a", "b"));
        assert_eq!(client.ask(many.body(()).unwrap()).await.unwrap().status(), 431);
        assert_eq!(client.get("/after").await.status(), 200);
    });
    assert!(recorder.whole().iter().all(|seen| seen.target == "/after"), "{:?}", recorder.whole());
}
