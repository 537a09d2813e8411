//! The corpus in HTTP/1.1.

use tsuji::message::ErrorReason;

use crate::support::{Client, Setup, Site};

use super::corpus::{self, Case, bytes};
use super::readers::{Seen, all_by_hyper, all_by_python, all_strictly};
use super::recorder::Recorder;

#[test]
fn each_request_has_one_meaning_or_none() {
    let recorder = Recorder::start();
    let site = Setup::http(&[&recorder.origin]).change(|port| port.upgrade = vec!["websocket".to_owned()]).start();
    corpus::run("http1.txt", |case| {
        let before = recorder.whole().len();
        let mut client = site.client();
        // Who refuses does not read to the end.
        let _all_or_some = client.try_send(case.text());
        if case.has("refused") {
            is_refused(case, &mut client, &site, &recorder);
        } else if case.has("broken") {
            is_broken(case, client, &recorder, before);
        } else {
            is_forwarded(case, &mut client, &recorder, before);
        }
    });
    agree(&recorder);
}

fn reason(word: &str) -> ErrorReason {
    ErrorReason::ALL.into_iter().find(|reason| reason.word() == word).unwrap_or_else(|| panic!("{word} is no reason"))
}

/// The status and the reason that a case wants.
pub fn refusal(case: &Case) -> (u16, ErrorReason) {
    let (status, word) = case.all("refused").next().unwrap().split_once(' ').unwrap();
    (status.parse().unwrap(), reason(word))
}

fn is_refused(case: &Case, client: &mut Client, site: &Site, recorder: &Recorder) {
    let (status, reason) = refusal(case);
    let before = recorder.length();
    let answer = client.try_answer("GET").unwrap_or_else(|error| panic!("{}: {error}", case.name));
    assert_eq!((answer.status, answer.reason()), (status, Some(reason.word())), "{}", case.name);
    assert_eq!(answer.field("connection"), Some("close"), "{}", case.name);
    assert!(client.rest().is_ok_and(|rest| rest.is_empty()), "{}: the connection ends", case.name);
    assert!(site.port().reasons[reason.index()] > 0, "{}: it is counted", case.name);
    assert_eq!(recorder.length(), before, "{}: nothing reaches the server", case.name);
}

fn is_broken(case: &Case, mut client: Client, recorder: &Recorder, before: usize) {
    // An answer may come, and then the end; a server that got half of it gives none.
    let answer = client.rest().unwrap_or_default();
    assert!(!String::from_utf8_lossy(&answer).contains("origin "), "{}", case.name);
    assert_eq!(recorder.whole().len(), before, "{}: a part is not taken for the whole", case.name);
}

fn is_forwarded(case: &Case, client: &mut Client, recorder: &Recorder, before: usize) {
    let wanted: Vec<&str> = case.all("server").collect();
    for wanted in &wanted {
        let method = wanted.split(' ').next().unwrap();
        let answer = client.try_answer(method).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(answer.status, 200, "{}: {}", case.name, answer.head);
    }
    if case.has("closed") {
        assert!(client.rest().unwrap().is_empty(), "{}", case.name);
    } else {
        assert!(case.has("kept"), "{}: what becomes of the connection?", case.name);
    }
    let seen = recorder.whole().split_off(before);
    check_seen(case, &seen);
    if case.has("kept") {
        assert_eq!(client.get("/after").status, 200, "{}", case.name);
    }
}

/// That the server saw what the case says, no more and no less.
pub fn check_seen(case: &Case, seen: &[Seen]) {
    let shown: Vec<String> = seen
        .iter()
        .map(|seen| format!("{} {} {} {:?}", seen.method, seen.target, seen.host, String::from_utf8_lossy(&seen.body)))
        .collect();
    assert_eq!(shown, case.all("server").collect::<Vec<_>>(), "{}", case.name);
    let head = &seen.last().unwrap().head;
    for wanted in case.all("head") {
        let wanted = String::from_utf8(bytes(wanted)).unwrap();
        assert!(head.contains(&wanted), "{}: {wanted:?} is not in {head:?}", case.name);
    }
    for wanted in case.all("trailers") {
        assert_eq!(seen.last().unwrap().trailers, String::from_utf8(bytes(wanted)).unwrap(), "{}", case.name);
    }
    for unwanted in case.all("headless") {
        for seen in seen {
            assert!(!seen.head.contains(unwanted), "{}: {unwanted:?} is in {:?}", case.name, seen.head);
        }
    }
}

/// That readers who know nothing of each other read the same requests from every byte that came.
pub fn agree(recorder: &Recorder) {
    let (connections, expected) = recorder.bytes();
    let python = all_by_python(&connections);
    let mut whole = 0;
    for (place, bytes) in connections.iter().enumerate() {
        let strict = all_strictly(bytes).unwrap_or_else(|why| panic!("{why}"));
        let hyper = all_by_hyper(bytes);
        let meanings =
            |seen: &[Seen]| -> Vec<String> { seen.iter().map(|seen| format!("{:?}", seen.meaning())).collect() };
        assert_eq!(meanings(&strict), meanings(&hyper), "{}", String::from_utf8_lossy(bytes));
        if let Some(python) = &python {
            let (there, read) = (meanings(&strict), meanings(&python[place]));
            assert_eq!(read, there[..read.len().min(there.len())], "{}", String::from_utf8_lossy(bytes));
        }
        whole += strict.len();
    }
    assert_eq!(whole, expected);
}
