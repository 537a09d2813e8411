//! Changes to the fields of requests and responses.

use std::fmt;
use std::str::FromStr;

use http::header::HOST;
use http::{HeaderName, HeaderValue};

/// One change: `set NAME: VALUE`, `add NAME: VALUE` or `remove NAME`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeaderEdit {
    /// In place of all fields of the name.
    Set(HeaderName, HeaderValue),
    /// Beside those that are there.
    Add(HeaderName, HeaderValue),
    /// All fields of the name.
    Remove(HeaderName),
}

/// Why a text is no change.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderEditFault {
    #[error("`{0}` is none of `set NAME: VALUE`, `add NAME: VALUE` and `remove NAME`")]
    Form(String),
    #[error("`{0}` says how a message is carried, which is the dispatcher's own business")]
    Reserved(String),
    #[error("`{0}` would leave a request without a host or with two; `set Host: NAME` would be right")]
    OneHost(String),
}

/// Fields that say how a message is framed and carried, or whom it comes from.
const RESERVED: [&str; 16] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "tsuji-error",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

impl HeaderEdit {
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Set(name, _) | Self::Add(name, _) | Self::Remove(name) => name,
        }
    }
}

impl FromStr for HeaderEdit {
    type Err = HeaderEditFault;

    fn from_str(text: &str) -> Result<Self, HeaderEditFault> {
        let fault = || HeaderEditFault::Form(text.to_owned());
        let (verb, rest) = text.split_once(' ').ok_or_else(fault)?;
        let name_of = |name: &str| {
            let name: HeaderName = name.trim().parse().map_err(|_| fault())?;
            let reserved = RESERVED.contains(&name.as_str()) || name.as_str().starts_with('$');
            if reserved { Err(HeaderEditFault::Reserved(name.to_string())) } else { Ok(name) }
        };
        let pair = || {
            let (name, value) = rest.split_once(':').ok_or_else(fault)?;
            let value: HeaderValue = value.trim().parse().map_err(|_| fault())?;
            Ok((name_of(name)?, value))
        };
        let edit = match verb {
            "set" => pair().map(|(name, value)| Self::Set(name, value)),
            "add" => pair().map(|(name, value)| Self::Add(name, value)),
            "remove" => name_of(rest).map(Self::Remove),
            _ => Err(fault()),
        }?;
        // RFC 9112 3.2: a request without a `Host`, or with more than one, is answered with 400.
        if edit.name() == HOST && !matches!(edit, Self::Set(..)) {
            return Err(HeaderEditFault::OneHost(text.to_owned()));
        }
        Ok(edit)
    }
}

impl fmt::Display for HeaderEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        match self {
            Self::Set(name, value) => write!(f, "set {name}: {}", text(value)),
            Self::Add(name, value) => write!(f, "add {name}: {}", text(value)),
            Self::Remove(name) => write!(f, "remove {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_read_and_written() {
        let cases = [
            ("set X-Env: prod", "set x-env: prod"),
            ("add Cache-Control:no-store", "add cache-control: no-store"),
            ("remove  Server", "remove server"),
            ("set X-Empty:", "set x-empty: "),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<HeaderEdit>().map(|edit| edit.to_string()), Ok(expected.to_owned()));
        }
        for text in ["", "set", "set X", "put X: y", "set X Y: z", "remove", "set X: \u{7}"] {
            assert_eq!(text.parse::<HeaderEdit>(), Err(HeaderEditFault::Form(text.to_owned())));
        }
        let reserved = [
            "set Content-Length: 5",
            "remove Connection",
            "add X-Forwarded-For: x",
            "set X-Forwarded-Host: x",
            "set X-Forwarded-Port: 443",
            "remove x-forwarded-port",
            "set $WSRA: x",
        ];
        for text in reserved {
            assert!(matches!(text.parse::<HeaderEdit>(), Err(HeaderEditFault::Reserved(_))), "{text}");
        }
        for text in ["add Host: x", "remove host"] {
            assert_eq!(text.parse::<HeaderEdit>(), Err(HeaderEditFault::OneHost(text.to_owned())));
        }
        assert_eq!("set Host: x".parse::<HeaderEdit>().map(|edit| edit.to_string()), Ok("set host: x".to_owned()));
    }
}
