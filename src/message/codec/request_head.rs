//! A request's head as bytes.

use http::HeaderMap;
use http::request::Parts;

/// Appends the head to `out`. Its fields are those that go on the wire, the framing ones included; the target is in the
/// form that the server gets ([`super::super::prepare_request`]).
pub fn write_request(head: &Parts, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    match head.uri.path_and_query() {
        Some(target) => out.extend_from_slice(target.as_str().as_bytes()),
        None => out.push(b'/'),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(&head.headers, out);
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

    use super::*;

    fn written(target: &str, fields: &[(&str, &str)]) -> String {
        let builder = fields.iter().fold(Request::get(target), |builder, (name, value)| builder.header(*name, *value));
        let (head, ()) = builder.body(()).unwrap().into_parts();
        let mut out = Vec::new();
        write_request(&head, &mut out);
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
}
