//! Reads a sorry site from disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::message::{MAX_SORRY_BYTES, MAX_SORRY_FILES, SorrySite, SorrySiteError};
use crate::model::SorryPage;

use super::bounded::read_at_most;

/// Directories inside directories. A link back into its own directory ends here.
const MAX_DEPTH: usize = 16;

/// Why a port's sorry site cannot be had. Each names the path that is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ReadSorryError {
    #[error("sorry page `{path}` cannot be read")]
    Io { path: PathBuf, source: io::Error },
    #[error("sorry page `{path}` is neither a file nor a directory")]
    NotAFile { path: PathBuf },
    #[error("sorry page `{path}` links to `{target}`, outside of its directory")]
    LinkOut { path: PathBuf, target: PathBuf },
    #[error("sorry page `{path}` has a name that is not UTF-8")]
    NotUtf8 { path: PathBuf },
    #[error("sorry page `{path}` is more than {MAX_DEPTH} directories deep")]
    TooDeep { path: PathBuf },
    #[error("sorry page `{path}`")]
    Site { path: PathBuf, source: SorrySiteError },
}

/// Reads what `settings` name: a file, a directory with all below it, or nothing for the built-in page. Hidden files
/// (`.git`, `.swp`) stay out, and so does what a link reaches outside. Blocks on the disk.
pub fn read_sorry_site(settings: &SorryPage) -> Result<SorrySite, ReadSorryError> {
    let site = read_pages(settings)?;
    let Some(directory) = &settings.errors else { return Ok(site) };
    let root = fs::canonicalize(directory).map_err(|source| io_error(directory, source))?;
    let mut reading = Reading { files: Vec::new(), bytes: 0, root: root.clone() };
    reading.directory(&root, "", MAX_DEPTH)?;
    site.with_errors(reading.files, settings).map_err(|source| site_error(directory, source))
}

fn read_pages(settings: &SorryPage) -> Result<SorrySite, ReadSorryError> {
    let Some(path) = &settings.path else {
        return SorrySite::built_in(settings).map_err(|source| site_error(Path::new("built-in"), source));
    };
    // The operator's own path may be a link; what counts is where it leads.
    let root = fs::canonicalize(path).map_err(|source| io_error(path, source))?;
    let kind = fs::metadata(&root).map_err(|source| io_error(path, source))?;
    let site = if kind.is_dir() {
        let mut reading = Reading { files: Vec::new(), bytes: 0, root: root.clone() };
        reading.directory(&root, "", 0)?;
        SorrySite::directory(reading.files, settings)
    } else if kind.is_file() {
        let bytes = read_file(path, MAX_SORRY_BYTES)?;
        SorrySite::file(&path.to_string_lossy(), bytes, settings)
    } else {
        return Err(ReadSorryError::NotAFile { path: path.clone() });
    };
    site.map_err(|source| site_error(path, source))
}

/// A directory half read.
struct Reading {
    root: PathBuf,
    files: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl Reading {
    /// `prefix` is the path of `directory` below the root, with a slash at its end unless empty.
    fn directory(&mut self, directory: &Path, prefix: &str, depth: usize) -> Result<(), ReadSorryError> {
        if depth > MAX_DEPTH {
            return Err(ReadSorryError::TooDeep { path: directory.to_owned() });
        }
        for entry in fs::read_dir(directory).map_err(|source| io_error(directory, source))? {
            let path = entry.map_err(|source| io_error(directory, source))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(ReadSorryError::NotUtf8 { path });
            };
            if !name.starts_with('.') {
                let relative = format!("{prefix}{name}");
                self.entry(&path, relative, depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, relative: String, depth: usize) -> Result<(), ReadSorryError> {
        let target = fs::canonicalize(path).map_err(|source| io_error(path, source))?;
        if !target.starts_with(&self.root) {
            return Err(ReadSorryError::LinkOut { path: path.to_owned(), target });
        }
        let kind = fs::metadata(&target).map_err(|source| io_error(path, source))?;
        if kind.is_dir() {
            return self.directory(path, &format!("{relative}/"), depth + 1);
        }
        // A pipe would keep us waiting for ever.
        if !kind.is_file() {
            return Err(ReadSorryError::NotAFile { path: path.to_owned() });
        }
        self.file(path, relative)
    }

    /// Stops at the site's bounds, so that a wrong directory is not read into memory first.
    fn file(&mut self, path: &Path, relative: String) -> Result<(), ReadSorryError> {
        if self.files.len() == MAX_SORRY_FILES {
            return Err(site_error(path, SorrySiteError::TooManyFiles));
        }
        let bytes = read_file(path, MAX_SORRY_BYTES - self.bytes)?;
        self.bytes += bytes.len();
        self.files.push((relative, bytes));
        Ok(())
    }
}

/// The whole file, if it has no more than `most` bytes.
fn read_file(path: &Path, most: usize) -> Result<Vec<u8>, ReadSorryError> {
    let read = File::open(path).and_then(|file| read_at_most(file, most as u64));
    read.map_err(|source| io_error(path, source))?.ok_or_else(|| site_error(path, SorrySiteError::TooLarge))
}

fn io_error(path: &Path, source: io::Error) -> ReadSorryError {
    ReadSorryError::Io { path: path.to_owned(), source }
}

fn site_error(path: &Path, source: SorrySiteError) -> ReadSorryError {
    ReadSorryError::Site { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use http::Method;
    use tempfile::TempDir;

    use super::*;
    use crate::message::ErrorReason;

    fn read(path: &Path) -> Result<SorrySite, ReadSorryError> {
        read_sorry_site(&SorryPage {
            path: Some(path.to_owned()),
            errors: None,
            status: 503,
            retry_after: 30,
            cache_control: "no-store".to_owned(),
        })
    }

    fn body(site: &SorrySite, path: &str) -> Vec<u8> {
        site.answer(ErrorReason::NoServer, &Method::GET, path).body().to_vec()
    }

    fn directory(files: &[(&str, &str)]) -> TempDir {
        let directory = TempDir::new().expect("a directory");
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("below the directory")).expect("made");
            fs::write(path, text).expect("written");
        }
        directory
    }

    #[test]
    fn a_directory_with_all_below_it() {
        let directory =
            directory(&[("index.html", "index"), ("img/a.png", "a"), ("img/deep/b.png", "b"), (".x", "no")]);
        symlink("img/a.png", directory.path().join("link.png")).expect("linked");
        let site = read(directory.path()).expect("a site");
        for (path, text) in
            [("/", "index"), ("/img/a.png", "a"), ("/img/deep/b.png", "b"), ("/link.png", "a"), ("/.x", "index")]
        {
            assert_eq!(body(&site, path), text.as_bytes(), "{path}");
        }
    }

    #[test]
    fn a_file_and_a_link_to_it() {
        let directory = directory(&[("sorry.html", "sorry")]);
        let link = directory.path().join("current.html");
        symlink("sorry.html", &link).expect("linked");
        assert_eq!(body(&read(&link).expect("a site"), "/any"), b"sorry");
    }

    #[test]
    fn nothing_configured_is_the_built_in_page() {
        let settings =
            SorryPage { path: None, errors: None, status: 503, retry_after: 0, cache_control: String::new() };
        assert!(read_sorry_site(&settings).is_ok());
    }

    #[test]
    fn faults_name_their_path() {
        let outside = directory(&[("secret", "secret")]);
        let links_out = directory(&[("index.html", "index")]);
        symlink(outside.path().join("secret"), links_out.path().join("x.png")).expect("linked");
        assert!(matches!(read(links_out.path()), Err(ReadSorryError::LinkOut { path, .. }) if path.ends_with("x.png")));

        let dangling = directory(&[("index.html", "index")]);
        symlink("nowhere", dangling.path().join("x.png")).expect("linked");
        assert!(matches!(read(dangling.path()), Err(ReadSorryError::Io { path, .. }) if path.ends_with("x.png")));

        let looping = directory(&[("index.html", "index")]);
        symlink(".", looping.path().join("again")).expect("linked");
        assert!(read(looping.path()).is_err());

        let missing = outside.path().join("missing");
        assert!(matches!(read(&missing), Err(ReadSorryError::Io { path, .. }) if path == missing));
        assert!(matches!(read(outside.path()), Err(ReadSorryError::Site { source: SorrySiteError::NoIndex, .. })));
        assert!(matches!(read(Path::new("/dev/null")), Err(ReadSorryError::NotAFile { .. })));
    }

    #[test]
    fn a_wrong_directory_is_not_read_whole() {
        let many = TempDir::new().expect("a directory");
        for number in 0..=MAX_SORRY_FILES {
            fs::write(many.path().join(number.to_string()), "").expect("written");
        }
        assert!(matches!(read(many.path()), Err(ReadSorryError::Site { source: SorrySiteError::TooManyFiles, .. })));
        let large = directory(&[("index.html", "")]);
        let file = File::create(large.path().join("large")).expect("made");
        file.set_len(1 << 40).expect("sparse");
        assert!(matches!(read(large.path()), Err(ReadSorryError::Site { source: SorrySiteError::TooLarge, .. })));
    }
}
