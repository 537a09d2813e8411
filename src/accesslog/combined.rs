//! Apache's combined line, and behind it what a proxy knows more.
//!
//! ```text
//! CLIENT - - [TIME] "METHOD TARGET PROTOCOL" STATUS SENT "REFERER" "AGENT" NAME=VALUE NAME=VALUE …
//! ```

use super::digits::{ip, number, socket};
use super::escape::quoted;
use super::record::Record;
use super::request::{Text, Version};
use super::stamp::Stamp;

pub(super) fn write(out: &mut Vec<u8>, record: &Record<'_>, stamp: &mut Stamp) {
    let line = &record.line;
    ip(out, line.client);
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(&stamp.local(line.began));
    out.extend_from_slice(b"] \"");
    request(out, record);
    out.extend_from_slice(b"\" ");
    or_dash(out, u64::from(line.status));
    out.push(b' ');
    or_dash(out, line.sent);
    out.extend_from_slice(b" \"");
    text(out, record, Text::Referer);
    out.extend_from_slice(b"\" \"");
    text(out, record, Text::Agent);
    out.push(b'"');
    tail(out, record);
    out.push(b'\n');
}

fn request(out: &mut Vec<u8>, record: &Record<'_>) {
    if record.version == Version::None {
        return out.push(b'-');
    }
    text(out, record, Text::Method);
    out.push(b' ');
    text(out, record, Text::Target);
    out.push(b' ');
    out.extend_from_slice(record.version.word().as_bytes());
}

/// What common readers of the format pass over. Times and errors that there were none of are left out: a log is written
/// more often than read, and each byte of it costs.
fn tail(out: &mut Vec<u8>, record: &Record<'_>) {
    let line = &record.line;
    out.extend_from_slice(b" kind=");
    out.extend_from_slice(line.kind.word().as_bytes());
    out.extend_from_slice(b" port=");
    out.extend_from_slice(record.cluster);
    out.push(super::record::separator(record.cluster));
    number(out, line.port.into());
    out.extend_from_slice(b" peer=");
    socket(out, line.peer);
    out.extend_from_slice(b" host=\"");
    text(out, record, Text::Host);
    out.extend_from_slice(b"\" server=\"");
    match record.server {
        Some(server) => {
            quoted(out, server.name);
            out.extend_from_slice(b"\" address=");
            socket(out, server.address);
        }
        None => out.extend_from_slice(b"-\" address=-"),
    }
    out.extend_from_slice(b" attempts=");
    number(out, line.attempts.into());
    out.extend_from_slice(b" upstream=");
    out.extend_from_slice(line.upstream.word().as_bytes());
    out.extend_from_slice(b" received=");
    number(out, line.received);
    for (name, time) in [
        (&b" request_us="[..], line.request),
        (b" connect_us=", line.connect),
        (b" first_byte_us=", line.first_byte),
        (b" total_us=", Some(line.total)),
    ] {
        if let Some(time) = time {
            out.extend_from_slice(name);
            number(out, time);
        }
    }
    if let Some(error) = line.error {
        out.extend_from_slice(b" error=");
        out.extend_from_slice(error.word().as_bytes());
    }
    out.extend_from_slice(b" end=");
    out.extend_from_slice(line.end.word().as_bytes());
}

/// A text, or `-` for none. One that was cut ends with `\...`, which nothing else does, as backslashes are escaped.
fn text(out: &mut Vec<u8>, record: &Record<'_>, wanted: Text) {
    let bytes = record.text(wanted);
    if bytes.is_empty() {
        return out.push(b'-');
    }
    quoted(out, bytes);
    if record.is_cut(wanted) {
        out.extend_from_slice(br"\...");
    }
}

fn or_dash(out: &mut Vec<u8>, figure: u64) {
    if figure == 0 { out.push(b'-') } else { number(out, figure) }
}
