//! Reads certificates, keys and issuers from disk.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::model::{PortTls, ServerTls};
use crate::tls::{BackFiles, FileText, FrontFiles, IdentityFiles, TlsFault, is_companion, is_store};

use super::bounded::read_at_most;

/// Bytes of one file: thousands of issuers, or a chain of any sensible length.
const MAX_FILE: u64 = 4 << 20;

/// Certificates of one port. Each is parsed and held in memory.
const MAX_CERTIFICATES: usize = 10_000;

/// Directories inside directories: `live/shop.example/` of a client for automatic certificates.
const MAX_DEPTH: usize = 2;

/// Looks at files that change while they are read, before it is left to the next time.
const LOOKS: usize = 5;

/// Between two such looks.
const REST: std::time::Duration = std::time::Duration::from_millis(100);

/// Why certificates cannot be had. Each names the path that is at fault.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("`{path}` cannot be read")]
    Io { path: PathBuf, source: io::Error },
    #[error("`{path}` has more than {} MiB, which no certificate has", MAX_FILE >> 20)]
    TooLarge { path: PathBuf },
    #[error("`{path}` is neither a file nor a directory")]
    NotAFile { path: PathBuf },
    #[error("`{path}` has more than {MAX_CERTIFICATES} certificates")]
    TooMany { path: PathBuf },
    #[error("`{path}` has no certificates")]
    Empty { path: PathBuf },
    #[error("`{path}` changes while it is read; it is read again when it rests")]
    Restless { path: PathBuf },
    #[error(transparent)]
    Fault(#[from] TlsFault),
}

/// What tells one state of a file from another. Clocks of file systems tick every few milliseconds, and a renewed
/// certificate is often as long as the one before: a file that was put in the place of another shows by its number.
pub type Stamp = (PathBuf, Option<SystemTime>, u64, u64);

/// What a port's settings name, read while nothing of it changed. What cannot be read of a certificate is told beside;
/// issuers are all or nothing. Blocks on the disk.
pub fn read_front(settings: &PortTls) -> Result<(FrontFiles, Vec<CertificateError>), CertificateError> {
    let path = settings.certificates.first().cloned().unwrap_or_default();
    steadily(&path, || front_stamps(settings), || front_files(settings))
}

/// The same for what a server's settings name.
pub fn read_back(settings: &ServerTls) -> Result<BackFiles, CertificateError> {
    let path = settings.certificate.iter().chain(&settings.ca).next().cloned().unwrap_or_default();
    steadily(&path, || back_stamps(settings), || back_files(settings))
}

/// The state of all files that a port's settings name.
pub fn front_stamps(settings: &PortTls) -> BTreeSet<Stamp> {
    let issuers = settings.clients.issuers();
    let others = issuers.into_iter().flat_map(|issuers| [Some(&issuers.ca), issuers.crl.as_ref()]).flatten();
    stamps(settings.certificates.iter().chain(others))
}

/// The state of all files that a server's settings name.
pub fn back_stamps(settings: &ServerTls) -> BTreeSet<Stamp> {
    stamps(settings.certificate.iter().chain(&settings.ca))
}

/// Reads until the state before is the one after: somebody who replaces a certificate replaces its key a moment later.
fn steadily<T>(
    path: &Path,
    look: impl Fn() -> BTreeSet<Stamp>,
    read: impl Fn() -> Result<T, CertificateError>,
) -> Result<T, CertificateError> {
    for _ in 0..LOOKS {
        let before = look();
        let found = read();
        if look() == before {
            return found;
        }
        std::thread::sleep(REST);
    }
    Err(CertificateError::Restless { path: path.to_owned() })
}

fn front_files(settings: &PortTls) -> Result<(FrontFiles, Vec<CertificateError>), CertificateError> {
    let mut reading = Reading::default();
    for path in &settings.certificates {
        if let Err(error) = reading.named(path) {
            reading.faults.push(error);
        }
    }
    let issuers = settings.clients.issuers();
    let files = FrontFiles {
        identities: reading.identities,
        issuers: issuers.map(|issuers| read(&issuers.ca)).transpose()?,
        revocations: issuers.and_then(|issuers| issuers.crl.as_deref()).map(read).transpose()?,
    };
    Ok((files, reading.faults))
}

fn back_files(settings: &ServerTls) -> Result<BackFiles, CertificateError> {
    let identity = settings.certificate.as_deref().map(identity).transpose()?;
    Ok(BackFiles { issuers: settings.ca.as_deref().map(read).transpose()?, identity })
}

#[derive(Default)]
struct Reading {
    identities: Vec<IdentityFiles>,
    faults: Vec<CertificateError>,
}

impl Reading {
    /// What an operator named: it has to be there and to have certificates.
    fn named(&mut self, path: &Path) -> Result<(), CertificateError> {
        let kind = fs::metadata(path).map_err(|source| io_error(path, source))?;
        if kind.is_file() {
            return self.take(identity(path)?);
        }
        if !kind.is_dir() {
            return Err(CertificateError::NotAFile { path: path.to_owned() });
        }
        let before = self.identities.len() + self.faults.len();
        self.directory(path, MAX_DEPTH)?;
        if self.identities.len() + self.faults.len() == before {
            return Err(CertificateError::Empty { path: path.to_owned() });
        }
        Ok(())
    }

    /// In the order of their names, so that the first one is the same on every machine.
    fn directory(&mut self, directory: &Path, depth: usize) -> Result<(), CertificateError> {
        let entries = fs::read_dir(directory).map_err(|source| io_error(directory, source))?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().map_err(|source| io_error(directory, source))?;
        paths.sort();
        if let Some(pair) = of_automatic_client(directory, &paths) {
            return self.take(pair?);
        }
        for path in paths {
            if let Err(error) = self.entry(&path, depth) {
                self.faults.push(error);
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, depth: usize) -> Result<(), CertificateError> {
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden || is_companion(path) {
            return Ok(());
        }
        let kind = fs::metadata(path).map_err(|source| io_error(path, source))?;
        if kind.is_dir() {
            return if depth > 0 { self.directory(path, depth - 1) } else { Ok(()) };
        }
        if !kind.is_file() {
            return Ok(());
        }
        // A README may lie there; a store of keys is somebody's mistake.
        let files = identity(path)?;
        if files.chain.has_certificate() || is_store(path) { self.take(files) } else { Ok(()) }
    }

    fn take(&mut self, files: IdentityFiles) -> Result<(), CertificateError> {
        if self.identities.len() == MAX_CERTIFICATES {
            return Err(CertificateError::TooMany { path: files.chain.path });
        }
        self.identities.push(files);
        Ok(())
    }
}

/// `fullchain.pem` with `privkey.pem`, as clients for automatic certificates leave them beside other files.
fn of_automatic_client(directory: &Path, paths: &[PathBuf]) -> Option<Result<IdentityFiles, CertificateError>> {
    let [chain, key] = ["fullchain.pem", "privkey.pem"].map(|name| directory.join(name));
    if !paths.contains(&chain) || !paths.contains(&key) {
        return None;
    }
    let files = || Ok(IdentityFiles { ocsp: beside(&chain, "ocsp")?, key: Some(read(&key)?), chain: read(&chain)? });
    Some(files())
}

/// A certificate with what lies beside it: `NAME.key`, and `NAME.ocsp` or `NAME.pem.ocsp`.
fn identity(path: &Path) -> Result<IdentityFiles, CertificateError> {
    let chain = read(path)?;
    let key = path.with_extension("key");
    let key = if key != path && key.exists() { Some(read(&key)?) } else { None };
    Ok(IdentityFiles { ocsp: beside(path, "ocsp")?, key, chain })
}

/// `shop.pem.ocsp` of `shop.pem`.
fn longer(path: &Path, ending: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(".");
    longer.push(ending);
    longer.into()
}

fn beside(path: &Path, ending: &str) -> Result<Option<Vec<u8>>, CertificateError> {
    let found = [path.with_extension(ending), longer(path, ending)].into_iter().find(|path| path.exists());
    Ok(found.map(|path| read(&path)).transpose()?.map(|file| file.bytes))
}

fn read(path: &Path) -> Result<FileText, CertificateError> {
    // A pipe is opened without its writer, who may never come, and then refused like all that is no file.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|source| io_error(path, source))?;
    if !file.metadata().map_err(|source| io_error(path, source))?.is_file() {
        return Err(CertificateError::NotAFile { path: path.to_owned() });
    }
    match read_at_most(file, MAX_FILE).map_err(|source| io_error(path, source))? {
        Some(bytes) => Ok(FileText { path: path.to_owned(), bytes }),
        None => Err(CertificateError::TooLarge { path: path.to_owned() }),
    }
}

fn stamps<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<Stamp> {
    let mut stamps = BTreeSet::new();
    for path in paths {
        // Its own entries, and those of directories as deep as they are read.
        stamp(path, MAX_DEPTH + 1, &mut stamps);
        for beside in [path.with_extension("key"), path.with_extension("ocsp"), longer(path, "ocsp")] {
            stamp(&beside, 0, &mut stamps);
        }
    }
    stamps
}

/// Of a link what it leads to counts: certificates are renewed by turning a link over.
fn stamp(path: &Path, depth: usize, stamps: &mut BTreeSet<Stamp>) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_file() {
        stamps.insert((path.to_owned(), metadata.modified().ok(), metadata.len(), metadata.ino()));
        return;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|_| depth > 0).for_each(|entry| stamp(&entry.path(), depth - 1, stamps));
}

fn io_error(path: &Path, source: io::Error) -> CertificateError {
    CertificateError::Io { path: path.to_owned(), source }
}
