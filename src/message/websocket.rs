//! What HTTP/1.1 asks of a WebSocket's beginning and HTTP/2 does not (RFC 6455 4.1, RFC 8441 5).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");

/// What the server has to show that it has understood (RFC 6455 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Says a key. `nonce` is by chance.
pub fn say_key(fields: &mut HeaderMap, nonce: [u8; 16]) {
    if let Ok(key) = HeaderValue::try_from(STANDARD.encode(nonce)) {
        fields.insert(KEY, key);
    }
}

/// Whether the server's word is the answer to `nonce`; it is for us and leaves the fields.
pub fn take_accept(fields: &mut HeaderMap, nonce: [u8; 16]) -> bool {
    let key = STANDARD.encode(nonce);
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
    fields.remove(ACCEPT).is_some_and(|said| said.as_bytes() == STANDARD.encode(proof).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 1.3.
    #[test]
    fn the_standards_example() {
        let nonce = *b"the sample nonce";
        let mut fields = HeaderMap::new();
        say_key(&mut fields, nonce);
        assert_eq!(fields[KEY], "dGhlIHNhbXBsZSBub25jZQ==");
        fields.insert(ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(take_accept(&mut fields, nonce));
        assert!(!fields.contains_key(ACCEPT) && !take_accept(&mut fields, nonce));
        fields.insert(ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK-xOo="));
        assert!(!take_accept(&mut fields, nonce));
    }
}
