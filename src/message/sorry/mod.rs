//! The sorry site: what a port answers itself when no server can.
//!
//! A site is a value in memory: one file for every URL, or the files of a directory as themselves and its `index.html` for
//! every other URL, or a short built-in page. Reading it from disk is the daemon's business.

mod media;

use std::collections::HashMap;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};

use super::reason::{ErrorReason, TSUJI_ERROR};
use crate::model::SorryPage;
use media::{Media, content_type};

/// Bytes of a site, which stay in memory. Enough for a page with pictures and fonts.
pub const MAX_SORRY_BYTES: usize = 16 * 1024 * 1024;
/// Files of a site. More is a web site, which wants a server.
pub const MAX_SORRY_FILES: usize = 256;

/// The page of a directory for every URL that is not one of its files. A link in it to a picture should begin with `/`,
/// because the page appears under every URL.
const INDEX: &str = "index.html";

const BUILT_IN: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Service unavailable</title>\n\
<h1>Service unavailable</h1>\n<p>Sorry, this service cannot answer at the moment. Please try again later.</p>\n</html>\n";

/// Content and head fields, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct SorrySite {
    page: Content,
    /// By path below the root without its leading slash, exactly as in the directory.
    files: HashMap<Box<[u8]>, Content>,
    /// Bytes of the longest key; a longer path names none of them.
    longest_path: usize,
    /// Pages for errors, by reason, status or class.
    errors: HashMap<Box<str>, Content>,
    status: StatusCode,
    retry_after: Option<HeaderValue>,
    cache_control: Option<HeaderValue>,
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
struct Content {
    bytes: Bytes,
    length: HeaderValue,
    content_type: HeaderValue,
    media: Media,
}

/// Why there is no such site.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SorrySiteError {
    #[error("sorry status {0} cannot carry a page; 503 would be right")]
    Status(u16),
    #[error("`{0}` cannot be the value of cache-control")]
    CacheControl(String),
    #[error("there is no {INDEX} to answer other URLs with")]
    NoIndex,
    #[error("`{0}` is not a plain relative path")]
    Path(String),
    #[error(
        "`{0}` is a page for no error; names are those of a reason, a status from 400 to 599, 4xx or 5xx, with .html"
    )]
    NoSuchError(String),
    #[error("there are more than {MAX_SORRY_FILES} files")]
    TooManyFiles,
    #[error("the files have more than {MAX_SORRY_BYTES} bytes together")]
    TooLarge,
}

impl SorrySite {
    /// The short page for those who configured none.
    pub fn built_in(settings: &SorryPage) -> Result<Self, SorrySiteError> {
        Self::around(Content::new(INDEX, BUILT_IN.as_bytes().to_vec()), settings)
    }

    /// One file for every URL; its type goes by the ending of `name`.
    pub fn file(name: &str, bytes: Vec<u8>, settings: &SorryPage) -> Result<Self, SorrySiteError> {
        if bytes.len() > MAX_SORRY_BYTES {
            return Err(SorrySiteError::TooLarge);
        }
        Self::around(Content::new(name, bytes), settings)
    }

    /// A directory's files by their paths below it, with `/` between the parts; `index.html` must be among them.
    pub fn directory(files: Vec<(String, Vec<u8>)>, settings: &SorryPage) -> Result<Self, SorrySiteError> {
        check_bounds(&files)?;
        let mut contents = HashMap::with_capacity(files.len());
        for (path, bytes) in files {
            if !is_plain_path(&path) {
                return Err(SorrySiteError::Path(path));
            }
            let content = Content::new(&path, bytes);
            contents.insert(path.into_bytes().into_boxed_slice(), content);
        }
        let index = contents.get(INDEX.as_bytes()).cloned().ok_or(SorrySiteError::NoIndex)?;
        let longest_path = contents.keys().map(|path| path.len()).max().unwrap_or(0);
        Ok(Self { files: contents, longest_path, ..Self::around(index, settings)? })
    }

    fn around(page: Content, settings: &SorryPage) -> Result<Self, SorrySiteError> {
        let cache_control = match settings.cache_control.as_str() {
            "" => None,
            text => Some(HeaderValue::from_str(text).map_err(|_| SorrySiteError::CacheControl(text.to_owned()))?),
        };
        Ok(Self {
            page,
            files: HashMap::new(),
            longest_path: 0,
            errors: HashMap::new(),
            status: page_status(settings.status)?,
            retry_after: (settings.retry_after > 0).then(|| HeaderValue::from(settings.retry_after)),
            cache_control,
        })
    }

    /// With pages for errors, by their file names. Without a sorry page of its own, the one for its status is it.
    pub fn with_errors(mut self, files: Vec<(String, Vec<u8>)>, settings: &SorryPage) -> Result<Self, SorrySiteError> {
        check_bounds(&files)?;
        for (name, bytes) in files {
            let stem = name.strip_suffix(".html").filter(|stem| is_error(stem));
            let stem = stem.ok_or_else(|| SorrySiteError::NoSuchError(name.clone()))?;
            self.errors.insert(stem.into(), Content::new(&name, bytes));
        }
        if settings.path.is_none()
            && let Some(page) = self.error_page(ErrorReason::NoServer)
        {
            self.page = page.clone();
        }
        Ok(self)
    }

    /// The answer to a request that failed for `reason` and is not one for the sorry page.
    pub fn error(&self, reason: ErrorReason, method: &Method) -> Response<Bytes> {
        let mut response = reason.answer(method);
        if let Some(page) = self.error_page(reason) {
            if method != Method::HEAD {
                *response.body_mut() = page.bytes.clone();
            }
            response.headers_mut().insert(CONTENT_TYPE, page.content_type.clone());
            response.headers_mut().insert(CONTENT_LENGTH, page.length.clone());
        }
        response
    }

    /// By reason, else by status, else by class.
    fn error_page(&self, reason: ErrorReason) -> Option<&Content> {
        if self.errors.is_empty() {
            return None;
        }
        let status = reason.status();
        let class = if status.is_client_error() { "4xx" } else { "5xx" };
        [reason.word(), status.as_str(), class].into_iter().find_map(|name| self.errors.get(name))
    }

    /// The answer to a request for `path` (as it stands in the request target, without the query) that failed for
    /// `reason`. A HEAD gets the head alone.
    pub fn answer(&self, reason: ErrorReason, method: &Method, path: &str) -> Response<Bytes> {
        let (content, status) = self.choose(method, path);
        let bytes = if method == Method::HEAD { Bytes::new() } else { content.bytes.clone() };
        let mut response = Response::new(bytes);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content.content_type.clone());
        headers.insert(CONTENT_LENGTH, content.length.clone());
        headers.insert(TSUJI_ERROR, reason.header_value());
        // A picture here may stand at the URL of another picture of the real site, so caches keep neither.
        if let Some(cache_control) = &self.cache_control {
            headers.insert(CACHE_CONTROL, cache_control.clone());
        }
        if let Some(retry_after) = self.retry_after.as_ref().filter(|_| status == self.status) {
            headers.insert(RETRY_AFTER, retry_after.clone());
        }
        if reason.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Only who wants to see a picture gets it with 200: a POST to its URL was not done.
    fn choose(&self, method: &Method, path: &str) -> (&Content, StatusCode) {
        let is_reading = matches!(*method, Method::GET | Method::HEAD);
        match self.find(path).filter(|_| is_reading) {
            Some(content) if content.media == Media::Part => (content, StatusCode::OK),
            Some(content) => (content, self.status),
            None => (&self.page, self.status),
        }
    }

    /// The file with exactly this path. Nothing else can be reached: the paths are keys, not names in a file system.
    fn find(&self, path: &str) -> Option<&Content> {
        if self.files.is_empty() {
            return None;
        }
        let path = path.strip_prefix('/')?;
        if !path.contains('%') {
            return self.files.get(path.as_bytes());
        }
        self.files.get(decode(path.as_bytes(), self.longest_path)?.as_slice())
    }
}

impl Content {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        let (content_type, media) = content_type(name, &bytes);
        Self { length: HeaderValue::from(bytes.len()), bytes: bytes.into(), content_type, media }
    }
}

fn is_error(name: &str) -> bool {
    let is_status = name.parse::<u16>().is_ok_and(|status| (400..600).contains(&status)) && name.len() == 3;
    is_status || matches!(name, "4xx" | "5xx") || ErrorReason::ALL.iter().any(|reason| reason.word() == name)
}

fn check_bounds(files: &[(String, Vec<u8>)]) -> Result<(), SorrySiteError> {
    if files.len() > MAX_SORRY_FILES {
        return Err(SorrySiteError::TooManyFiles);
    }
    let bytes = files.iter().fold(0usize, |sum, (_, bytes)| sum.saturating_add(bytes.len()));
    if bytes > MAX_SORRY_BYTES { Err(SorrySiteError::TooLarge) } else { Ok(()) }
}

/// A final status whose response has a body.
fn page_status(status: u16) -> Result<StatusCode, SorrySiteError> {
    let has_page =
        |status: &StatusCode| (200..600).contains(&status.as_u16()) && !matches!(status.as_u16(), 204 | 205 | 304);
    StatusCode::from_u16(status).ok().filter(has_page).ok_or(SorrySiteError::Status(status))
}

fn is_plain_path(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\\']))
}

/// Percent signs decoded, for the look-up only. `None`: broken, or longer than `most` bytes.
fn decode(path: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(most);
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        if decoded.len() == most {
            return None;
        }
        rest = after;
        decoded.push(match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                hex(*high)? << 4 | hex(*low)?
            }
            (b'%', _) => return None,
            _ => *byte,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests;
