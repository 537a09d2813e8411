//! A request's head as bytes.

use http::header::HOST;
use http::{HeaderMap, Method, Uri};

use super::super::forwarded::{ConnectionFacts, Introduction};

/// A request's head as a server gets it.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingHead<'a> {
    pub method: &'a Method,
    /// In the form that the server gets ([`super::super::prepare_request`]).
    pub target: &'a Uri,
    pub fields: &'a HeaderMap,
    /// The same before the operators' edits. A `Host` of theirs is for the server; the client named this one.
    pub unedited: &'a HeaderMap,
}

/// Appends the head to `out`. Its fields are those that go on the wire, the framing ones included, and the target is in
/// the form that the server gets ([`super::super::prepare_request`]); what `introduction` left open is said from
/// `connection`, and `more` appends lines of its own.
pub fn write_request(
    head: OutgoingHead<'_>,
    introduction: Introduction,
    connection: &ConnectionFacts,
    more: impl FnOnce(&mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    match head.target.path_and_query() {
        Some(target) => out.extend_from_slice(target.as_str().as_bytes()),
        None => out.push(b'/'),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(head.fields, out);
    if let Introduction::OfConnection { with_host } = introduction {
        let host = if with_host { head.unedited.get(HOST) } else { None };
        connection.write_lines(host, out);
    }
    more(out);
    out.extend_from_slice(b"\r\n");
}

/// Appends a line for each field.
pub(super) fn write_fields(fields: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in fields {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::super::forwarded::Proto;
    use super::*;

    fn written(target: &str, fields: &[(&str, &str)]) -> String {
        introduced(target, fields, Introduction::InHead)
    }

    fn introduced(target: &str, fields: &[(&str, &str)], introduction: Introduction) -> String {
        let builder = fields.iter().fold(Request::get(target), |builder, (name, value)| builder.header(*name, *value));
        let (head, ()) = builder.body(()).unwrap().into_parts();
        let mut out = Vec::new();
        let local = "192.0.2.1:8080".parse().unwrap();
        let connection = ConnectionFacts::new("203.0.113.9".parse().unwrap(), local, Proto::Http);
        let head =
            OutgoingHead { method: &head.method, target: &head.uri, fields: &head.headers, unedited: &head.headers };
        write_request(head, introduction, &connection, |_| {}, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn heads() {
        assert_eq!(written("/a?b=%20", &[("Host", "h")]), "GET /a?b=%20 HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!(written("*", &[]), "GET * HTTP/1.1\r\n\r\n");
        assert_eq!(
            written("/", &[("x", "1"), ("y", ""), ("x", "2")]),
            "GET / HTTP/1.1\r\nx: 1\r\nx: 2\r\ny: \r\n\r\n",
            "lines of one name stand together, in their order"
        );
    }

    #[test]
    fn the_connection_says_who_the_client_is() {
        let lines = "x-forwarded-for: 203.0.113.9\r\nx-forwarded-proto: http\r\nx-forwarded-port: 8080\r\n";
        assert_eq!(
            introduced("/", &[("Host", "h")], Introduction::OfConnection { with_host: true }),
            format!("GET / HTTP/1.1\r\nhost: h\r\n{lines}x-forwarded-host: h\r\n\r\n")
        );
        assert_eq!(
            introduced("/", &[("Host", "ours")], Introduction::OfConnection { with_host: false }),
            format!("GET / HTTP/1.1\r\nhost: ours\r\n{lines}\r\n"),
            "what we name ourselves is not what the client said"
        );
    }
}
