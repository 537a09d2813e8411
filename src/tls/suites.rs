//! Operators' words for versions, ciphers and key exchanges as rustls has them.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::model::{CipherSuite, KeyExchange, TlsPolicy, TlsVersion};

/// What we agree to where nothing is said.
pub(super) fn all() -> CryptoProvider {
    provider_of(&TlsPolicy::default())
}

/// The same, to be shared.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(all())
}

/// What a policy agrees to.
pub(super) fn provider_of(policy: &TlsPolicy) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if !policy.ciphers.is_empty() {
        provider.cipher_suites = policy.ciphers.iter().map(|&suite| cipher(suite)).collect();
    }
    // The hybrid first: who records connections today may be able to open the others some day.
    let groups = if policy.groups.is_empty() { &KeyExchange::ALL[..] } else { &policy.groups };
    provider.kx_groups = groups.iter().map(|&group| exchange(group)).collect();
    provider
}

pub(super) fn versions(policy: &TlsPolicy) -> Vec<&'static SupportedProtocolVersion> {
    let wanted = if policy.versions.is_empty() { &TlsVersion::ALL[..] } else { &policy.versions };
    let version = |version: &TlsVersion| match version {
        TlsVersion::V12 => &TLS12,
        TlsVersion::V13 => &TLS13,
    };
    wanted.iter().map(version).collect()
}

fn cipher(suite: CipherSuite) -> SupportedCipherSuite {
    match suite {
        CipherSuite::Aes256GcmSha384 => cipher_suite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::Aes128GcmSha256 => cipher_suite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::Chacha20Poly1305Sha256 => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        CipherSuite::EcdheEcdsaAes256GcmSha384 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdheEcdsaAes128GcmSha256 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdheEcdsaChacha20Poly1305Sha256 => cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::EcdheRsaAes256GcmSha384 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdheRsaAes128GcmSha256 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdheRsaChacha20Poly1305Sha256 => cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn exchange(group: KeyExchange) -> &'static dyn SupportedKxGroup {
    match group {
        KeyExchange::X25519MlKem768 => kx_group::X25519MLKEM768,
        KeyExchange::X25519 => kx_group::X25519,
        KeyExchange::Secp256r1 => kx_group::SECP256R1,
        KeyExchange::Secp384r1 => kx_group::SECP384R1,
    }
}
