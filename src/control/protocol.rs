//! Frames on the control socket: four bytes of length, most significant first, then that many bytes of JSON.
//!
//! A request carries an operator's words, an answer a [`Reply`]; both carry the version of the protocol. This file
//! only turns values into bytes and back.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lookup::plain;
use super::reply::Reply;

/// Changes when an older peer would misunderstand; new optional fields do not count.
pub const VERSION: u32 = 1;
/// A command with its operands. Longer than any line that a person or a script writes; a shell passes 128 KiB.
pub const MAX_REQUEST: usize = 64 * 1024;
/// A report over all servers that a dispatcher can hold, with room.
pub const MAX_REPLY: usize = 64 * 1024 * 1024;
/// Bytes of the length.
pub const HEADER: usize = 4;

/// What `dscontrol` sends.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Request {
    pub version: u32,
    /// Without the leading `dscontrol`.
    pub words: Vec<String>,
    /// The caller's working directory, for names of files with a slash in them.
    pub cwd: String,
}

impl Request {
    pub fn new(words: Vec<String>, cwd: String) -> Self {
        Self { version: VERSION, words, cwd }
    }

    /// The command on one line without control characters, for the audit log.
    pub fn line(&self) -> String {
        let words = self.words.iter().map(|word| match word.is_empty() || word.contains([' ', '"']) {
            true => format!("{word:?}"),
            false => plain(word),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Where a command's file is: plain names below `directory`, names with a slash from the caller's directory on.
    pub fn file_path(&self, name: &str, directory: &Path) -> PathBuf {
        if name.contains('/') { Path::new(&self.cwd).join(name) } else { directory.join(name) }
    }
}

/// What the daemon sends back.
#[derive(Deserialize, Serialize)]
struct Answer {
    version: u32,
    reply: Reply,
}

/// Of both messages, whatever else is in them.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// What can be wrong with a message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameFault {
    #[error("the message is {length} bytes long, at most {most} are allowed")]
    TooLong { length: usize, most: usize },
    #[error("the message is not understood: {0}")]
    Garbage(String),
    #[error("the other end closed in the middle of a message")]
    ClosedEarly,
    #[error(
        "the other end speaks version {theirs} of the control protocol, this one {VERSION}: use dscontrol and tsuji of one release"
    )]
    Version { theirs: u32 },
}

/// A whole frame.
pub fn encode_request(request: &Request) -> Result<Vec<u8>, FrameFault> {
    encode(request, MAX_REQUEST)
}

/// A whole frame. A reply that is too long is replaced by a refusal that says so.
pub fn encode_reply(reply: Reply) -> Vec<u8> {
    encode(&Answer { version: VERSION, reply }, MAX_REPLY)
        .or_else(|fault| {
            encode(&Answer { version: VERSION, reply: Reply::refused(too_much_to_say(&fault)) }, MAX_REPLY)
        })
        .expect("a sentence fits into a frame")
}

fn too_much_to_say(fault: &FrameFault) -> String {
    format!("the report cannot be sent ({fault}); name single clusters, ports or servers")
}

fn encode(message: &impl Serialize, most: usize) -> Result<Vec<u8>, FrameFault> {
    let mut frame = vec![0; HEADER];
    serde_json::to_writer(&mut frame, message).map_err(garbage)?;
    let length = frame.len() - HEADER;
    let header = u32::try_from(length).ok().filter(|_| length <= most).ok_or(FrameFault::TooLong { length, most })?;
    frame.splice(..HEADER, header.to_be_bytes());
    Ok(frame)
}

/// How many bytes follow the length.
pub fn length(header: [u8; HEADER], most: usize) -> Result<usize, FrameFault> {
    let length = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    if length > most { Err(FrameFault::TooLong { length, most }) } else { Ok(length) }
}

/// The bytes after the length.
pub fn decode_request(bytes: &[u8]) -> Result<Request, FrameFault> {
    check_version(bytes)?;
    serde_json::from_slice(bytes).map_err(garbage)
}

/// The bytes after the length.
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, FrameFault> {
    check_version(bytes)?;
    let answer: Answer = serde_json::from_slice(bytes).map_err(garbage)?;
    Ok(answer.reply)
}

/// Before the rest is looked at: the rest of another version may be anything.
fn check_version(bytes: &[u8]) -> Result<(), FrameFault> {
    let Versioned { version } = serde_json::from_slice(bytes).map_err(garbage)?;
    if version == VERSION { Ok(()) } else { Err(FrameFault::Version { theirs: version }) }
}

fn garbage(fault: serde_json::Error) -> FrameFault {
    FrameFault::Garbage(fault.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(frame: &[u8], most: usize) -> &[u8] {
        let header = frame[..HEADER].try_into().expect("four bytes");
        assert_eq!(length(header, most), Ok(frame.len() - HEADER));
        &frame[HEADER..]
    }

    #[test]
    fn replies_come_back() {
        for reply in
            [Reply::done("a\nb"), Reply::refused("no"), Reply::misuse("what?"), crate::control::help::help(None)]
        {
            assert_eq!(decode_reply(body(&encode_reply(reply.clone()), MAX_REPLY)), Ok(reply));
        }
    }

    #[test]
    fn what_is_too_long_is_refused_with_its_length() {
        let request = Request::new(vec!["x".repeat(10 << 20)], String::new());
        assert!(matches!(encode_request(&request), Err(FrameFault::TooLong { length, .. }) if length > 10 << 20));
        let claimed = length(*b"GET ", MAX_REQUEST);
        assert!(matches!(claimed, Err(FrameFault::TooLong { length: 0x4745_5420, .. })), "{claimed:?}");
        let reply = decode_reply(body(&encode_reply(Reply::done("x".repeat(MAX_REPLY))), MAX_REPLY)).expect("a reply");
        assert!(reply.lines[0].contains("name single clusters"), "{reply:?}");
    }

    #[test]
    fn another_version_is_named_whatever_else_it_says() {
        let fault = decode_request(br#"{"version":7,"verbs":{}}"#);
        assert_eq!(fault, Err(FrameFault::Version { theirs: 7 }));
        assert_eq!(decode_reply(br#"{"version":2}"#), Err(FrameFault::Version { theirs: 2 }));
    }

    #[test]
    fn garbage_is_a_fault() {
        let deep = "[".repeat(50_000);
        for bytes in [&b""[..], b"{", b"null", b"\xff\xfe", br#"{"version":1}"#, br#"{"version":-1}"#, deep.as_bytes()]
        {
            assert!(matches!(decode_request(bytes), Err(FrameFault::Garbage(_))), "{bytes:?}");
            assert!(matches!(decode_reply(bytes), Err(FrameFault::Garbage(_))), "{bytes:?}");
        }
    }

    #[test]
    fn audit_lines() {
        let line = |words: &[&str]| Request::new(words.iter().map(|w| (*w).to_owned()).collect(), String::new()).line();
        assert_eq!(line(&["server", "down", "shop:80:w1"]), "server down shop:80:w1");
        assert_eq!(line(&["a", "", "b c", "d\n\u{1b}e", "f \n"]), r#"a "" "b c" d\n\u{1b}e "f \n""#);
    }

    #[test]
    fn files_are_found_from_the_configuration_or_from_the_caller() {
        let request = Request::new(Vec::new(), "/home/me".to_owned());
        let path = |name| request.file_path(name, Path::new("/etc/tsuji"));
        assert_eq!(path("site.toml"), Path::new("/etc/tsuji/site.toml"));
        assert_eq!(path("./site.toml"), Path::new("/home/me/./site.toml"));
        assert_eq!(path("/srv/site.toml"), Path::new("/srv/site.toml"));
    }

    proptest! {
        #[test]
        fn requests_come_back(words in proptest::collection::vec(".{0,40}", 0..8), cwd in ".{0,40}") {
            let request = Request::new(words, cwd);
            let frame = encode_request(&request).expect("short enough");
            prop_assert_eq!(decode_request(body(&frame, MAX_REQUEST)), Ok(request));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (decode_request(&bytes), decode_reply(&bytes));
        }
    }
}
