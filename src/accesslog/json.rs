//! One JSON object per line. What has no value is left out.

use super::digits::{ip, number, socket, two};
use super::escape::json as escaped;
use super::record::Record;
use super::request::{Text, Version};
use super::stamp::Stamp;

pub(super) fn write(out: &mut Vec<u8>, record: &Record<'_>, stamp: &mut Stamp) {
    let line = &record.line;
    time(out, line.began, stamp);
    out.extend_from_slice(b",\"client\":\"");
    ip(out, line.client);
    out.extend_from_slice(b"\",\"peer\":\"");
    socket(out, line.peer);
    out.extend_from_slice(b"\",\"port\":\"");
    out.extend_from_slice(record.cluster);
    out.push(super::record::separator(record.cluster));
    number(out, line.port.into());
    out.extend_from_slice(b"\",\"kind\":\"");
    out.extend_from_slice(line.kind.word().as_bytes());
    out.push(b'"');
    request(out, record);
    out.extend_from_slice(b",\"status\":");
    number(out, line.status.into());
    out.extend_from_slice(b",\"sent\":");
    number(out, line.sent);
    out.extend_from_slice(b",\"received\":");
    number(out, line.received);
    server(out, record);
    times(out, record);
    if let Some(error) = line.error {
        out.extend_from_slice(b",\"error\":\"");
        out.extend_from_slice(error.word().as_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(b",\"end\":\"");
    out.extend_from_slice(line.end.word().as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// RFC 3339 in UTC, to the millisecond.
fn time(out: &mut Vec<u8>, micros: u64, stamp: &mut Stamp) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(&stamp.utc(micros));
    let millis = micros / 1000 % 1000;
    let [tens, ones] = two(millis);
    out.extend_from_slice(&[b'.', b'0' + (millis / 100) as u8, tens, ones]);
    out.extend_from_slice(b"Z\"");
}

fn request(out: &mut Vec<u8>, record: &Record<'_>) {
    for text in Text::ALL {
        let bytes = record.text(text);
        if bytes.is_empty() {
            continue;
        }
        out.extend_from_slice(b",\"");
        out.extend_from_slice(text.word().as_bytes());
        out.extend_from_slice(b"\":\"");
        escaped(out, bytes);
        out.push(b'"');
    }
    if record.version != Version::None {
        out.extend_from_slice(b",\"protocol\":\"");
        out.extend_from_slice(record.version.word().as_bytes());
        out.push(b'"');
    }
    if record.cut != 0 {
        cut(out, record);
    }
}

/// The names of the texts of which only the beginning is there.
fn cut(out: &mut Vec<u8>, record: &Record<'_>) {
    out.extend_from_slice(b",\"cut\":[");
    let mut before = "";
    for text in Text::ALL.into_iter().filter(|text| record.is_cut(*text)) {
        out.extend_from_slice(before.as_bytes());
        out.push(b'"');
        out.extend_from_slice(text.word().as_bytes());
        out.push(b'"');
        before = ",";
    }
    out.push(b']');
}

fn server(out: &mut Vec<u8>, record: &Record<'_>) {
    if let Some(server) = record.server {
        out.extend_from_slice(b",\"server\":\"");
        escaped(out, server.name);
        out.extend_from_slice(b"\",\"address\":\"");
        socket(out, server.address);
        out.extend_from_slice(b"\",\"upstream\":\"");
        out.extend_from_slice(record.line.upstream.word().as_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(b",\"attempts\":");
    number(out, record.line.attempts.into());
}

fn times(out: &mut Vec<u8>, record: &Record<'_>) {
    let line = &record.line;
    for (name, time) in [
        (&b",\"request_us\":"[..], line.request),
        (b",\"connect_us\":", line.connect),
        (b",\"first_byte_us\":", line.first_byte),
        (b",\"total_us\":", Some(line.total)),
    ] {
        if let Some(time) = time {
            out.extend_from_slice(name);
            number(out, time);
        }
    }
}
