//! What a file is, by the ending of its name, and the charset that it says of itself.

use http::HeaderValue;

/// How a file answers a request for its own path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Media {
    /// A document: whoever asks for it wanted the site, so it carries the site's status.
    Page,
    /// A part of a page (picture, style, script, font): browsers use it only with 200.
    Part,
}

/// Endings in lower case. Whatever is missing is bytes, sent with 200.
const TYPES: [(&str, &str, Media); 30] = [
    ("html", "text/html", Media::Page),
    ("htm", "text/html", Media::Page),
    ("xhtml", "application/xhtml+xml", Media::Page),
    ("txt", "text/plain", Media::Page),
    ("json", "application/json", Media::Page),
    ("xml", "application/xml", Media::Page),
    ("pdf", "application/pdf", Media::Page),
    ("css", "text/css", Media::Part),
    ("js", "text/javascript", Media::Part),
    ("mjs", "text/javascript", Media::Part),
    ("map", "application/json", Media::Part),
    ("wasm", "application/wasm", Media::Part),
    ("webmanifest", "application/manifest+json", Media::Part),
    ("png", "image/png", Media::Part),
    ("jpg", "image/jpeg", Media::Part),
    ("jpeg", "image/jpeg", Media::Part),
    ("gif", "image/gif", Media::Part),
    ("webp", "image/webp", Media::Part),
    ("avif", "image/avif", Media::Part),
    ("svg", "image/svg+xml", Media::Part),
    ("ico", "image/x-icon", Media::Part),
    ("bmp", "image/bmp", Media::Part),
    ("woff", "font/woff", Media::Part),
    ("woff2", "font/woff2", Media::Part),
    ("ttf", "font/ttf", Media::Part),
    ("otf", "font/otf", Media::Part),
    ("mp4", "video/mp4", Media::Part),
    ("webm", "video/webm", Media::Part),
    ("mp3", "audio/mpeg", Media::Part),
    ("ogg", "audio/ogg", Media::Part),
];

/// The value of `Content-Type` for a file. Only HTML says its charset, and it says what the file does: a wrong one
/// in the head would win over the right one in the file.
pub(super) fn content_type(name: &str, bytes: &[u8]) -> (HeaderValue, Media) {
    let ending = name.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map_or("", |(_, ending)| ending);
    let known = TYPES.iter().find(|(known, ..)| ending.eq_ignore_ascii_case(known));
    let Some((_, kind, media)) = known else {
        return (HeaderValue::from_static("application/octet-stream"), Media::Part);
    };
    let charset = if *kind == "text/html" { html_charset(bytes) } else { None };
    let value = charset.and_then(|charset| HeaderValue::from_str(&format!("{kind}; charset={charset}")).ok());
    (value.unwrap_or(HeaderValue::from_static(kind)), *media)
}

/// Bytes in which a page has to name its charset (HTML standard, 4.2.5.4).
const PRESCAN: usize = 1024;

/// What the file says: its byte order mark, else a `meta` element near its beginning.
fn html_charset(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => return Some("utf-8".to_owned()),
        [0xfe, 0xff, ..] => return Some("utf-16be".to_owned()),
        [0xff, 0xfe, ..] => return Some("utf-16le".to_owned()),
        _ => {}
    }
    let head = bytes.get(..PRESCAN).unwrap_or(bytes);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let charset = metas(&head).find_map(meta_charset)?;
    // The HTML standard: whoever could read this as ASCII is not reading UTF-16.
    Some(if charset.starts_with("utf-16") { "utf-8".to_owned() } else { charset })
}

/// The inside of each `<meta …>` outside comments, in lower case.
fn metas(head: &str) -> impl Iterator<Item = &str> {
    let mut rest = head;
    std::iter::from_fn(move || {
        loop {
            let (_, tag) = rest.split_once('<')?;
            if let Some(comment) = tag.strip_prefix("!--") {
                (_, rest) = comment.split_once("-->")?;
                continue;
            }
            let (inside, after) = tag.split_once('>')?;
            rest = after;
            match inside.strip_prefix("meta") {
                Some(attributes) if attributes.starts_with(|c: char| c.is_ascii_whitespace() || c == '/') => {
                    return Some(attributes);
                }
                _ => {}
            }
        }
    })
}

/// `charset=x`, or `charset=x` inside the `content` that goes with `http-equiv="content-type"`.
fn meta_charset(inside: &str) -> Option<String> {
    let mut rest = inside;
    let (mut content, mut is_pragma) = ("", false);
    while let Some((name, value, after)) = next_attribute(rest) {
        rest = after;
        match name {
            "charset" => return label(value),
            "content" => content = value,
            "http-equiv" => is_pragma = value == "content-type",
            _ => {}
        }
    }
    let (_, charset) = content.split_once("charset").filter(|_| is_pragma)?;
    let value = charset.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    label(value.split(|c: char| c.is_ascii_whitespace() || matches!(c, ';' | '"' | '\'')).next()?)
}

/// The first attribute, its value (empty if it has none) and what follows.
fn next_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let is_blank = |c: char| c.is_ascii_whitespace();
    let text = text.trim_start_matches(|c| is_blank(c) || c == '/');
    let end = text.find(|c| is_blank(c) || c == '/' || c == '=').unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let Some(rest) = rest.trim_start().strip_prefix('=').map(str::trim_start) else {
        return (!name.is_empty()).then_some((name, "", rest));
    };
    for quote in ['"', '\''] {
        if let Some(quoted) = rest.strip_prefix(quote) {
            let (value, after) = quoted.split_once(quote)?;
            return Some((name, value, after));
        }
    }
    let (value, after) = rest.split_at_checked(rest.find(is_blank).unwrap_or(rest.len()))?;
    Some((name, value, after))
}

/// `text` as the name of a charset, if it can be one.
fn label(text: &str) -> Option<String> {
    let text = text.trim();
    let is_label = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    is_label.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_as_the_file_says() {
        let cases: [(&[u8], Option<&str>); 22] = [
            (b"<meta charset=utf-8>", Some("utf-8")),
            (b"<!doctype html><META Charset = 'Shift_JIS'>", Some("shift_jis")),
            (b"<meta name=x><meta\ncharset=\"iso-8859-1\" />", Some("iso-8859-1")),
            (b"<meta http-equiv=\"Content-Type\" content=\"text/html; charset=windows-1252\">", Some("windows-1252")),
            (b"<meta content='text/html;charset=koi8-r' http-equiv=content-type>", Some("koi8-r")),
            (b"<meta charset=utf-16le>", Some("utf-8")),
            (b"\xef\xbb\xbf<meta charset=latin1>", Some("utf-8")),
            (b"\xfe\xff\0<", Some("utf-16be")),
            (b"\xff\xfe<\0", Some("utf-16le")),
            (b"<!-- <meta charset=a> --><meta charset=b>", Some("b")),
            (b"<metadata charset=a>", None),
            (b"<meta name=description content=\"my charset=x\">", None),
            (b"<meta/charset=utf-8 />", Some("utf-8")),
            (b"<meta charset>", None),
            (b"<meta = charset=x>", None),
            (b"<meta data-charset=x>", None),
            (b"<meta name=keywords content=\"charset=x\">", None),
            (b"<meta charset=>", None),
            (b"<meta charset=\"a b", None),
            (b"<meta charset=\"\r\nx: y\">", None),
            (b"<p>charset=utf-8</p>", None),
            (b"", None),
        ];
        for (page, charset) in cases {
            assert_eq!(html_charset(page).as_deref(), charset, "{}", String::from_utf8_lossy(page));
        }
    }

    #[test]
    fn a_charset_beyond_the_first_kilobyte_is_not_seen() {
        let late = [b" ".repeat(PRESCAN), b"<meta charset=utf-8>".to_vec()].concat();
        assert_eq!(html_charset(&late), None);
    }

    #[test]
    fn types_go_by_the_ending() {
        let cases = [
            ("index.html", "text/html", Media::Page),
            ("a/b.PNG", "image/png", Media::Part),
            ("style.css", "text/css", Media::Part),
            ("status.json", "application/json", Media::Page),
            ("x.tar.gz", "application/octet-stream", Media::Part),
            ("a.html/readme", "application/octet-stream", Media::Part),
            ("", "application/octet-stream", Media::Part),
        ];
        for (name, kind, media) in cases {
            assert_eq!(content_type(name, b""), (HeaderValue::from_static(kind), media), "{name}");
        }
        assert_eq!(content_type("x.css", b"<meta charset=utf-8>").0, "text/css");
        assert_eq!(content_type("x.html", b"<meta charset=utf-8>").0, "text/html; charset=utf-8");
    }
}
