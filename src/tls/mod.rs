//! TLS as settings and files make it: certificates with their keys, who is believed, tickets for resumption.
//!
//! Bytes of files come in, and what rustls needs for a handshake comes out, or a fault that names the file and what would
//! be right. Sockets, and the files themselves, are elsewhere. Nothing of a private key is ever shown.

mod back;
mod certificates;
mod facts;
mod fault;
mod front;
mod identity;
mod pem;
mod reminders;
mod suites;
#[cfg(test)]
mod testing;
mod tickets;
mod trust;

pub use back::{BackFiles, ServerLink, TlsBack};
pub use certificates::{Certificates, Serving};
pub use facts::Facts;
pub use fault::TlsFault;
pub use front::{Built, FrontFiles, TlsFront};
pub use identity::{Identity, IdentityFiles};
pub use pem::{FileText, is_companion, is_store};
pub use reminders::Reminders;
pub use suites::provider;
pub use tickets::TicketKeys;
pub use trust::AcceptAll;
