//! HTTP heads as values: what may be forwarded, what has to be taken out or put in, and what is answered instead.
//!
//! Everything works on the `http` crate's types: requests as hyper 1.12 hands them over, responses as [`codec`] reads them.
//! One look over a head ([`framing`])
//! refuses what is ambiguous and remembers which of the fields that matter are there; the later steps ([`hop`],
//! [`forwarded`], [`upgrade`]) touch only those. Of other rooms it knows three settings in `model`. The room chooses no
//! server, reads no clock and does no I/O; bodies pass elsewhere.
//!
//! What may come before a head is read here too: PROXY headers ([`proxy_protocol`]) and the ClientHello of a TLS connection
//! ([`client_hello`]).

mod authority;
mod canonical;
mod client_address;
pub mod client_hello;
pub mod codec;
mod date;
mod edit;
pub mod forwarded;
pub mod framing;
pub mod hop;
mod http2;
mod method;
mod names;
mod outgoing;
mod path;
mod private;
pub mod proxy_protocol;
mod reason;
mod redirect;
mod session;
mod sorry;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trailers;
pub mod upgrade;
mod websocket;

pub use authority::Authority;
pub use canonical::Canonical;
pub use client_address::client_address;
pub use date::http_date;
pub use edit::edit_fields;
pub use forwarded::{ClientView, ConnectionFacts, Introduction, Proto, introduce};
pub use framing::{
    Body, RequestFacts, ResponseFacts, ResponseFault, ResponseLength, examine_request, examine_response,
};
pub use hop::{strip_request, strip_response};
pub use http2::{restate_connect, restate_request};
pub use method::{is_idempotent, is_method_start};
pub use outgoing::{origin_form, prepare_request};
pub use path::{BadPath, canonical_path};
pub use private::{PrivateFacts, PrivateFields, take_private, write_private};
pub use reason::{ErrorReason, TSUJI_ERROR};
pub use redirect::{redirect_to, rewrite_path};
pub use session::{clone_ids, cookie_values, path_parameter, set_cookie_value};
pub use sorry::{MAX_SORRY_BYTES, MAX_SORRY_FILES, SorrySite, SorrySiteError};
pub use trailers::clean_trailers;
pub use upgrade::Upgrade;
pub use websocket::{say_key, take_accept};
