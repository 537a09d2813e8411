//! The server's answer, byte by byte.

use std::ops::ControlFlow;

use super::chunked::{Chunked, Piece};
use crate::model::DownReason;

/// Bytes of an answer that are searched, head and body together. A health page is small; one that is not would have to
/// be read again and again at our and the server's cost. An answer that has not shown the expected bytes by then is
/// bad.
pub const LIMIT: usize = 64 * 1024;

/// One answer to the advisor's request, judged while it arrives.
///
/// Any valid status line is good, unless bytes are expected: those are looked for in the head and in the body (without
/// the framing of chunks).
#[derive(Clone, Debug)]
pub struct Response {
    expected: Vec<u8>,
    /// The request was a HEAD, so there is no body whatever the head says.
    bodiless: bool,
    state: State,
    /// The line being read, while in the head.
    line: Vec<u8>,
    /// Complete lines of heads, and the body.
    seen: Vec<u8>,
}

/// Whether more must be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    More,
    Done(Verdict),
}

/// Good, or why not.
pub type Verdict = Result<(), DownReason>;

#[derive(Clone, Debug)]
enum State {
    StatusLine,
    Head(Framing),
    Body(Body),
}

/// What the head has said of the body so far.
#[derive(Clone, Copy, Debug)]
struct Framing {
    status: u16,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Debug)]
enum Body {
    Length { left: u64 },
    Chunked(Chunked),
    UntilClose,
}

impl Response {
    /// An answer to `request` (complete, as sent) that must contain `expected`.
    pub fn new(request: &[u8], expected: &[u8]) -> Self {
        let bodiless = request.get(..5).is_some_and(|method| method.eq_ignore_ascii_case(b"HEAD "));
        let expected = expected.to_vec();
        Self { expected, bodiless, state: State::StatusLine, line: Vec::new(), seen: Vec::new() }
    }

    /// Takes the next bytes as they arrive, in whatever pieces.
    pub fn take(&mut self, bytes: &[u8]) -> Progress {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match self.state {
                State::Body(_) => return self.take_body(rest),
                _ => self.take_line(rest),
            };
            match taken {
                ControlFlow::Continue(left) => rest = left,
                ControlFlow::Break(verdict) => return Progress::Done(verdict),
            }
        }
        Progress::More
    }

    /// The server has closed the connection.
    pub fn end(&self) -> Verdict {
        match self.state {
            State::StatusLine => Err(DownReason::ClosedEarly),
            _ => Err(DownReason::UnexpectedResponse),
        }
    }

    /// Reads up to the end of a line. Returns what is left after it, or the verdict.
    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> ControlFlow<Verdict, &'a [u8]> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.line.extend_from_slice(bytes);
            self.check_partial_line()?;
            return ControlFlow::Continue(&[]);
        };
        let (here, rest) = bytes.split_at(end + 1);
        self.line.extend_from_slice(here);
        let line = std::mem::take(&mut self.line);
        self.enter_line(&line)?;
        self.search(&line)?;
        ControlFlow::Continue(rest)
    }

    /// Sees what cannot become a status line before the line is over.
    fn check_partial_line(&self) -> ControlFlow<Verdict> {
        let same = self.line.iter().zip(VERSION).all(|(byte, wanted)| byte == wanted);
        if matches!(self.state, State::StatusLine) && (!same || self.line.len() > LONGEST_STATUS_LINE) {
            return GARBAGE;
        }
        if self.seen.len() + self.line.len() > LIMIT {
            return UNEXPECTED;
        }
        ControlFlow::Continue(())
    }

    /// What a complete line means.
    fn enter_line(&mut self, line: &[u8]) -> ControlFlow<Verdict> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        self.state = match &self.state {
            State::StatusLine => {
                let Some(status) = status(text) else { return GARBAGE };
                if self.expected.is_empty() {
                    return ControlFlow::Break(Ok(()));
                }
                State::Head(Framing { status, length: None, chunked: false })
            }
            State::Head(framing) if text.is_empty() => match framing.status {
                100..=199 if framing.status != 101 => State::StatusLine,
                status => State::Body(framing.body(self.bodiless || matches!(status, 204 | 304))),
            },
            State::Head(framing) => State::Head(framing.with_field(text)),
            State::Body(body) => State::Body(body.clone()),
        };
        ControlFlow::Continue(())
    }

    fn take_body(&mut self, bytes: &[u8]) -> Progress {
        let mut data = Vec::new();
        let State::Body(body) = &mut self.state else { return Progress::More };
        let over = match body {
            Body::UntilClose => {
                data.extend_from_slice(bytes);
                None
            }
            Body::Length { left } => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                data.extend_from_slice(bytes.get(..here).unwrap_or_default());
                *left -= here as u64;
                (*left == 0).then_some(DownReason::UnexpectedResponse)
            }
            Body::Chunked(chunked) => match chunked.take(bytes, &mut data) {
                Piece::More => None,
                Piece::End => Some(DownReason::UnexpectedResponse),
                Piece::Broken => Some(DownReason::Garbage),
            },
        };
        match (self.search(&data), over) {
            (ControlFlow::Break(verdict), _) => Progress::Done(verdict),
            (ControlFlow::Continue(()), Some(reason)) => Progress::Done(Err(reason)),
            (ControlFlow::Continue(()), None) => Progress::More,
        }
    }

    /// Adds bytes to what was seen and looks for the expected ones. Breaks with the verdict, if there is one.
    fn search(&mut self, bytes: &[u8]) -> ControlFlow<Verdict> {
        let from = self.seen.len().saturating_sub(self.expected.len().saturating_sub(1));
        let room = LIMIT.saturating_sub(self.seen.len()).min(bytes.len());
        self.seen.extend_from_slice(bytes.get(..room).unwrap_or_default());
        let fresh = self.seen.get(from..).unwrap_or_default();
        if fresh.windows(self.expected.len().max(1)).any(|window| window == self.expected) {
            return ControlFlow::Break(Ok(()));
        }
        if self.seen.len() >= LIMIT {
            return UNEXPECTED;
        }
        // A body of no bytes ends with its head.
        match &self.state {
            State::Body(Body::Length { left: 0 }) => UNEXPECTED,
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Framing {
    fn with_field(self, line: &[u8]) -> Self {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            return Self { length, ..self };
        }
        let chunked = name.eq_ignore_ascii_case(b"transfer-encoding")
            && value.len() >= 7
            && value.get(value.len() - 7..).is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        Self { chunked: self.chunked || chunked, ..self }
    }

    fn body(self, bodiless: bool) -> Body {
        match self.length {
            _ if bodiless => Body::Length { left: 0 },
            _ if self.chunked => Body::Chunked(Chunked::new()),
            Some(left) => Body::Length { left },
            None => Body::UntilClose,
        }
    }
}

/// The code of a status line (RFC 9112, section 4: `HTTP-version SP status-code SP [ reason-phrase ]`); the second
/// space may be missing, as many servers leave it out with the reason. `None`: not a status line.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(VERSION)?;
    let (minor, rest) = rest.split_first()?;
    let rest = rest.strip_prefix(b" ")?;
    let code = rest.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit))?;
    let ends = matches!(rest.get(3), None | Some(b' '));
    let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
    (minor.is_ascii_digit() && ends && code >= 100).then_some(code)
}

const GARBAGE: ControlFlow<Verdict> = ControlFlow::Break(Err(DownReason::Garbage));
const UNEXPECTED: ControlFlow<Verdict> = ControlFlow::Break(Err(DownReason::UnexpectedResponse));
/// How every HTTP/1 answer begins.
const VERSION: &[u8] = b"HTTP/1.";
/// Longer ones do not occur; the reason phrase is prose.
const LONGEST_STATUS_LINE: usize = 8 * 1024;

#[cfg(test)]
mod tests;
