//! Files of certificates and keys: PEM, and what else operators have.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::fault::TlsFault;

/// A file that was read.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct FileText {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

/// Its bytes may be a key.
impl std::fmt::Debug for FileText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileText").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Endings of files that lie beside a certificate and are read with it.
const COMPANIONS: [&str; 2] = ["key", "ocsp"];

/// Stores of other programs, which have to be converted.
const STORES: [&str; 6] = ["p12", "pfx", "kdb", "jks", "sth", "rdb"];

/// Whether a file of this name belongs to a certificate beside it.
pub fn is_companion(path: &Path) -> bool {
    has_ending(path, &COMPANIONS)
}

/// Whether a file of this name is another program's store of keys.
pub fn is_store(path: &Path) -> bool {
    has_ending(path, &STORES)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    endings.iter().any(|one| one.eq_ignore_ascii_case(ending))
}

impl FileText {
    /// The certificates, in their order.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
        self.is_pem()?;
        CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<_, _>>().map_err(|error| self.bad_pem(&error))
    }

    /// The first private key. `None`: it has none.
    pub fn key(&self) -> Result<Option<PrivateKeyDer<'static>>, TlsFault> {
        self.is_pem()?;
        if has(&self.bytes, b"BEGIN ENCRYPTED PRIVATE KEY") || has(&self.bytes, b"Proc-Type: 4,ENCRYPTED") {
            return Err(TlsFault::EncryptedKey { path: self.path.clone() });
        }
        match PrivateKeyDer::from_pem_slice(&self.bytes) {
            Ok(key) => Ok(Some(key)),
            Err(rustls::pki_types::pem::Error::NoItemsFound) => Ok(None),
            Err(error) => Err(self.bad_pem(&error)),
        }
    }

    pub(super) fn revocations(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsFault> {
        self.is_pem()?;
        let lists = CertificateRevocationListDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>();
        lists.map_err(|error| self.bad_pem(&error))
    }

    /// Whether there is a section of this kind; for directories in which other things lie as well.
    pub fn has_certificate(&self) -> bool {
        let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(&self.bytes);
        sections.flatten().any(|(kind, _)| kind == SectionKind::Certificate)
    }

    fn bad_pem(&self, error: &dyn std::fmt::Display) -> TlsFault {
        TlsFault::BadPem { path: self.path.clone(), what: error.to_string() }
    }

    /// Names what is no PEM, with the command that makes it so.
    fn is_pem(&self) -> Result<(), TlsFault> {
        let path = self.path.clone();
        let shown = self.path.display();
        let ending = self.path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        if has(&self.bytes, b"-----BEGIN ") {
            return Ok(());
        }
        if matches!(&*ending, "kdb" | "sth" | "rdb") {
            let command = format!(
                "gskcapicmd -cert -export -db {shown} -stashed -label LABEL -target {shown}.p12 -target_type pkcs12, then openssl pkcs12 -in {shown}.p12 -noenc -out {shown}.pem"
            );
            return Err(TlsFault::OtherForm { path, what: "a key database of IBM's", command });
        }
        if ending == "jks" || self.bytes.starts_with(&[0xFE, 0xED, 0xFE, 0xED]) {
            let command = format!(
                "keytool -importkeystore -srckeystore {shown} -destkeystore {shown}.p12 -deststoretype pkcs12, then openssl pkcs12 -in {shown}.p12 -noenc -out {shown}.pem"
            );
            return Err(TlsFault::OtherForm { path, what: "a Java key store", command });
        }
        if matches!(&*ending, "p12" | "pfx") || is_pkcs12(&self.bytes) {
            let command = format!("openssl pkcs12 -in {shown} -noenc -out {shown}.pem");
            return Err(TlsFault::OtherForm { path, what: "a PKCS#12 store", command });
        }
        if self.bytes.first() == Some(&0x30) {
            let command = format!("openssl x509 -inform der -in {shown} -out {shown}.pem");
            return Err(TlsFault::OtherForm { path, what: "DER", command });
        }
        Ok(())
    }
}

/// A sequence that begins with version 3 (RFC 7292 4).
fn is_pkcs12(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x82, _, _, 0x02, 0x01, 0x03, ..] | [0x30, 0x80, 0x02, 0x01, 0x03, ..])
}

fn has(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &[u8]) -> FileText {
        FileText { path: name.into(), bytes: bytes.to_vec() }
    }

    #[test]
    fn other_forms_are_named_with_the_command_that_converts_them() {
        let cases: [(&str, &[u8], &str); 6] = [
            ("a.p12", b"", "openssl pkcs12 -in a.p12 -noenc -out a.p12.pem"),
            ("a.pem", &[0x30, 0x82, 1, 2, 0x02, 0x01, 0x03, 0], "a PKCS#12 store"),
            ("key.kdb", b"\0\0", "gskcapicmd"),
            ("a.jks", b"", "keytool"),
            ("a", &[0xFE, 0xED, 0xFE, 0xED, 0], "a Java key store"),
            ("a.crt", &[0x30, 0x82, 1, 2, 0x30, 0x82], "openssl x509 -inform der"),
        ];
        for (name, bytes, said) in cases {
            let told = file(name, bytes).certificates().unwrap_err().to_string();
            assert!(told.contains(said), "{told}");
        }
    }

    #[test]
    fn an_encrypted_key_is_named() {
        for text in
            ["-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"]
        {
            let told = file("a.key", text.as_bytes()).key().unwrap_err();
            assert_eq!(told, TlsFault::EncryptedKey { path: "a.key".into() });
        }
    }

    #[test]
    fn bytes_are_not_shown() {
        assert!(!format!("{:?}", file("a", b"secret")).contains("115"));
    }
}
