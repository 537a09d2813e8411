//! A TLS client's first message: whom it asks for, and what it offers, read without taking part.
//!
//! RFC 8446 4.1.2 (the same bytes as RFC 5246 7.4.1.2), RFC 6066 3 for the name, RFC 7301 3.1 for the protocols. The bytes
//! read so far go in, what they are comes out; nothing is decrypted, answered or changed. Of a client that encrypts its
//! hello (ECH) this shows the outer one, which names the provider that is able to route it.
//!
//! What decides a route must mean the same to the server that gets the bytes, so whatever could be read in two ways (a name
//! given twice, bytes behind the end) is refused. Extensions that say nothing about the route are passed over unseen.

mod body;
mod records;
#[cfg(test)]
mod tests;

/// What a client said before anything was encrypted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientHello {
    /// The host that it asks for: lower case, letters, digits, `-`, `_` and single dots, none at either end. `None`: it names
    /// none, or an address, which RFC 6066 forbids and servers take for no name at all.
    pub server_name: Option<String>,
    /// The protocols that it would speak inside (ALPN), its favourite first.
    pub protocols: Protocols,
    /// The newest version that it offers.
    pub newest: TlsVersion,
}

/// Names of protocols as `h2` and `http/1.1`, in the order given; none where the client does not say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Protocols(
    /// Each name behind a byte with its length, as on the wire; whole and none empty.
    Vec<u8>,
);

/// Versions as far as they make a difference to an operator.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// TLS 1.1 or older, or none that anybody knows.
    Older,
    Tls12,
    Tls13,
}

/// What the bytes read so far are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The beginning of a ClientHello, or of something that is about to be told from one.
    Incomplete,
    Whole(ClientHello),
}

/// Why bytes are not, and will not become, a ClientHello.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClientHelloFault {
    #[error("the connection begins with something else than TLS{}", .looks_like.hint())]
    NotTls { looks_like: Guess },
    #[error("the ClientHello is {length} bytes long; {MAX_CLIENT_HELLO} are the most")]
    TooLong { length: usize },
    #[error("the ClientHello is in more than {MAX_RECORDS} records")]
    TooManyRecords,
    #[error("the ClientHello is malformed: {part}")]
    Malformed { part: Part },
}

/// What a client that speaks no TLS seems to speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Guess {
    /// Plain HTTP: most often a link with `http` instead of `https`, or a health check set up for the wrong port.
    Http,
    Unknown,
}

/// The part of a ClientHello that is not as it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Part {
    #[error("a record that is empty, too long or of another type")]
    Record,
    #[error("handshake message {0} comes first")]
    MessageType(u8),
    #[error("more follows in its last record")]
    Trailing,
    #[error("its fields do not fill it")]
    Fields,
    #[error("its extensions do not fill their list")]
    Extensions,
    #[error("extension {0} is there twice")]
    Twice(u16),
    #[error("the server name is no host name")]
    ServerName,
    #[error("the list of protocols")]
    Protocols,
    #[error("the list of versions")]
    Versions,
}

/// Bytes of the message. Hellos have 200 to 600 bytes, 2,000 with a post-quantum key share, and some thousands when a session
/// ticket carries a certificate. Its own length field could say 16 MiB, which nobody shall make us hold for a connection
/// of which nothing is known; nginx stops at 16 KiB too.
pub const MAX_CLIENT_HELLO: usize = 16 * 1024;

/// Records of one ClientHello. One is usual; clients that hide from filters cut it into a handful, embedded ones into pieces
/// of 64 bytes. Without this bound a record for each byte would make us hold six times as much.
pub const MAX_RECORDS: usize = 64;

/// Of so many bytes it is always known what they are, so nobody needs to hold more.
pub const MAX_BYTES: usize = MAX_CLIENT_HELLO + MAX_RECORDS * records::HEAD;

/// Looks for a ClientHello at the beginning of these bytes; what follows it is not looked at. Called again with more of
/// the same connection, it comes to the same end wherever the bytes were cut; a call costs a look at each record until the
/// message is whole, and one at each byte then.
pub fn parse(bytes: &[u8]) -> Result<Progress, ClientHelloFault> {
    match begin(bytes) {
        Begin::Tls => {}
        Begin::Open => return Ok(Progress::Incomplete),
        Begin::Other(looks_like) => return Err(ClientHelloFault::NotTls { looks_like }),
    }
    match records::first_message(bytes)? {
        Some(message) => Ok(Progress::Whole(body::parse(&message)?)),
        None => Ok(Progress::Incomplete),
    }
}

/// Whether no more is to be waited for: the ClientHello is whole, or will never be one. For those who have it judged elsewhere.
pub fn is_settled(bytes: &[u8]) -> bool {
    match begin(bytes) {
        Begin::Tls => !matches!(records::first_message(bytes), Ok(None)),
        Begin::Open => false,
        Begin::Other(_) => true,
    }
}

enum Begin {
    Tls,
    /// Not enough to tell.
    Open,
    Other(Guess),
}

fn begin(bytes: &[u8]) -> Begin {
    match bytes {
        // A record with a handshake message, of version 3.something: TLS and SSL 3 alike. The minor number is to be ignored
        // (RFC 8446 5.1).
        [records::HANDSHAKE, 3, ..] => Begin::Tls,
        [] | [records::HANDSHAKE] => Begin::Open,
        _ => guess(bytes),
    }
}

/// Waits for the end of a method, so that the guess is the same however the bytes come.
fn guess(bytes: &[u8]) -> Begin {
    let methods = || METHODS.iter().map(|method| method.as_bytes());
    if methods().any(|method| bytes.starts_with(method)) {
        Begin::Other(Guess::Http)
    } else if methods().any(|method| method.starts_with(bytes)) {
        Begin::Open
    } else {
        Begin::Other(Guess::Unknown)
    }
}

/// `PRI` begins HTTP/2.
const METHODS: [&str; 9] = ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "PRI "];

impl Guess {
    fn hint(self) -> &'static str {
        match self {
            Self::Http => ", plain HTTP by its looks",
            Self::Unknown => "",
        }
    }
}

impl Protocols {
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (&length, behind) = rest.split_first()?;
            let (name, behind) = behind.split_at_checked(usize::from(length))?;
            rest = behind;
            Some(name)
        })
    }

    /// Whether the client offers this one; names are compared byte by byte (RFC 7301 3.1).
    pub fn offers(&self, name: &[u8]) -> bool {
        self.iter().any(|offered| offered == name)
    }
}
