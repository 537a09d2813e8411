//! Upgrades of a connection to another protocol: what the client asks for and what the port allows.

use http::header::UPGRADE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Version};

use super::framing::{Body, RequestFacts, single_token, tokens};
use super::names::Field;

/// An upgrade that the client asked for and the port allows. The server is asked for this protocol and no other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upgrade {
    /// As the client spelled it.
    protocol: HeaderValue,
}

/// Allows everything but `h2c`: inside a tunnel of HTTP/2 nobody would apply the rules for requests.
const ANY: &str = "*";
const NEVER_BY_ANY: &[u8] = b"h2c";

impl Upgrade {
    /// The first protocol in the client's list that `allowed` (lower case; `*` is any but `h2c`) has. `None`: no
    /// upgrade, and the request is an ordinary one, as RFC 9110 7.8 lets a server treat it. Only HTTP/1.1 has upgrades,
    /// and with a body it would be unclear in which protocol the body is.
    pub fn asked(head: &Parts, facts: &RequestFacts, allowed: &[String]) -> Option<Self> {
        if !facts.connection.upgrade || !facts.fields.has(Field::Upgrade) {
            return None;
        }
        if head.version != Version::HTTP_11 || facts.body() != Body::None {
            return None;
        }
        head.headers.get_all(UPGRADE).iter().find_map(|value| Self::first_allowed(value, allowed))
    }

    fn first_allowed(value: &HeaderValue, allowed: &[String]) -> Option<Self> {
        let chosen = tokens(value).find(|protocol| is_allowed(protocol, allowed))?;
        let protocol =
            if chosen.len() == value.len() { value.clone() } else { HeaderValue::from_bytes(chosen).ok()? };
        Some(Self { protocol })
    }

    /// Whether a port that allows these protocols allows this one.
    pub fn allows(allowed: &[String], protocol: &str) -> bool {
        is_allowed(protocol.as_bytes(), allowed)
    }

    /// As it goes to the server in `Upgrade`.
    pub fn protocol(&self) -> &HeaderValue {
        &self.protocol
    }

    /// Whether the `Upgrade` field of a 101 names exactly this protocol. The caller knows `Connection: upgrade` is there.
    pub(super) fn is_confirmed_by(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(UPGRADE).iter();
        let Some(value) = values.next() else { return false };
        values.next().is_none()
            && single_token(value).is_some_and(|protocol| protocol.eq_ignore_ascii_case(self.protocol.as_bytes()))
    }
}

fn is_allowed(protocol: &[u8], allowed: &[String]) -> bool {
    allowed.iter().any(|allowed| {
        if allowed == ANY {
            !protocol.eq_ignore_ascii_case(NEVER_BY_ANY)
        } else {
            protocol.eq_ignore_ascii_case(allowed.as_bytes())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::framing::examine_request;
    use super::super::testing::request;
    use super::*;

    fn asked(text: &str, allowed: &[&str]) -> Option<String> {
        let head = request(text);
        let facts = examine_request(&head).expect(text);
        let allowed: Vec<String> = allowed.iter().map(|&protocol| protocol.to_owned()).collect();
        let upgrade = Upgrade::asked(&head, &facts, &allowed)?;
        Some(upgrade.protocol().to_str().expect("a token").to_owned())
    }

    #[test]
    fn what_is_asked_and_allowed() {
        let get = |fields: &str| format!("GET / HTTP/1.1\nHost: a\n{fields}");
        let cases = [
            ("Connection: Upgrade\nUpgrade: websocket", &["websocket"][..], Some("websocket")),
            ("Connection: keep-alive, UPGRADE\nUpgrade: WebSocket", &["websocket"], Some("WebSocket")),
            ("Connection: a\nConnection: upgrade\nUpgrade: websocket", &["websocket"], Some("websocket")),
            ("Connection: upgrade\nUpgrade: h2c, websocket", &["websocket"], Some("websocket")),
            ("Connection: upgrade\nUpgrade: h2c\nUpgrade: foo/2", &["*"], Some("foo/2")),
            ("Connection: upgrade\nUpgrade: h2c", &["*"], None),
            ("Connection: upgrade\nUpgrade: H2C", &["*"], None),
            ("Connection: upgrade\nUpgrade: h2c", &["*", "h2c"], Some("h2c")),
            ("Connection: upgrade\nUpgrade: foo", &["websocket"], None),
            ("Connection: upgrade\nUpgrade: websocket", &[], None),
            ("Connection: upgrade\nUpgrade: , ", &["*"], None),
            ("Connection: upgrade", &["*"], None),
            ("Upgrade: websocket", &["*"], None),
            ("Connection: upgraded\nUpgrade: websocket", &["*"], None),
            ("Connection: upgrade\nUpgrade: websocket\nContent-Length: 0", &["*"], Some("websocket")),
            ("Connection: upgrade\nUpgrade: websocket\nContent-Length: 1", &["*"], None),
            ("Connection: upgrade\nUpgrade: websocket\nTransfer-Encoding: chunked", &["*"], None),
        ];
        for (fields, allowed, expected) in cases {
            assert_eq!(asked(&get(fields), allowed).as_deref(), expected, "{fields}");
        }
        assert_eq!(asked("GET / HTTP/1.0\nConnection: upgrade\nUpgrade: websocket", &["*"]), None);
    }
}
