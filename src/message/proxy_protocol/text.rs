//! Version 1: a line of text.

use ppp::v1::{Addresses, Header};

use super::{Progress, ProxiedClient, ProxyHeader, ProxyHeaderFault};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";
const UNKNOWN: &[u8] = b"PROXY UNKNOWN";

/// Bytes of the line with its CRLF: two IPv6 addresses and two ports in their longest forms (2.1 of the specification).
pub(super) const MAX_LENGTH: usize = 107;

/// The end of the line is looked for here, and `ppp` gets whole lines alone: of pieces it calls some faulty and waits for
/// more of some that are whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Progress, ProxyHeaderFault> {
    let bounded = bytes.get(..MAX_LENGTH).unwrap_or(bytes);
    let Some(end) = bounded.iter().position(|&byte| byte == b'\n') else {
        return if bounded.len() == MAX_LENGTH { Err(ProxyHeaderFault::LineTooLong) } else { Ok(Progress::Incomplete) };
    };
    let (line, _) = bounded.split_at(end + 1);
    let words = line.strip_suffix(b"\r\n").ok_or(ProxyHeaderFault::Line)?;
    Ok(Progress::Whole { header: header(line, words)?, length: line.len() })
}

fn header(line: &[u8], words: &[u8]) -> Result<ProxyHeader, ProxyHeaderFault> {
    if words.strip_prefix(UNKNOWN).is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ")) {
        // 2.1: "the receiver must ignore anything presented before the CRLF is found".
        return Ok(ProxyHeader::Own);
    }
    // `ppp` takes CR for a space and reads `+80` as a port.
    if words.iter().any(|byte| matches!(byte, b'\r' | b'+')) {
        return Err(ProxyHeaderFault::Line);
    }
    let header = Header::try_from(line).map_err(|_| ProxyHeaderFault::Line)?;
    let (source, destination) = match header.addresses {
        Addresses::Tcp4(ends) => {
            ((ends.source_address, ends.source_port).into(), (ends.destination_address, ends.destination_port).into())
        }
        Addresses::Tcp6(ends) => {
            ((ends.source_address, ends.source_port).into(), (ends.destination_address, ends.destination_port).into())
        }
        Addresses::Unknown => return Err(ProxyHeaderFault::Line),
    };
    Ok(ProxyHeader::Client(ProxiedClient { source, destination, tls: false }))
}

pub(super) fn print(header: &ProxyHeader) -> Vec<u8> {
    let addresses = match header {
        ProxyHeader::Own => Addresses::Unknown,
        ProxyHeader::Client(client) => Addresses::from(client.ends()),
    };
    addresses.to_string().into_bytes()
}
