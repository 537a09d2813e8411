//! The advisor's request.

/// The bytes to send for a server's `advisorrequest`.
///
/// Its first line is the request line; without a version HTTP/1.0 is added. Further lines, if any, are header fields.
/// `Accept`, `User-Agent` and `Host` are added unless given, and for HTTP/1.1 `Connection: close`, since one answer is
/// all we want.
pub fn request(text: &str, host: &str) -> Vec<u8> {
    let mut lines = text.trim().lines().map(str::trim_end).filter(|line| !line.is_empty());
    let line = request_line(lines.next().unwrap_or(DEFAULT));
    let given: Vec<&str> = lines.collect();
    let mut out = format!("{line}\r\n");
    for field in &given {
        out.push_str(&format!("{field}\r\n"));
    }
    let mut add = |name: &str, value: &str| {
        if !given.iter().any(|field| is_named(field, name)) {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
    };
    add("Accept", "*/*");
    add("User-Agent", "Tsuji-Advisor");
    add("Host", &bracketed(host));
    if line.ends_with(" HTTP/1.1") {
        add("Connection", "close");
    }
    out.push_str("\r\n");
    out.into_bytes()
}

fn request_line(line: &str) -> String {
    let line = line.trim();
    match line.split_whitespace().count() {
        1 => format!("{line} / HTTP/1.0"),
        2 => format!("{line} HTTP/1.0"),
        _ => line.to_owned(),
    }
}

fn is_named(field: &str, name: &str) -> bool {
    field.split_once(':').is_some_and(|(given, _)| given.trim().eq_ignore_ascii_case(name))
}

/// IPv6 addresses stand in brackets in `Host`.
fn bracketed(host: &str) -> String {
    if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() }
}

/// For an empty `advisorrequest`.
const DEFAULT: &str = crate::model::Server::DEFAULT_ADVISOR_REQUEST;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_completed() {
        let common = "Accept: */*\r\nUser-Agent: Tsuji-Advisor\r\nHost: w1\r\n";
        let cases = [
            ("HEAD / HTTP/1.0", format!("HEAD / HTTP/1.0\r\n{common}\r\n")),
            ("", format!("HEAD / HTTP/1.0\r\n{common}\r\n")),
            ("GET /health", format!("GET /health HTTP/1.0\r\n{common}\r\n")),
            ("GET", format!("GET / HTTP/1.0\r\n{common}\r\n")),
            ("GET /health HTTP/1.1", format!("GET /health HTTP/1.1\r\n{common}Connection: close\r\n\r\n")),
            (
                "GET / HTTP/1.1\r\nhost: other\r\nX-A: b\n",
                "GET / HTTP/1.1\r\nhost: other\r\nX-A: b\r\nAccept: */*\r\nUser-Agent: Tsuji-Advisor\r\nConnection: close\r\n\r\n"
                    .to_owned(),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(String::from_utf8(request(text, "w1")).expect("text"), expected, "{text:?}");
        }
    }

    #[test]
    fn an_address_of_version_six_is_bracketed() {
        let sent = String::from_utf8(request("", "2001:db8::1")).expect("text");
        assert!(sent.contains("Host: [2001:db8::1]\r\n"), "{sent}");
    }
}
