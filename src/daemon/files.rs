//! Configuration files and saved states on the disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use crate::config::{Document, Faults, import};

use super::bounded::read_at_most;

/// A configuration of the size limits of the model, fully written out, is about 30 MB; anything larger is a mistake.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is larger than {MAX_FILE} bytes; that is no configuration", path = .path.display())]
    TooLarge { path: PathBuf },
    #[error("{path} is not text in UTF-8 (a plugin-cfg.xml may be in ISO-8859-1, if it says so)", path = .path.display())]
    NotText { path: PathBuf },
    #[error("{0}")]
    Faults(#[from] Faults),
}

/// Reads text, never more than a configuration may have.
pub fn read(path: &Path) -> Result<String, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    let content = read_at_most(file, MAX_FILE).map_err(failed)?;
    let content = content.ok_or_else(|| LoadError::TooLarge { path: path.to_owned() })?;
    let latin1 = |error: FromUtf8Error| import::latin1(error.as_bytes());
    String::from_utf8(content)
        .or_else(|error| latin1(error).ok_or_else(|| LoadError::NotText { path: path.to_owned() }))
}

/// Reads and parses these files, each laid on top of the ones before it.
pub fn load(paths: &[PathBuf]) -> Result<Document, LoadError> {
    paths.iter().try_fold(Document::default(), |document, path| {
        let text = read(path)?;
        Ok(document.append(&text, &path.to_string_lossy())?)
    })
}

/// Names of the configuration files of a directory, for `file report`: those that could be loaded.
pub fn list(directory: &Path) -> io::Result<Vec<(String, fs::Metadata)>> {
    let mut files: Vec<(String, fs::Metadata)> = fs::read_dir(directory)?
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.metadata().ok()?)))
        .filter(|(name, metadata)| metadata.is_file() && !name.starts_with('.'))
        .take(MAX_LISTED)
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}

/// A directory of configurations has a few files; a listing of more helps nobody.
const MAX_LISTED: usize = 1_000;
