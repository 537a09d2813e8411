//! Why a file cannot be used for TLS.

use std::path::PathBuf;

/// What is wrong with a file, and what would be right.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TlsFault {
    #[error("`{path}` has no certificate; a PEM file with BEGIN CERTIFICATE would be right")]
    NoCertificate { path: PathBuf },
    #[error("`{path}` has no private key; one in it, or in `{beside}` beside it, would be right")]
    NoKey { path: PathBuf, beside: PathBuf },
    #[error(
        "the private key in `{path}` is encrypted, and nobody types a password here; convert it: openssl pkey -in {path} -out {path}.plain"
    )]
    EncryptedKey { path: PathBuf },
    #[error("`{path}` is not PEM: {what}; convert it: {command}")]
    OtherForm { path: PathBuf, what: &'static str, command: String },
    #[error("`{path}` is not readable as PEM: {what}")]
    BadPem { path: PathBuf, what: String },
    #[error("a certificate in `{path}` cannot be read: {what}")]
    BadCertificate { path: PathBuf, what: String },
    #[error(
        "the private key in `{path}` cannot be used: {what}; RSA from 2048 bits, ECDSA P-256, P-384 or Ed25519 would be right"
    )]
    BadKey { path: PathBuf, what: String },
    #[error("the private key in `{key}` is not that of the first certificate in `{path}`")]
    Mismatch { path: PathBuf, key: PathBuf },
    #[error(
        "the certificates in `{path}` are no chain: number {place} was not issued by number {next}; the server's own first and then each issuer would be right"
    )]
    BrokenChain { path: PathBuf, place: usize, next: usize },
    #[error("the certificate in `{path}` {what}")]
    OutOfDate { path: PathBuf, what: String },
    #[error("`{path}` has no issuer; a PEM file with BEGIN CERTIFICATE would be right")]
    NoIssuer { path: PathBuf },
    #[error("`{path}` has no revocation list; a PEM file with BEGIN X509 CRL would be right")]
    NoCrl { path: PathBuf },
    #[error("clients' certificates cannot be verified: {0}")]
    Verifier(String),
    #[error("none of the certificates can be used")]
    NothingLeft,
    #[error("versions, ciphers and key exchanges leave nothing to agree on: {0}")]
    Policy(String),
    #[error("`{0}` is not a name that a certificate can bear")]
    BadName(String),
}
