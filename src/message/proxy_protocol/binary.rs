//! Version 2: binary.

use ppp::v2::{Addresses, Builder, Command, Header, ParseError, Protocol, Type, Version};

use super::{MAX_PROXY_HEADER, Progress, ProxiedClient, ProxyHeader, ProxyHeaderFault};

pub(super) const SIGNATURE: &[u8] = ppp::v2::PROTOCOL_PREFIX;

/// Signature, command, family, length.
const PREAMBLE: usize = 16;
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

pub(super) fn parse(bytes: &[u8]) -> Result<Progress, ProxyHeaderFault> {
    let Some(&[command, family, high, low]) = bytes.get(SIGNATURE.len()..PREAMBLE) else {
        return Ok(Progress::Incomplete);
    };
    if !matches!(command, LOCAL | PROXY) {
        return Err(ProxyHeaderFault::Command(command));
    }
    let length = PREAMBLE + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_PROXY_HEADER {
        return Err(ProxyHeaderFault::TooLong { length });
    }
    let Some(whole) = bytes.get(..length) else { return Ok(Progress::Incomplete) };
    // 2.2: of LOCAL "the receiver must accept this connection as valid and must use the real connection endpoints and
    // discard the protocol block including the family which is ignored". `ppp` would look at it.
    let header = if command == LOCAL { ProxyHeader::Own } else { proxied(whole, family)? };
    Ok(Progress::Whole { header, length })
}

fn proxied(whole: &[u8], family: u8) -> Result<ProxyHeader, ProxyHeaderFault> {
    // 2.2: other values "must be rejected as invalid by receivers". Datagrams are for clients that reached the proxy over
    // QUIC: they are the same clients.
    if !matches!(family, 0x00..=0x02 | 0x11 | 0x12 | 0x21 | 0x22 | 0x31 | 0x32) {
        return Err(ProxyHeaderFault::Family(family));
    }
    let header = Header::try_from(whole).map_err(|error| fault(&error, family))?;
    let tls = look_at_values(&header)?;
    let (source, destination) = match header.addresses {
        Addresses::IPv4(ends) => {
            ((ends.source_address, ends.source_port).into(), (ends.destination_address, ends.destination_port).into())
        }
        Addresses::IPv6(ends) => {
            ((ends.source_address, ends.source_port).into(), (ends.destination_address, ends.destination_port).into())
        }
        Addresses::Unix(_) | Addresses::Unspecified => return Ok(ProxyHeader::Own),
    };
    Ok(ProxyHeader::Client(ProxiedClient { source, destination, tls }))
}

fn fault(error: &ParseError, family: u8) -> ProxyHeaderFault {
    match error {
        ParseError::InvalidAddresses(..) => ProxyHeaderFault::TooShort,
        _ => ProxyHeaderFault::Family(family),
    }
}

/// Whether the client spoke TLS. Values of types that we do not know are passed over, as they must be.
fn look_at_values(header: &Header<'_>) -> Result<bool, ProxyHeaderFault> {
    let mut tls = false;
    let mut end = header.len() - header.tlv_bytes().len();
    for value in header.tlvs() {
        let value = value.map_err(|_| ProxyHeaderFault::Values)?;
        let begin = end + VALUE_HEAD;
        end = begin + value.len();
        if value.kind == u8::from(Type::CRC32C) {
            check_sum(header.as_bytes(), begin)?;
        } else if value.kind == u8::from(Type::SSL) {
            // A byte of flags, four of the verification's result, then values of their own.
            let [flags, _, _, _, _, ..] = &*value.value else { return Err(ProxyHeaderFault::Values) };
            tls = flags & PP2_CLIENT_SSL != 0;
        }
    }
    Ok(tls)
}

/// Type and length.
const VALUE_HEAD: usize = 3;
const PP2_CLIENT_SSL: u8 = 0x01;

/// The sum is over the whole header, with zeros in its own place (2.2.3). If it is another one, "the receiver MUST treat
/// the TCP connection providing the header as invalid".
fn check_sum(header: &[u8], begin: usize) -> Result<(), ProxyHeaderFault> {
    let (before, rest) = header.split_at_checked(begin).ok_or(ProxyHeaderFault::Values)?;
    let (told, after) = rest.split_first_chunk::<4>().ok_or(ProxyHeaderFault::Values)?;
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]), after);
    if sum == u32::from_be_bytes(*told) { Ok(()) } else { Err(ProxyHeaderFault::Checksum) }
}

pub(super) fn print(header: &ProxyHeader) -> Vec<u8> {
    let builder = match header {
        ProxyHeader::Own => {
            Builder::with_addresses(Version::Two | Command::Local, Protocol::Unspecified, Addresses::Unspecified)
        }
        ProxyHeader::Client(client) => {
            Builder::with_addresses(Version::Two | Command::Proxy, Protocol::Stream, client.ends())
        }
    };
    let told = match header {
        // No certificate of the client's was verified, as far as we know: the last byte says so.
        ProxyHeader::Client(client) if client.tls => builder.write_tlv(Type::SSL, &[PP2_CLIENT_SSL, 0, 0, 0, 1]),
        _ => Ok(builder),
    };
    told.and_then(Builder::build).expect("two addresses and one value fit the length field")
}
