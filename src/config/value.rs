//! Values of fields as they are kept, and how commands write them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::words::quote;

/// What a field holds, already checked against the kind of its keyword.
#[derive(Clone, Debug)]
pub enum Value {
    Whole(u64),
    /// Finite.
    Decimal(f64),
    /// Whole milliseconds.
    Seconds(Duration),
    Unlimited,
    Flag(bool),
    /// One of the words of a choice.
    Word(&'static str),
    /// Without control characters.
    Text(Arc<str>),
    List(Arc<[Arc<str>]>),
    /// The four proportions.
    Parts([u8; 4]),
    /// What was written is wrong and already reported. Never part of a document that is handed out.
    Faulty,
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(items.into_iter().map(Arc::from).collect())
    }

    /// Seconds as a number: whole, or with up to three decimals.
    pub(super) fn seconds_text(duration: Duration) -> String {
        let (whole, millis) = (duration.as_secs(), duration.subsec_millis());
        if millis == 0 {
            return whole.to_string();
        }
        format!("{whole}.{millis:03}").trim_end_matches('0').to_owned()
    }
}

/// Decimals are finite, so equality is an equivalence.
impl Eq for Value {}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a == b,
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::Seconds(a), Self::Seconds(b)) => a == b,
            (Self::Flag(a), Self::Flag(b)) => a == b,
            (Self::Word(a), Self::Word(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Parts(a), Self::Parts(b)) => a == b,
            (Self::Unlimited, Self::Unlimited) | (Self::Faulty, Self::Faulty) => true,
            _ => false,
        }
    }
}

/// As commands write it: quoted where needed, lists joined by `+`, proportions as four words.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Decimal(number) => number.fmt(f),
            Self::Seconds(duration) => f.write_str(&Self::seconds_text(*duration)),
            Self::Unlimited => f.write_str(UNLIMITED),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => f.write_str(&quote(text)),
            Self::List(items) => f.write_str(&quote(&items.join("+"))),
            Self::Parts([active, new, port, system]) => write!(f, "{active} {new} {port} {system}"),
            Self::Faulty => f.write_str("?"),
        }
    }
}

/// The word for "without end".
pub(super) const UNLIMITED: &str = "unlimited";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_write_values_so() {
        let cases = [
            (Value::Seconds(Duration::from_millis(7000)), "7"),
            (Value::Seconds(Duration::from_millis(2050)), "2.05"),
            (Value::Decimal(1.5), "1.5"),
            (Value::Decimal(4.0), "4"),
            (Value::Flag(true), "yes"),
            (Value::text("GET /health HTTP/1.1"), "\"GET /health HTTP/1.1\""),
            (Value::text(""), "\"\""),
            (Value::list(["10.0.0.0/8", "192.0.2.1"]), "10.0.0.0/8+192.0.2.1"),
            (Value::list([]), "\"\""),
            (Value::Parts([49, 50, 1, 0]), "49 50 1 0"),
        ];
        for (value, text) in cases {
            assert_eq!(value.to_string(), text);
        }
    }
}
