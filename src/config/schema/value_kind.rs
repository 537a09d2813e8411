//! Which values a keyword takes: their range, how a text becomes one, how the range is told.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::Refusal;
use crate::config::fault::{nearest, quoted};
use crate::config::value::{UNLIMITED, Value};
use crate::config::words::quote;
use crate::model::{
    CipherSuite, ContentPattern, HeaderEdit, HostPattern, KeyExchange, Name, Network, Proportions, TlsVersion,
    UriPattern,
};

use super::host::is_host_name;

/// The values of a keyword.
#[derive(Clone, Copy, Debug)]
pub enum ValueKind {
    Whole {
        least: u64,
        most: u64,
    },
    Decimal {
        least: u32,
        most: u32,
    },
    /// A whole number, or the word `unlimited`.
    WholeOrUnlimited {
        least: u64,
        most: u64,
    },
    /// Whole seconds.
    Seconds {
        least: u64,
        most: u64,
    },
    /// Seconds with up to three decimals.
    Fractions {
        least_ms: u64,
        most: u64,
    },
    /// As `Fractions`, or the word `unlimited`.
    FractionsOrUnlimited {
        least_ms: u64,
        most: u64,
    },
    Flag,
    /// One of the words; the second list names those of later versions, each with its sentence.
    Choice {
        words: &'static [&'static str],
        later: &'static [(&'static str, &'static str)],
    },
    Name,
    RuleName,
    /// An IP address.
    Address,
    /// An IP address or a host name.
    Host,
    /// `address:port`, or empty.
    Listen,
    /// Permission bits in octal.
    Mode,
    /// A name of a user or a group.
    Account,
    /// Names of users.
    Accounts,
    Text,
    /// A text that IBM's users write in a second pair of quotes, which is taken off.
    Phrase,
    /// `METHOD PATH HTTP/VERSION`, with the same quotes.
    RequestLine,
    /// A value of an HTTP header.
    HeaderValue,
    /// A file or directory.
    Path,
    /// Files and directories.
    Paths,
    /// Versions of TLS.
    TlsVersions,
    /// Cipher suites of TLS.
    Ciphers,
    /// Key exchanges of TLS.
    KeyExchanges,
    /// A file, or the word `off`, which is kept as an empty text.
    PathOrOff,
    /// A file or directory, named from the root.
    AbsolutePath,
    /// The begin or end of a rule's range; its type decides what it may be.
    Bound,
    /// Names of servers.
    Names,
    /// IP addresses.
    Addresses,
    /// Addresses and networks.
    Networks,
    /// Protocol names of HTTP's `Upgrade`.
    Protocols,
    /// Names of network interfaces.
    Interfaces,
    /// Hosts of routes.
    Hosts,
    /// Paths of routes.
    Uris,
    /// HTTP methods.
    Methods,
    /// Changes to fields of heads.
    HeaderEdits,
    /// A name of a cookie, or empty.
    CookieName,
    /// A server's part of a session id, or empty.
    CloneId,
    /// A pattern of a `content` rule, or empty.
    Pattern,
    /// Four percentages.
    Proportions,
}

impl ValueKind {
    /// How many words of a command the value takes.
    pub fn words(self) -> usize {
        if matches!(self, Self::Proportions) { 4 } else { 1 }
    }

    /// Whether the value is a list in TOML and joined by `+` in commands.
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::Names
                | Self::Accounts
                | Self::Addresses
                | Self::Networks
                | Self::Protocols
                | Self::Interfaces
                | Self::Hosts
                | Self::Uris
                | Self::Methods
                | Self::HeaderEdits
                | Self::Paths
                | Self::TlsVersions
                | Self::Ciphers
                | Self::KeyExchanges
        )
    }

    /// What is right, to follow "is".
    pub fn description(self) -> String {
        match self {
            Self::Whole { least, most } => format!("a whole number from {least} to {most}"),
            Self::Decimal { least, most } => format!("a number from {least} to {most}"),
            Self::WholeOrUnlimited { least, most } => {
                format!("`{UNLIMITED}` or a whole number from {least} to {most}")
            }
            Self::Seconds { least, most } => format!("whole seconds from {least} to {most}"),
            Self::Fractions { least_ms, most } => format!("seconds from {} to {most}", millis_text(least_ms)),
            Self::FractionsOrUnlimited { least_ms, most } => {
                format!("`{UNLIMITED}` or seconds from {} to {most}", millis_text(least_ms))
            }
            Self::Choice { words, .. } => format!("one of {}", words.join(", ")),
            other => other.phrase().to_owned(),
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Self::Flag => "yes or no (in TOML true or false)",
            Self::Name => "a name of letters, digits, `_`, `-` and `.`",
            Self::RuleName => "a name of at most 20 letters, digits, `_`, `-` and `.`",
            Self::Address => "an IP address",
            Self::Host => "an IP address or a host name",
            Self::Listen => "ADDRESS:PORT such as 127.0.0.1:9150, or empty for none",
            Self::Mode => "permission bits in octal such as 0660",
            Self::Account => "the name of a user or group",
            Self::RequestLine => "a request line such as `GET /health HTTP/1.1`",
            Self::HeaderValue => "a value of an HTTP header, in ASCII",
            Self::Path => "a file or a directory",
            Self::PathOrOff => "a file, or `off`",
            Self::AbsolutePath => "a path from the root",
            Self::Bound => "a number, an hour or an address, as the rule's type asks",
            Self::Names => "a list of names",
            Self::Accounts => "a list of names of users",
            Self::Addresses => "a list of IP addresses",
            Self::Networks => "a list of addresses and networks such as 10.0.0.0/8",
            Self::Protocols => "a list of protocol names such as websocket",
            Self::Interfaces => "a list of names of network interfaces such as eth0",
            Self::Hosts => "a list of hosts such as www.example.com, *.example.com:8443 or *",
            Self::Uris => "a list of paths such as /exact, /prefix/* or *.jsp (a `+` is written %2B)",
            Self::HeaderEdits => {
                "a list of `set NAME: VALUE`, `add NAME: VALUE` and `remove NAME`, without `+` and not of fields that say how a message is carried"
            }
            Self::Methods => "a list of methods such as PUT",
            Self::Paths => "a list of files and directories, without `+`",
            Self::TlsVersions => "a list of 1.2 and 1.3",
            Self::Ciphers => CIPHERS,
            Self::KeyExchanges => "a list of X25519MLKEM768, X25519, secp256r1 and secp384r1",
            Self::CookieName => "a name of letters, digits and !#$%&'*-.^_`|~",
            Self::CloneId => "letters and digits, also `_`, `-`, `.`, as session ids carry them",
            Self::Pattern => "a pattern such as (uri=/shop/*)&!(method=POST)",
            Self::Proportions => "four percentages that make 100 together: active new port system",
            _ => "a text without control characters",
        }
    }

    /// [`Self::read`] for a word of a command. IBM's shell form is `"\"head / http/1.0\""`: there the inner quotes arrive
    /// as part of the word and are not meant.
    pub(in crate::config) fn read_word(self, word: &str) -> Result<Value, Refusal> {
        self.read(if self.is_phrase() { without_second_quotes(word) } else { word })
    }

    /// A value as [`Self::read_word`] takes it.
    pub(in crate::config) fn show(self, value: &Value) -> String {
        match value {
            Value::Text(text) if self.is_phrase() && without_second_quotes(text) != &**text => {
                quote(&format!("\"{text}\""))
            }
            value => value.to_string(),
        }
    }

    fn is_phrase(self) -> bool {
        matches!(self, Self::Phrase | Self::RequestLine)
    }

    /// The value that a text means (four numbers for proportions). The refusal's message follows "`keyword` is …".
    pub(in crate::config) fn read(self, text: &str) -> Result<Value, Refusal> {
        if text.len() > MAX_TEXT {
            return Err(Refusal::misuse(format!("{}, not a text of {} bytes", self.description(), text.len())));
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            let shown = quoted(&control.to_string());
            return Err(Refusal::misuse(format!("{}; {shown} has no place in it", self.description())));
        }
        if let Self::Choice { words, later } = self {
            return read_choice(text, words, later);
        }
        self.accept(text).ok_or_else(|| Refusal::misuse(format!("{}, not {}", self.description(), quoted(text))))
    }

    /// The value of several words: a list of TOML, or proportions.
    pub(in crate::config) fn read_all(self, items: &[&str]) -> Result<Value, Refusal> {
        if matches!(self, Self::Proportions) {
            return self.read(&items.join(" "));
        }
        if let Some(joined) = items.iter().find(|item| item.contains('+')) {
            return Err(Refusal::misuse(format!("{}; {} contains `+`", self.description(), quoted(joined))));
        }
        if let Some(wrong) = items.iter().find(|item| self.read_item(item).is_none()) {
            return Err(Refusal::misuse(format!("{}, and {} is none of these", self.description(), quoted(wrong))));
        }
        Ok(Value::List(items.iter().filter_map(|item| self.read_item(item)).map(Into::into).collect()))
    }

    fn accept(self, text: &str) -> Option<Value> {
        match self {
            Self::Whole { least, most } => read_whole(text, least, most).map(Value::Whole),
            Self::Decimal { least, most } => read_decimal(text, least, most).map(Value::Decimal),
            Self::Seconds { least, most } => {
                read_whole(text, least, most).map(|seconds| Value::Seconds(Duration::from_secs(seconds)))
            }
            Self::WholeOrUnlimited { .. } | Self::FractionsOrUnlimited { .. }
                if text.eq_ignore_ascii_case(UNLIMITED) =>
            {
                Some(Value::Unlimited)
            }
            Self::Fractions { least_ms, most } | Self::FractionsOrUnlimited { least_ms, most } => {
                read_fractions(text, least_ms, most).map(Value::Seconds)
            }
            Self::WholeOrUnlimited { least, most } => read_whole(text, least, most).map(Value::Whole),
            Self::Flag => read_flag(text).map(Value::Flag),
            Self::Proportions => read_proportions(text).map(Value::Parts),
            list if list.is_list() => list.read_joined(text),
            Self::Bound => read_bound(text),
            Self::PathOrOff if text.eq_ignore_ascii_case("off") => Some(Value::text("")),
            other => other.accept_text(text),
        }
    }

    fn accept_text(self, text: &str) -> Option<Value> {
        let right = match self {
            Self::Name => Name::new(text).is_ok(),
            Self::RuleName => Name::new(text).is_ok() && text.len() <= MAX_RULE_NAME,
            Self::Address => text.parse::<IpAddr>().is_ok(),
            Self::Host => text.parse::<IpAddr>().is_ok() || is_host_name(text),
            Self::Listen => text.is_empty() || text.parse::<SocketAddr>().is_ok(),
            Self::Mode => (1..=4).contains(&text.len()) && u32::from_str_radix(text, 8).is_ok_and(|bits| bits <= 0o777),
            Self::Account => is_account(text),
            Self::RequestLine => is_request_line(text),
            Self::HeaderValue => text.is_ascii() && text.trim() == text,
            Self::CookieName => is_cookie_name(text),
            Self::CloneId => is_clone_id(text),
            Self::Pattern => text.is_empty() || text.parse::<ContentPattern>().is_ok(),
            Self::AbsolutePath => text.is_empty() || text.starts_with('/'),
            _ => true,
        };
        right.then(|| Value::text(text))
    }

    fn read_joined(self, text: &str) -> Option<Value> {
        if text.is_empty() {
            return Some(Value::list([]));
        }
        let items: Option<Vec<String>> = text.split('+').map(|item| self.read_item(item)).collect();
        items.map(|items| Value::List(items.into_iter().map(Into::into).collect()))
    }

    /// One item of a list in its canonical form.
    fn read_item(self, item: &str) -> Option<String> {
        match self {
            Self::Addresses => item.parse::<IpAddr>().ok().map(|address| address.to_string()),
            Self::Networks => item.parse::<Network>().ok().map(|_| item.to_owned()),
            Self::Protocols => is_protocol(item).then(|| item.to_ascii_lowercase()),
            Self::Accounts => is_account(item).then(|| item.to_owned()),
            Self::Interfaces => is_interface(item).then(|| item.to_owned()),
            Self::Hosts => item.parse::<HostPattern>().ok().map(|host| host.to_string()),
            Self::Uris => item.parse::<UriPattern>().ok().map(|uri| uri.to_string()),
            Self::HeaderEdits => item.parse::<HeaderEdit>().ok().map(|edit| edit.to_string()),
            Self::Methods => is_method(item).then(|| item.to_owned()),
            Self::Paths => (!item.is_empty()).then(|| item.to_owned()),
            Self::TlsVersions => item.parse::<TlsVersion>().ok().map(|version| version.word().to_owned()),
            Self::Ciphers => item.parse::<CipherSuite>().ok().map(|suite| suite.word().to_owned()),
            Self::KeyExchanges => item.parse::<KeyExchange>().ok().map(|group| group.word().to_owned()),
            _ => Name::new(item).ok().map(|name| name.as_str().to_owned()),
        }
    }
}

const CIPHERS: &str = "a list of TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256 and, for \
    TLS 1.2, TLS_ECDHE_ECDSA_WITH_ or TLS_ECDHE_RSA_WITH_ before AES_256_GCM_SHA384, AES_128_GCM_SHA256 or \
    CHACHA20_POLY1305_SHA256";

pub(super) const fn whole(least: u64, most: u64) -> ValueKind {
    ValueKind::Whole { least, most }
}

pub(super) const fn seconds(least: u64, most: u64) -> ValueKind {
    ValueKind::Seconds { least, most }
}

pub(super) const fn fractions(least_ms: u64, most: u64) -> ValueKind {
    ValueKind::Fractions { least_ms, most }
}

pub(super) const fn choice(words: &'static [&'static str]) -> ValueKind {
    ValueKind::Choice { words, later: &[] }
}

fn read_choice(text: &str, words: &[&'static str], later: &[(&str, &str)]) -> Result<Value, Refusal> {
    if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        return Ok(Value::Word(word));
    }
    if let Some((word, sentence)) = later.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
        return Err(Refusal::refused(format!("not {} yet: {sentence}", quoted(word))));
    }
    let meant = nearest(text, words.iter().copied()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Err(Refusal::misuse(format!("one of {}, not {}{meant}", words.join(", "), quoted(text))))
}

fn read_whole(text: &str, least: u64, most: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse::<u64>().ok()).flatten()?;
    (least..=most).contains(&number).then_some(number)
}

fn read_decimal(text: &str, least: u32, most: u32) -> Option<f64> {
    let number: f64 = is_decimal(text).then(|| text.parse().ok()).flatten()?;
    (f64::from(least)..=f64::from(most)).contains(&number).then_some(number)
}

/// Exact: the decimals are read as milliseconds, not by way of a float.
fn read_fractions(text: &str, least_ms: u64, most: u64) -> Option<Duration> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let decimals = decimals.trim_end_matches('0');
    if decimals.len() > 3 || !is_decimal(text) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let millis: u64 = format!("{decimals:0<3}").parse().ok()?;
    let total = whole.checked_mul(1000)?.checked_add(millis)?;
    (least_ms..=most.saturating_mul(1000)).contains(&total).then(|| Duration::from_millis(total))
}

/// Digits with at most one point between them.
fn is_decimal(text: &str) -> bool {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(decimals)
}

fn read_flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

fn read_proportions(text: &str) -> Option<[u8; 4]> {
    let parts: Option<Vec<u64>> = text.split(' ').map(|part| read_whole(part, 0, 100)).collect();
    let [active, new, port, system] = parts?.try_into().ok()?;
    let whole = Proportions::new(active, new, port, system).ok()?;
    Some([whole.active(), whole.new_connections(), whole.port(), whole.system()])
}

fn without_second_quotes(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// In its canonical form, because a number with leading zeros is none in TOML.
fn read_bound(text: &str) -> Option<Value> {
    let number = read_whole(text, 0, u64::from(u32::MAX)).map(|number| number.to_string());
    let bound = number.or_else(|| text.parse::<IpAddr>().ok().map(|address| address.to_string()))?;
    Some(Value::text(&bound))
}

/// `METHOD TARGET HTTP/x.y` in visible ASCII; IBM's examples write all of it in lower case.
fn is_request_line(text: &str) -> bool {
    let mut words = text.split(' ');
    let method = words.next().is_some_and(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic()));
    let target = words.next().is_some_and(|word| word.bytes().all(|b| b.is_ascii_graphic()) && !word.is_empty());
    let version = words.next().is_some_and(|word| ["http/1.0", "http/1.1"].contains(&&*word.to_ascii_lowercase()));
    method && target && version && words.next().is_none()
}

/// A token of RFC 9110 with an optional `/version`, or `*`; `+` joins lists and is left out.
fn is_protocol(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*-.^_`|~/".contains(&b);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed)
}

fn is_account(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.$".contains(&b)) && text.len() <= 32
}

/// A token of RFC 9110, in capitals as all methods in use are.
fn is_method(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b"-_".contains(&b))
}

/// A token of RFC 9110, or empty.
fn is_cookie_name(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*-.^_`|~".contains(&b))
}

/// No separator but the dot, which names of hosts have; or empty.
fn is_clone_id(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// Linux: at most 15 bytes, neither `/` nor blanks, not `.` or `..`; `+` joins lists.
fn is_interface(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_graphic() && !b"/+\"'\\:".contains(&b);
    (1..=15).contains(&text.len()) && text.bytes().all(allowed) && text != "." && text != ".."
}

fn millis_text(millis: u64) -> String {
    Value::seconds_text(Duration::from_millis(millis))
}

/// Bytes of one value: a list of as many names as a port has servers fits.
const MAX_TEXT: usize = 96 * 1024;
/// IBM's bound for names of rules.
const MAX_RULE_NAME: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::split_words;

    const FRACTIONS: ValueKind = ValueKind::Fractions { least_ms: 100, most: 3600 };

    #[test]
    fn what_is_accepted() {
        let cases = [
            (ValueKind::Whole { least: 1, most: 10 }, "010", "10"),
            (FRACTIONS, "0.1", "0.1"),
            (FRACTIONS, "7.250000", "7.25"),
            (FRACTIONS, "3600", "3600"),
            (ValueKind::Decimal { least: 1, most: 100 }, "1.50", "1.5"),
            (ValueKind::Flag, "YES", "yes"),
            (ValueKind::Choice { words: &["http", "tcp"], later: &[] }, "TCP", "tcp"),
            (ValueKind::Proportions, "49 50 1 0", "49 50 1 0"),
            (ValueKind::Protocols, "WebSocket+irc/6.9", "websocket+irc/6.9"),
            (ValueKind::Networks, "10.0.0.0/8+::1", "10.0.0.0/8+::1"),
            (ValueKind::Networks, "", "\"\""),
            (ValueKind::RequestLine, "head / http/1.0", "\"head / http/1.0\""),
            (ValueKind::Listen, "[::1]:9150", "[::1]:9150"),
            (ValueKind::Mode, "0660", "0660"),
        ];
        for (kind, text, shown) in cases {
            assert_eq!(kind.read(text).expect(text).to_string(), shown, "{text}");
        }
    }

    #[test]
    fn second_quotes_are_taken_off() {
        let cases = [("\"OK\"", "OK"), ("\"\"OK\"\"", "\"OK\""), ("OK\"", "OK\""), ("\"", "\"")];
        for (word, meant) in cases {
            let value = ValueKind::Phrase.read_word(word).expect(word);
            assert_eq!(value, Value::text(meant));
            let [shown] = split_words(&ValueKind::Phrase.show(&value)).expect("splits").try_into().expect("one word");
            assert_eq!(ValueKind::Phrase.read_word(&shown), Ok(value), "{word}");
        }
        assert_eq!(ValueKind::Text.read_word("\"OK\""), Ok(Value::text("\"OK\"")));
    }

    #[test]
    fn what_is_refused() {
        let whole = ValueKind::Whole { least: 1, most: 10 };
        let cases = [
            (whole, "0", "a whole number from 1 to 10, not `0`"),
            (whole, "-1", "a whole number from 1 to 10, not `-1`"),
            (whole, "18446744073709551617", "a whole number from 1 to 10, not `18446744073709551617`"),
            (FRACTIONS, "0.0001", "seconds from 0.1 to 3600, not `0.0001`"),
            (FRACTIONS, "1e3", "seconds from 0.1 to 3600, not `1e3`"),
            (FRACTIONS, "nan", "seconds from 0.1 to 3600, not `nan`"),
            (FRACTIONS, "3600.001", "seconds from 0.1 to 3600, not `3600.001`"),
            (FRACTIONS, "99999999999999999999", "seconds from 0.1 to 3600, not `99999999999999999999`"),
            (ValueKind::Decimal { least: 1, most: 9 }, "inf", "a number from 1 to 9, not `inf`"),
            (ValueKind::Address, "shop", "an IP address, not `shop`"),
            (ValueKind::Host, "300.1.2.3", "an IP address or a host name, not `300.1.2.3`"),
            (
                ValueKind::Choice { words: &["http", "tcp"], later: &[] },
                "htp",
                "one of http, tcp, not `htp`; did you mean `http`?",
            ),
            (ValueKind::Text, "a\u{7}", r"a text without control characters; `\u{7}` has no place in it"),
        ];
        for (kind, text, message) in cases {
            assert_eq!(kind.read(text).expect_err(text).message(), message, "{text}");
        }
        for line in ["GET /", "GET  / HTTP/1.0", "GET / HTTP/3", "G@T / HTTP/1.0", "GET / HTTP/1.0 x"] {
            assert!(ValueKind::RequestLine.read(line).is_err(), "{line}");
        }
        for parts in ["50 50", "50 50 1 0", "100 0 0 0 0", "50 50 0 -0"] {
            assert!(ValueKind::Proportions.read(parts).is_err(), "{parts}");
        }
    }
}
