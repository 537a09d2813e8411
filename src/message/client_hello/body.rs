//! From the message to what it says.

use std::net::IpAddr;

use super::{ClientHello, ClientHelloFault, Part, Protocols, TlsVersion};

/// Extensions that say something about the route (RFC 6066, 7301, 8446).
const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;
const VERSIONS: u16 = 43;

pub(super) fn parse(body: &[u8]) -> Result<ClientHello, ClientHelloFault> {
    read(body).map_err(|part| ClientHelloFault::Malformed { part })
}

fn read(body: &[u8]) -> Result<ClientHello, Part> {
    let (legacy_version, extensions) = fields(Reader(body)).ok_or(Part::Fields)?;
    let found = Found::among(Reader(extensions))?;
    Ok(ClientHello {
        server_name: found.server_name.map_or(Ok(None), |data| server_name(data).ok_or(Part::ServerName))?,
        protocols: found.protocols.map_or(Ok(Protocols::default()), |data| protocols(data).ok_or(Part::Protocols))?,
        // RFC 8446 4.2.1: if the extension is there, servers "MUST NOT use the ClientHello.legacy_version".
        newest: match found.versions {
            Some(data) => newest_of(data).ok_or(Part::Versions)?,
            None => of_legacy(legacy_version),
        },
    })
}

/// The version of old and the extensions, which clients before TLS 1.3 may leave out together with their length.
fn fields(mut reader: Reader<'_>) -> Option<(u16, &[u8])> {
    let version = reader.u16()?;
    let _random = reader.take(32)?;
    let session = reader.short()?;
    let suites = reader.long()?;
    let compressions = reader.short()?;
    if session.len() > 32 || suites.is_empty() || !suites.len().is_multiple_of(2) || compressions.is_empty() {
        return None;
    }
    let extensions = if reader.is_empty() { &[] } else { reader.long()? };
    reader.is_empty().then_some((version, extensions))
}

/// The extensions that we know, not looked into.
#[derive(Default)]
struct Found<'a> {
    server_name: Option<&'a [u8]>,
    protocols: Option<&'a [u8]>,
    versions: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn among(mut extensions: Reader<'a>) -> Result<Self, Part> {
        let mut found = Self::default();
        while !extensions.is_empty() {
            let (kind, data) = extensions.extension().ok_or(Part::Extensions)?;
            let place = match kind {
                SERVER_NAME => &mut found.server_name,
                PROTOCOLS => &mut found.protocols,
                VERSIONS => &mut found.versions,
                _ => continue,
            };
            // RFC 8446 4.2 forbids two of any type. Of these three a server that took the last and a dispatcher that took the
            // first would see different clients; of the others the server is the judge.
            if place.replace(data).is_some() {
                return Err(Part::Twice(kind));
            }
        }
        Ok(found)
    }
}

/// RFC 6066 3: "The ServerNameList MUST NOT contain more than one name of the same name_type." Names of types that nobody has
/// defined are passed over.
fn server_name(data: &[u8]) -> Option<Option<String>> {
    const HOST_NAME: u8 = 0;
    let mut names = list(data)?;
    let mut host = None;
    while !names.is_empty() {
        let kind = names.u8()?;
        let name = names.long()?;
        if kind == HOST_NAME && host.replace(checked_host(name)?).is_some() {
            return None;
        }
    }
    Some(host.flatten())
}

/// `Some(None)`: an address. A dot at the end says "fully qualified", which such a name always is.
fn checked_host(name: &[u8]) -> Option<Option<String>> {
    let name = str::from_utf8(name).ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.parse::<IpAddr>().is_ok() {
        return Some(None);
    }
    let is_host = name.len() <= LONGEST_NAME && name.split('.').all(is_label);
    is_host.then(|| Some(name.to_ascii_lowercase()))
}

/// As in the domain name system. The underscore is in no host name by the book, and in many by use.
fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(is_plain)
}

const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// RFC 7301 3.1: "Empty strings MUST NOT be included and byte strings MUST NOT be truncated."
fn protocols(data: &[u8]) -> Option<Protocols> {
    let names = list(data)?;
    let mut rest = Reader(names.0);
    while !rest.is_empty() {
        if rest.short()?.is_empty() {
            return None;
        }
    }
    Some(Protocols(names.0.to_vec()))
}

/// The one list that an extension consists of; an empty one says nothing that leaving it out would not, and is forbidden.
fn list(data: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader(data);
    let list = reader.long()?;
    (reader.is_empty() && !list.is_empty()).then_some(Reader(list))
}

/// Unknown numbers are passed over: clients mix some in on purpose (RFC 8701).
fn newest_of(data: &[u8]) -> Option<TlsVersion> {
    let mut reader = Reader(data);
    let mut versions = Reader(reader.short()?);
    if !reader.is_empty() || versions.is_empty() {
        return None;
    }
    let mut newest = TlsVersion::Older;
    while !versions.is_empty() {
        newest = newest.max(match versions.u16()? {
            0x0304 => TlsVersion::Tls13,
            0x0303 => TlsVersion::Tls12,
            _ => TlsVersion::Older,
        });
    }
    Some(newest)
}

/// RFC 8446 D.2: without the extension a server speaks TLS 1.2 at most, whatever the number.
fn of_legacy(version: u16) -> TlsVersion {
    if version >= 0x0303 { TlsVersion::Tls12 } else { TlsVersion::Older }
}

/// Takes from the front of bytes, and no more than there is.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn u16(&mut self) -> Option<u16> {
        let (&bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(bytes))
    }

    /// Bytes behind a length of one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// Bytes behind a length of two.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    fn extension(&mut self) -> Option<(u16, &'a [u8])> {
        let kind = self.u16()?;
        Some((kind, self.long()?))
    }
}
