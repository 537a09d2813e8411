//! Frames on the control socket, in both directions.

use tsuji::control::protocol::{
    FrameFault, HEADER, MAX_REPLY, MAX_REQUEST, decode_reply, decode_request, encode_reply, encode_request, length,
};
use tsuji::control::render;

use super::{Target, bounded};

pub const TARGET: Target = Target { name: "control_frames", check };

/// A frame: its length, then its bytes. What is behind the length is looked at as both messages, whatever it says.
fn check(data: &[u8]) {
    let data = bounded(data);
    if let Some((header, rest)) = data.split_first_chunk::<HEADER>() {
        for most in [MAX_REQUEST, MAX_REPLY] {
            match length(*header, most) {
                Ok(length) => assert!(length <= most),
                Err(fault) => assert!(matches!(fault, FrameFault::TooLong { .. })),
            }
        }
        messages(rest);
    }
    messages(data);
}

fn messages(bytes: &[u8]) {
    if let Ok(request) = decode_request(bytes) {
        assert!(!request.line().chars().any(char::is_control), "an audit line is one line");
        if let Ok(frame) = encode_request(&request) {
            assert_eq!(decode_request(body(&frame, MAX_REQUEST)), Ok(request));
        }
    }
    if let Ok(reply) = decode_reply(bytes) {
        let text = render::text(&reply);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "a terminal shows it as it is: {text:?}");
        let _json = render::json(&reply);
        // Numbers beyond those that JSON has become null, so what is compared went round once.
        let once = decode_reply(body(&encode_reply(reply), MAX_REPLY));
        if let Ok(once) = once {
            assert_eq!(decode_reply(body(&encode_reply(once.clone()), MAX_REPLY)), Ok(once));
        }
    }
}

fn body(frame: &[u8], most: usize) -> &[u8] {
    let (header, rest) = frame.split_first_chunk::<HEADER>().expect("a length");
    assert_eq!(length(*header, most), Ok(rest.len()));
    rest
}
