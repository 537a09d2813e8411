//! Heads for tests, written as on the wire but for their line ends.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, request, response};

/// `GET / HTTP/1.1`, then one field per line.
pub fn request(text: &str) -> request::Parts {
    let (line, fields) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = line.splitn(3, ' ');
    let mut next = || words.next().expect("three words");
    let (method, target, version) = (next(), next(), next());
    let mut head = Request::builder().method(method).uri(target).body(()).expect(line).into_parts().0;
    head.version = if version == "HTTP/1.0" { Version::HTTP_10 } else { Version::HTTP_11 };
    head.headers = headers(fields);
    head
}

/// The status, then one field per line.
pub fn response(text: &str) -> response::Parts {
    let (status, fields) = text.split_once('\n').unwrap_or((text, ""));
    let mut head = Response::builder().status(status).body(()).expect(status).into_parts().0;
    head.headers = headers(fields);
    head
}

/// One field per line.
pub fn headers(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':').expect("a colon");
        let name = HeaderName::from_bytes(name.trim().as_bytes()).expect(line);
        headers.append(name, HeaderValue::from_str(value.trim()).expect(line));
    }
    headers
}

/// One field per line, sorted by name; lines of one name keep their order.
pub fn text(headers: &HeaderMap) -> String {
    let mut lines: Vec<(&str, String)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    lines.sort_by_key(|(name, _)| *name);
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// The fields of a request's head as it is on the wire.
pub fn fields_of(wire: &[u8]) -> HeaderMap {
    let text = String::from_utf8(wire.to_vec()).expect("text");
    let fields = text.split("\r\n").skip(1).filter(|line| !line.is_empty());
    let fields = fields.map(|line| line.split_once(": ").expect("a colon and a blank"));
    fields.fold(HeaderMap::new(), |mut headers, (name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
        headers
    })
}
