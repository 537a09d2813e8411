//! Which certificate a client is served.

use std::collections::HashMap;
use std::sync::Arc;

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

    /// Whether a client that asked for `name` and got a certificate here may ask for `host` over the same connection.
    pub fn cover(&self, name: Option<&str>, host: &str) -> bool {
        let identity = |place: &usize| self.all.get(*place);
        self.those_for(name).iter().filter_map(identity).any(|identity| identity.facts.cover(host))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let usable = |place: &usize| {
            let identity = self.all.get(*place)?;
            identity.key.key.choose_scheme(hello.signature_schemes())?;
            Some(Arc::clone(&identity.key))
        };
        let those = self.those_for(name.as_deref());
        // Of a client that can use none of them the handshake finds out why, and says so: no cipher or no signature in
        // common. Without a certificate it would say that access is denied.
        let any = || those.first().and_then(|place| self.all.get(*place)).map(|identity| Arc::clone(&identity.key));
        those.iter().find_map(usable).or_else(any)
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
        assert!(certificates.cover(Some("b.example"), "shop.a.example"), "one certificate for both");
        assert!(!certificates.cover(Some("b.example"), "a.example"));
    }
}
