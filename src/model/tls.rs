//! How clients are spoken to inside TLS, and how servers are.

use std::path::PathBuf;
use std::str::FromStr;

/// How a port speaks TLS with its clients.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PortTls {
    /// Files, or directories of files, each with a chain of certificates and its key; the first is for clients that name
    /// no host of any other.
    pub certificates: Vec<PathBuf>,
    pub policy: TlsPolicy,
    pub clients: ClientCertificates,
    /// Protocols offered inside (ALPN, RFC 7301), the preferred one first; none: the client's wishes are ignored.
    pub protocols: Vec<AppProtocol>,
}

/// What a side of TLS agrees to.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct TlsPolicy {
    /// None: both.
    pub versions: Vec<TlsVersion>,
    /// Preferred ones first; none: all, strongest first.
    pub ciphers: Vec<CipherSuite>,
    /// Preferred ones first; none: all, the hybrid first.
    pub groups: Vec<KeyExchange>,
}

/// What is asked of clients' certificates.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum ClientCertificates {
    /// Nothing.
    #[default]
    Ignored,
    /// Those who show one must show one of these issuers.
    Optional(ClientIssuers),
    /// Who shows none is turned away.
    Required(ClientIssuers),
}

impl ClientCertificates {
    pub fn issuers(&self) -> Option<&ClientIssuers> {
        match self {
            Self::Ignored => None,
            Self::Optional(issuers) | Self::Required(issuers) => Some(issuers),
        }
    }
}

/// Who issues clients' certificates.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClientIssuers {
    /// A file of certificates.
    pub ca: PathBuf,
    /// A file of revocation lists.
    pub crl: Option<PathBuf>,
}

/// How a server is spoken to inside TLS.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServerTls {
    /// The name that is asked for (SNI) and that its certificate must bear; `None`: that of its address.
    pub name: Option<String>,
    /// Who issues its certificate; `None`: those whom the system trusts.
    pub ca: Option<PathBuf>,
    /// Whether its certificate is looked at.
    pub verify: bool,
    /// Our own certificate with its key, for servers that ask for one.
    pub certificate: Option<PathBuf>,
    /// Protocols offered inside; none: nothing is said of it.
    pub protocols: Vec<AppProtocol>,
}

/// Writes an enum whose variants have words, with the other words by which operators know them.
macro_rules! words {
    ($(#[$about:meta])* $name:ident: $($(#[$note:meta])* $variant:ident = $word:literal $(| $other:literal)*,)+) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name {
            $($(#[$note])* $variant,)+
        }

        impl $name {
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            /// In any case, also by the other words that are in use.
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                $(if [$word $(, $other)*].iter().any(|word| word.eq_ignore_ascii_case(text)) {
                    return Ok(Self::$variant);
                })+
                Err(UnknownWord)
            }
        }
    };
}

/// A word that names none of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no such word")]
pub struct UnknownWord;

words! {
    /// A version of the protocol. Older ones are broken (RFC 8996) and not spoken.
    TlsVersion:
    V12 = "1.2" | "TLSv1.2",
    V13 = "1.3" | "TLSv1.3",
}

words! {
    /// A protocol inside TLS, by its name in ALPN.
    AppProtocol:
    Http2 = "h2",
    Http11 = "http/1.1",
}

words! {
    /// How records are protected, by IANA's names; OpenSSL's are understood.
    CipherSuite:
    Aes256GcmSha384 = "TLS_AES_256_GCM_SHA384" | "TLS13_AES_256_GCM_SHA384",
    Aes128GcmSha256 = "TLS_AES_128_GCM_SHA256" | "TLS13_AES_128_GCM_SHA256",
    Chacha20Poly1305Sha256 = "TLS_CHACHA20_POLY1305_SHA256" | "TLS13_CHACHA20_POLY1305_SHA256",
    EcdheEcdsaAes256GcmSha384 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" | "ECDHE-ECDSA-AES256-GCM-SHA384",
    EcdheEcdsaAes128GcmSha256 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" | "ECDHE-ECDSA-AES128-GCM-SHA256",
    EcdheEcdsaChacha20Poly1305Sha256 =
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" | "ECDHE-ECDSA-CHACHA20-POLY1305",
    EcdheRsaAes256GcmSha384 = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" | "ECDHE-RSA-AES256-GCM-SHA384",
    EcdheRsaAes128GcmSha256 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" | "ECDHE-RSA-AES128-GCM-SHA256",
    EcdheRsaChacha20Poly1305Sha256 =
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" | "ECDHE-RSA-CHACHA20-POLY1305",
}

words! {
    /// How both sides agree on a key.
    KeyExchange:
    /// X25519 and ML-KEM together: also safe from who records today and computes later.
    X25519MlKem768 = "X25519MLKEM768",
    X25519 = "X25519",
    Secp256r1 = "secp256r1" | "P-256" | "prime256v1",
    Secp384r1 = "secp384r1" | "P-384",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_all_who_name_them() {
        assert_eq!("tlsv1.3".parse(), Ok(TlsVersion::V13));
        assert_eq!("1.1".parse::<TlsVersion>(), Err(UnknownWord));
        assert_eq!("ecdhe-rsa-aes128-gcm-sha256".parse(), Ok(CipherSuite::EcdheRsaAes128GcmSha256));
        assert_eq!("P-256".parse(), Ok(KeyExchange::Secp256r1));
        for suite in CipherSuite::ALL {
            assert_eq!(suite.word().parse(), Ok(suite));
        }
    }
}
