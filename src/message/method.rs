//! What a method promises.

use http::Method;

/// Whether doing it twice is the same as doing it once (RFC 9110 9.2.2; QUERY by RFC 10008), so that a request may be
/// sent again after a failure. Methods that are not known here promise nothing.
pub fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE | Method::QUERY
    )
}

/// Whether bytes look like the beginning of an HTTP request: a method in capitals, as far as it is here.
pub fn is_method_start(bytes: &[u8]) -> bool {
    const ENOUGH: usize = 3;
    let letters = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    letters >= ENOUGH.min(bytes.len()) && !bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises() {
        for name in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"] {
            assert!(is_idempotent(&name.parse().expect(name)), "{name}");
        }
        for name in ["POST", "PATCH", "CONNECT", "PROPFIND", "get"] {
            assert!(!is_idempotent(&name.parse().expect(name)), "{name}");
        }
    }
}
