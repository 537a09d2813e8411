use proptest::prelude::*;

use super::*;
use crate::advisor::dialogue::request;

const GOOD: Verdict = Ok(());
const UNEXPECTED: Verdict = Err(DownReason::UnexpectedResponse);
const EARLY: Verdict = Err(DownReason::ClosedEarly);
const GARBAGE: Verdict = Err(DownReason::Garbage);

/// The verdict on an answer that arrives in these pieces, the connection being closed after the last.
fn judge(sent: &str, expected: &str, pieces: &[&[u8]]) -> Verdict {
    let mut response = Response::new(&request(sent, "w1"), expected.as_bytes());
    for piece in pieces {
        if let Progress::Done(verdict) = response.take(piece) {
            return verdict;
        }
    }
    response.end()
}

/// The same verdict must come whole, byte by byte and cut in two anywhere.
fn check(sent: &str, expected: &str, answer: &[u8], verdict: &Verdict) {
    let bytes: Vec<&[u8]> = answer.chunks(1).collect();
    assert_eq!(&judge(sent, expected, &bytes), verdict, "byte by byte: {}", answer.escape_ascii());
    for cut in 0..=answer.len().min(400) {
        let (first, second) = answer.split_at(cut);
        assert_eq!(&judge(sent, expected, &[first, second]), verdict, "cut at {cut}: {}", answer.escape_ascii());
    }
}

#[test]
fn any_status_line_is_good_without_expectation() {
    let cases: [(&[u8], Verdict); 14] = [
        (b"HTTP/1.1 200 OK\r\n\r\n", GOOD),
        (b"HTTP/1.0 500 Oh no\r\n", GOOD),
        (b"HTTP/1.1 404\r\n", GOOD),
        (b"HTTP/1.1 204 \n", GOOD),
        (b"HTTP/1.1 100 Continue\r\n", GOOD),
        (b"", EARLY),
        (b"HTTP/1.1 200 OK", EARLY),
        (b"HTTP", EARLY),
        (b"SSH-2.0-OpenSSH\r\n", GARBAGE),
        (b"\r\nHTTP/1.1 200 OK\r\n", GARBAGE),
        (b"HTTP/1.1 20 OK\r\n", GARBAGE),
        (b"HTTP/1.1 2000 OK\r\n", GARBAGE),
        (b"HTTP/1.1 099 OK\r\n", GARBAGE),
        (b"HTTP/1.x 200 OK\r\n", GARBAGE),
    ];
    for (answer, verdict) in cases {
        check("HEAD / HTTP/1.0", "", answer, &verdict);
    }
}

#[test]
fn expected_bytes_are_found_in_head_and_body() {
    let cases: [(&[u8], Verdict); 15] = [
        (b"HTTP/1.1 200 OK\r\nX-State: all fine\r\n\r\n", GOOD),
        (b"HTTP/1.0 200 OK\r\n\r\nall fine", GOOD),
        (b"HTTP/1.0 200 OK\r\n\r\nall is well", UNEXPECTED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall fine", GOOD),
        (b"HTTP/1.1 200 OK\r\ncontent-length:7\r\n\r\nall fine", UNEXPECTED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nall fine", UNEXPECTED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nall fine", GOOD),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n5\r\n fine\r\n0\r\n\r\n", GOOD),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n", UNEXPECTED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nall fine", GARBAGE),
        (b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nall fine", GOOD),
        (b"HTTP/1.1 103 Hints\r\n\r\nnonsense", GARBAGE),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\nall fine", UNEXPECTED),
        (b"HTTP/1.1 200 all fine\r\n", GOOD),
        (b"HTTP/1.1 200 OK\r\nX-State: all f", UNEXPECTED),
    ];
    for (answer, verdict) in cases {
        check("GET /health HTTP/1.1", "all fine", answer, &verdict);
    }
}

#[test]
fn a_head_request_has_no_body_to_wait_for() {
    check("HEAD / HTTP/1.0", "fine", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", &UNEXPECTED);
    check("HEAD / HTTP/1.0", "Length: 9", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", &GOOD);
}

#[test]
fn an_answer_without_end_is_judged_at_the_limit() {
    let head: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    let room = LIMIT - head.len();
    let body = |filler: usize| [vec![b'x'; filler], b"fine".to_vec()].concat();
    assert_eq!(judge("GET /", "fine", &[head, &body(room - 4)]), GOOD);
    assert_eq!(judge("GET /", "fine", &[head, &body(room - 3)]), UNEXPECTED);
    assert_eq!(judge("GET /", "fine", &[head, &body(10 * LIMIT)]), UNEXPECTED);
    assert_eq!(judge("GET /", "fine", &[b"HTTP/1.1 200 OK\r\nX: ", &body(10 * LIMIT)]), UNEXPECTED);
    assert_eq!(judge("GET /", "", &[b"HTTP/1.1 200 ", &body(LONGEST_STATUS_LINE)]), GARBAGE);
}

proptest! {
    /// Whatever comes, in whatever pieces: no panic, the same verdict as in one piece, memory within the limit.
    #[test]
    fn any_bytes(head in 0..4u8, tail in prop::collection::vec(any::<u8>(), 0..600), cuts in prop::collection::vec(0usize..700, 0..8)) {
        let head = ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"][usize::from(head)];
        let answer = [head.as_bytes(), &tail].concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(answer.len())).chain([0, answer.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &answer[pair[0]..pair[1]]).collect();
        prop_assert_eq!(judge("GET /", "ab", &pieces), judge("GET /", "ab", &[&answer]));
    }
}
