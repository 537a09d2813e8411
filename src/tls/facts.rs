//! What a certificate says of itself.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Whom a certificate is for, and when it holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// Lower case; those that stand for one label begin with `*.`.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// For people: `CN=shop.example, O=Shop`.
    pub subject: String,
    pub issuer: String,
    /// The kind of its key: `ECDSA P-256`, `RSA 2048`.
    pub key: String,
}

impl Facts {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let mut facts = Self {
            names: Vec::new(),
            addresses: Vec::new(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            key: kind_of_key(parsed.public_key()),
        };
        let alternative = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
        match alternative {
            Some(alternative) => alternative.value.general_names.iter().for_each(|name| facts.note(name)),
            // RFC 6125 6.4.4: a common name counts only where nothing else is said; clients have stopped to look at it.
            None => {
                let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
                facts.names.extend(common.map(str::to_ascii_lowercase));
            }
        }
        Ok(facts)
    }

    fn note(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => self.names.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => self.addresses.extend(address(bytes)),
            _ => {}
        }
    }

    /// Whether the certificate is for this host: a name without its last dot in lower case, or an address.
    pub fn cover(&self, host: &str) -> bool {
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = literal.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        self.names.iter().any(|name| name == host || is_under(name, host))
    }

    /// Whole days until it expires; below zero once it has.
    pub fn days_left(&self, now: i64) -> i64 {
        self.not_after.saturating_sub(now).div_euclid(DAY)
    }

    /// What there is to say of it at this time (seconds since 1970), if there is anything: it does not hold, or not for long.
    pub fn concern(&self, now: i64) -> Option<String> {
        let soon = self.days_left(now) < SOON_DAYS;
        let expires = || format!("expires on {} (days left: {})", day(self.not_after), self.days_left(now));
        self.out_of_date(now).or_else(|| soon.then(expires))
    }

    /// Why it does not hold at this time, in seconds since 1970.
    pub fn out_of_date(&self, now: i64) -> Option<String> {
        if now > self.not_after {
            return Some(format!("expired on {}", day(self.not_after)));
        }
        (now < self.not_before).then(|| format!("holds only from {}", day(self.not_before)))
    }
}

/// Seconds.
const DAY: i64 = 86_400;

/// From when on an expiry is spoken of: two weeks are enough for people, and automatic clients renew long before.
const SOON_DAYS: i64 = 14;

fn kind_of_key(key: &SubjectPublicKeyInfo<'_>) -> String {
    const ED25519: &str = "1.3.101.112";
    let algorithm = key.algorithm.algorithm.to_id_string();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA {}", rsa.key_size()),
        // Keys of other curves are refused before they come here.
        Ok(PublicKey::EC(point)) => format!("ECDSA P-{}", point.key_size()),
        _ if algorithm == ED25519 => "Ed25519".to_owned(),
        _ => algorithm,
    }
}

/// Whether a name with a star covers a host: the star is one whole label (RFC 6125 6.4.3).
fn is_under(name: &str, host: &str) -> bool {
    let Some(parent) = name.strip_prefix("*.") else { return false };
    host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(Into::into)
}

/// As people write it: 2026-11-27.
fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Issuer;
    use super::*;

    #[test]
    fn an_expiry_is_spoken_of_for_two_weeks() {
        let facts = Facts::of(&Issuer::new().certificate(&["a"]).der).unwrap();
        assert_eq!(facts.key, "ECDSA P-256");
        let concern = |before: i64| facts.concern(facts.not_after - before);
        assert_eq!(concern(14 * DAY), None);
        assert!(concern(14 * DAY - 1).unwrap().ends_with("(days left: 13)"));
        assert!(concern(0).unwrap().ends_with("(days left: 0)"));
        assert!(concern(-1).unwrap().starts_with("expired on "));
        assert_eq!(facts.days_left(facts.not_after + 1), -1);
    }

    #[test]
    fn names_addresses_and_days() {
        let made = Issuer::new().certificate(&["Shop.example", "*.shop.example", "192.0.2.1"]);
        let facts = Facts::of(&made.der).unwrap();
        assert_eq!(facts.names, ["shop.example", "*.shop.example"]);
        let cases = [
            ("shop.example", true),
            ("www.shop.example", true),
            ("a.b.shop.example", false),
            (".shop.example", false),
            ("example", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("[2001:db8::1]", false),
        ];
        for (host, covered) in cases {
            assert_eq!(facts.cover(host), covered, "{host}");
        }
        assert_eq!(facts.out_of_date(facts.not_after), None);
        assert!(facts.out_of_date(facts.not_after + 1).unwrap().starts_with("expired on "));
        assert!(facts.out_of_date(facts.not_before - 1).unwrap().starts_with("holds only from"));
    }
}
