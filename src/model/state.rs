//! The two axes of a server's state, which never mix: what the operator wants and what was measured.

use std::fmt;

use super::PortNumber;

/// What the operator wants of a server.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum AdministrativeState {
    /// Takes new connections.
    #[default]
    Up,
    /// Takes only clients that have affinity to it; what runs, runs on.
    Quiesced,
    /// Takes nothing new at all; what runs, runs on.
    QuiescedNow,
    /// Takes nothing, and what runs is cut at once.
    Down,
}

impl AdministrativeState {
    /// The word of the configuration: `up`, `quiesced`, `quiesced-now`, `down`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Quiesced => "quiesced",
            Self::QuiescedNow => "quiesced-now",
            Self::Down => "down",
        }
    }
}

/// What the advisors know of a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Health {
    /// Nobody has looked yet, or no advisor looks. Served as if it were up.
    #[default]
    Unknown,
    /// The last verdict of every advisor was good.
    Up,
    /// At least one advisor says no.
    Down(DownReason),
}

impl Health {
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Down(_))
    }
}

/// What the advisors' verdict amounts to once the velocity limit and fail-open have had their say.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Standing {
    /// Takes part, as far as its administrative state lets it.
    #[default]
    Usable,
    /// Gets nothing new.
    Out,
    /// Called down while most of the port is: the checks may be wrong rather than the servers. Used beside usable servers,
    /// or when, after all rules (the sorry rule included), nobody else can be.
    FailOpen,
}

/// Why an advisor calls a server down. The short word goes into metrics, the text to people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DownReason {
    /// The server's host said that nobody listens there.
    ConnectRefused,
    /// No answer to the connection request in time.
    ConnectTimeout,
    /// The network said no, with its words.
    Unreachable(String),
    /// Connected, but no (whole) answer in time.
    ReceiveTimeout,
    /// The peer closed or reset before it answered.
    ClosedEarly,
    /// An answer came without the expected bytes.
    UnexpectedResponse,
    /// The answer was not of the advisor's protocol.
    Garbage,
    /// The TLS handshake failed, with its words.
    Tls(String),
    /// The server's name has no address.
    Unresolved,
    /// The port that its own port follows has no usable server.
    Followed(PortNumber),
}

impl DownReason {
    /// One lower-case word for labels and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::Unreachable(_) => "unreachable",
            Self::ReceiveTimeout => "receive-timeout",
            Self::ClosedEarly => "closed-early",
            Self::UnexpectedResponse => "unexpected-response",
            Self::Garbage => "garbage",
            Self::Tls(_) => "tls",
            Self::Unresolved => "unresolved",
            Self::Followed(_) => "followed-port",
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Followed(port) => write!(f, "port {port}, which its own follows, has no usable server"),
            Self::Unreachable(detail) | Self::Tls(detail) => write!(f, "{} ({detail})", self.word()),
            _ => f.write_str(self.word()),
        }
    }
}
