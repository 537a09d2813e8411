//! TLS of ports and servers.

use std::str::FromStr;

use super::{Check, View, called};
use crate::config::object::Path;
use crate::config::value::Value;
use crate::model::{AppProtocol, ClientCertificates, ClientIssuers, ForwardingMethod, PortTls, ServerTls, TlsPolicy};

/// Keywords of a port that mean nothing without certificates.
const WITH_CERTIFICATES: [&str; 4] = ["clientcertificates", "clientca", "ciphers", "keyexchanges"];

impl Check {
    pub(super) fn port_tls(
        &mut self,
        path: &Path,
        method: Option<ForwardingMethod>,
        view: View<'_>,
    ) -> Option<PortTls> {
        let certificates = self.file_paths(path, "certificates", view);
        let clients = self.client_certificates(path, view);
        if certificates.is_empty() {
            self.needs_certificates(path, view);
            return None;
        }
        let protocols = match method {
            Some(ForwardingMethod::Http) if http2(view) => vec![AppProtocol::Http2, AppProtocol::Http11],
            Some(ForwardingMethod::Http) if http2(view) => vec![AppProtocol::Http2, AppProtocol::Http11],
            Some(ForwardingMethod::Http) => vec![AppProtocol::Http11],
            _ => Vec::new(),
        };
        let policy = TlsPolicy {
            versions: words(view, "tlsversions"),
            ciphers: words(view, "ciphers"),
            groups: words(view, "keyexchanges"),
        };
        Some(PortTls { certificates, policy, clients, protocols })
    }

    /// Whoever asks for clients' certificates and does not say whose would let in everybody.
    fn client_certificates(&mut self, path: &Path, view: View<'_>) -> ClientCertificates {
        let (ca, crl) = (self.file_path(path, "clientca", view), self.file_path(path, "clientcrl", view));
        let asked = view.word("clientcertificates");
        match (asked, ca) {
            ("optional", Some(ca)) => ClientCertificates::Optional(ClientIssuers { ca, crl }),
            ("required", Some(ca)) => ClientCertificates::Required(ClientIssuers { ca, crl }),
            ("optional" | "required", None) => {
                let message = format!(
                    "{}: `clientcertificates` is {asked}, and no `clientca` says who issues them; a file of issuers would be right",
                    called(path)
                );
                self.fault(view.place_at("clientcertificates"), message);
                ClientCertificates::Ignored
            }
            _ => ClientCertificates::Ignored,
        }
    }

    /// An operator who asks for clients' certificates does not want a port that speaks plainly.
    fn needs_certificates(&mut self, path: &Path, view: View<'_>) {
        if let Some(word) = WITH_CERTIFICATES.into_iter().find(|word| means_something(view, word)) {
            let message = format!(
                "{}: `{word}` is said without `certificates`, so clients would speak plainly; the port's own certificate would be right",
                called(path)
            );
            self.fault(view.place_at(word), message);
        }
    }

    pub(super) fn server_tls(&mut self, path: &Path, is_http: bool, view: View<'_>) -> Option<ServerTls> {
        let tls = ServerTls {
            name: Some(view.text("tlsname").to_owned()).filter(|name| !name.is_empty()),
            ca: self.file_path(path, "tlsca", view),
            verify: view.flag("tlsverify"),
            certificate: self.file_path(path, "tlscertificate", view),
            protocols: match (is_http, view.flag("http2")) {
                (false, _) => Vec::new(),
                (true, false) => vec![AppProtocol::Http11],
                (true, true) => vec![AppProtocol::Http2, AppProtocol::Http11],
            },
        };
        view.flag("tls").then_some(tls)
    }
}

/// Whether clients may speak HTTP/2. Plainly only where it is asked for: hardly anybody does, and it is one more parser
/// before everybody.
pub(super) fn http2(view: View<'_>) -> bool {
    match view.said("http2") {
        Some(Value::Flag(flag)) => *flag,
        _ => !view.list("certificates").is_empty(),
    }
}

fn means_something(view: View<'_>, word: &str) -> bool {
    match view.said(word) {
        None => false,
        Some(Value::Word(word)) => *word != "ignored",
        Some(Value::Text(text)) => !text.is_empty(),
        Some(Value::List(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

fn words<T: FromStr>(view: View<'_>, word: &str) -> Vec<T> {
    view.list(word).into_iter().filter_map(|item| item.parse().ok()).collect()
}
