//! Which certificate a client is served.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::identity::Identity;

/// The certificates of a port, by the names that they bear.
#[derive(Debug)]
pub struct Certificates {
    all: Box<[Arc<Identity>]>,
    exact: HashMap<Box<str>, Vec<usize>>,
    /// By what follows the star and its dot.
    starred: HashMap<Box<str>, Vec<usize>>,
    every: Vec<usize>,
}

impl Certificates {
    /// In the order of the files: of several for one name the first that the client can use is served.
    pub fn new(all: Vec<Identity>) -> Self {
        let all: Box<[Arc<Identity>]> = all.into_iter().map(Arc::new).collect();
        let (mut exact, mut starred): (HashMap<_, Vec<_>>, HashMap<_, Vec<_>>) = Default::default();
        for (place, identity) in all.iter().enumerate() {
            for name in &identity.facts.names {
                match name.strip_prefix("*.") {
                    Some(parent) => starred.entry(parent.into()).or_default().push(place),
                    None => exact.entry(name.as_str().into()).or_default().push(place),
                }
            }
        }
        Self { every: (0..all.len()).collect(), all, exact, starred }
    }

    pub fn all(&self) -> &[Arc<Identity>] {
        &self.all
    }

    /// Those for a name in lower case: that bear it, else whose star covers it, else all of them, the first one first.
    /// Who names nobody, or a stranger, gets the first that it can use, and sees for itself that it is not the right one.
    fn those_for(&self, name: Option<&str>) -> &[usize] {
        let name = name.unwrap_or_default();
        let starred = || name.split_once('.').and_then(|(_, parent)| self.starred.get(parent));
        self.exact.get(name).or_else(starred).unwrap_or(&self.every)
    }

    /// The one that a client is served: of those for its name the first that it can use.
    fn choose(&self, hello: &ClientHello<'_>) -> Option<&Arc<Identity>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let mut those = self.those_for(name.as_deref()).iter().filter_map(|&place| self.all.get(place));
        let first = those.clone().next();
        let usable = |identity: &&Arc<Identity>| identity.key.key.choose_scheme(hello.signature_schemes()).is_some();
        // Of a client that can use none of them the handshake finds out why, and says so: no cipher or no signature in
        // common. Without a certificate it would say that access is denied.
        those.find(usable).or(first)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(&hello).map(|identity| Arc::clone(&identity.key))
    }
}

/// The choice for one client, which can be asked for afterwards: what the client may ask for on its connection goes by the
/// certificate that it saw.
#[derive(Debug)]
pub struct Serving {
    certificates: Arc<Certificates>,
    served: OnceLock<Arc<Identity>>,
}

impl Serving {
    pub(super) fn new(certificates: &Arc<Certificates>) -> Self {
        Self { certificates: Arc::clone(certificates), served: OnceLock::new() }
    }

    /// The certificate that was served; `None`: the handshake has not come so far.
    pub fn served(&self) -> Option<&Arc<Identity>> {
        self.served.get()
    }
}

impl ResolvesServerCert for Serving {
    /// A client whose first message is answered by a retry (RFC 8446 4.1.4) says the same again, and so is this.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.certificates.choose(&hello)?;
        Some(Arc::clone(&self.served.get_or_init(|| Arc::clone(chosen)).key))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Issuer;
    use super::*;

    #[test]
    fn by_name_by_star_and_else_the_first() {
        let issuer = Issuer::new();
        let identity = |names: &[&str]| Identity::new(&issuer.certificate(names).files("x.pem")).unwrap();
        let all = vec![identity(&["a.example"]), identity(&["*.a.example", "b.example"]), identity(&["www.a.example"])];
        let certificates = Certificates::new(all);
        let cases: [(Option<&str>, &[usize]); 6] = [
            (Some("a.example"), &[0]),
            (Some("www.a.example"), &[2]),
            (Some("shop.a.example"), &[1]),
            (Some("b.example"), &[1]),
            (Some("stranger"), &[0, 1, 2]),
            (None, &[0, 1, 2]),
        ];
        for (name, places) in cases {
            assert_eq!(certificates.those_for(name), places, "{name:?}");
        }
    }
}
