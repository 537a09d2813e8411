//! Keywords of TLS: how a port speaks it with clients, how servers are spoken to.

use super::Preset::{Flag, List, Seconds, Text, Told, Word};
use super::value_kind::{choice, fractions};
use super::{Keyword, ValueKind};

/// Keywords of a port.
pub(super) const ON_PORTS: [Keyword; PORT_TLS_KEYWORDS] = [
    Keyword::new(
        "certificates",
        ValueKind::Paths,
        List(&[]),
        "files, or directories of files, each with a chain and its key (in it or in NAME.key beside it), for clients' TLS; none: no TLS",
    )
    .proxy_only(),
    Keyword::new(
        "tlsversions",
        ValueKind::TlsVersions,
        List(&["1.2", "1.3"]),
        "versions of TLS that clients may speak",
    )
    .proxy_only(),
    Keyword::new(
        "ciphers",
        ValueKind::Ciphers,
        Told("all, strongest first"),
        "cipher suites that clients may choose from, preferred ones first",
    )
    .proxy_only(),
    Keyword::new(
        "keyexchanges",
        ValueKind::KeyExchanges,
        Told("all, X25519MLKEM768 first"),
        "key exchanges that clients may choose from, preferred ones first",
    )
    .proxy_only(),
    Keyword::new(
        "clientcertificates",
        choice(&["ignored", "optional", "required"]),
        Word("ignored"),
        "whether clients show certificates of their own, issued by clientca",
    )
    .proxy_only(),
    Keyword::new("clientca", ValueKind::Path, Text(""), "file with the issuers of clients' certificates").proxy_only(),
    Keyword::new("clientcrl", ValueKind::Path, Text(""), "file with lists of clients' certificates that were revoked")
        .proxy_only(),
    // HAProxy and the field have 5 to 10 s; a slow mobile line needs two round trips.
    Keyword::new("tlstimeout", fractions(100, 3600), Seconds(5), "from a connection's beginning to the end of its TLS handshake")
        .proxy_only(),
    Keyword::new(
        "http2",
        ValueKind::Flag,
        Told("yes; on a port without certificates no"),
        "clients may speak HTTP/2: agreed on inside TLS (ALPN), else begun with its preface (prior knowledge)",
    )
    .http_only(),
    Keyword::new(
        "misdirected",
        choice(&["refuse", "serve"]),
        Word("refuse"),
        "requests inside TLS for a host that the certificate served does not cover: 421, or served all the same",
    )
    .http_only(),
];

pub(super) const PORT_TLS_KEYWORDS: usize = 10;

/// Keywords of a server.
pub(super) const ON_SERVERS: [Keyword; SERVER_TLS_KEYWORDS] = [
    Keyword::new("tls", ValueKind::Flag, Flag(false), "yes: it is spoken to inside TLS"),
    Keyword::new(
        "tlsname",
        ValueKind::Host,
        Told("the name or address that it is connected at"),
        "the name that is asked for (SNI) and that its certificate must bear",
    ),
    Keyword::new(
        "tlsca",
        ValueKind::Path,
        Told("the issuers that the system trusts"),
        "file with the issuers of its certificate",
    ),
    Keyword::new("tlsverify", ValueKind::Flag, Flag(true), "no: its certificate is taken unseen"),
    Keyword::new(
        "tlscertificate",
        ValueKind::Path,
        Told("none"),
        "our own certificate for it: file with a chain and its key (in it or in NAME.key beside it)",
    ),
    Keyword::new(
        "http2",
        ValueKind::Flag,
        Flag(false),
        "yes: it is spoken to in HTTP/2, where inside TLS it agrees, else from the start (http ports)",
    ),
];

pub(super) const SERVER_TLS_KEYWORDS: usize = 6;
