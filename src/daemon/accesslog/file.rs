//! One access log on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::Figures;

/// Why an access log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("access log `{path}` cannot be opened")]
    Io { path: PathBuf, source: io::Error },
    #[error("access log `{path}` is neither a file nor a terminal")]
    NotAFile { path: PathBuf },
}

/// One file, with the lines that wait to be written.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    /// Whole lines, and how many.
    pub out: Vec<u8>,
    pub lines: u64,
    /// Bytes in the file.
    size: u64,
    /// The file ends in the middle of a line.
    torn: bool,
    /// Lines dropped since the file could not be written.
    trouble: Option<u64>,
    /// Not before this is the file opened again.
    retry: Option<Instant>,
    /// Not before this is it turned over again.
    turn: Option<Instant>,
}

/// When a file is turned over, and what is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// 0: never.
    pub size: u64,
    pub keep: u32,
}

/// Between two attempts at a file that cannot be opened or turned over.
const RETRY: Duration = Duration::from_secs(1);

/// What clients ask for is nobody's business but the group's.
const MODE: u32 = 0o640;

impl LogFile {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            out: Vec::new(),
            lines: 0,
            size: 0,
            torn: false,
            trouble: None,
            retry: None,
            turn: None,
        }
    }

    /// Takes a file that was opened for it.
    pub fn take(&mut self, file: File) {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        self.torn &= size > 0;
        (self.size, self.file, self.retry) = (size, Some(file), None);
    }

    /// The file was moved away, or is not needed for the moment. Whoever wants it opens it.
    pub fn close(&mut self) {
        (self.file, self.retry) = (None, None);
    }

    /// No port writes to it any more. What comes late opens it again.
    pub fn leave(&mut self, figures: &Figures) {
        self.close();
        self.trouble = None;
        figures.trouble.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }

    /// Opens the file now, so that it is there for whoever looks, and trouble is told.
    pub fn want(&mut self, now: Instant, figures: &Figures) {
        let _told = self.ready(now, figures);
    }

    /// Opens the file if it is time to try that again.
    pub fn retry(&mut self, now: Instant, figures: &Figures) {
        if self.trouble.is_some() && self.file.is_none() {
            let _told = self.ready(now, figures);
        }
    }

    /// Writes the lines that wait; they are gone whether that went well or not.
    pub fn flush(&mut self, limits: Limits, now: Instant, figures: &Figures) {
        if self.out.is_empty() {
            return;
        }
        if limits.size > 0 && self.size > 0 && self.size + self.out.len() as u64 > limits.size {
            self.turn_over(limits.keep, now);
        }
        let written = if self.ready(now, figures) { self.write(figures) } else { 0 };
        let done = if written == self.out.len() { self.lines } else { lines_in(self.out.get(..written)) };
        let lost = self.lines.saturating_sub(done);
        figures.lines.fetch_add(done, Ordering::Relaxed);
        if lost > 0 {
            figures.dropped.fetch_add(lost, Ordering::Relaxed);
            *self.trouble.get_or_insert(0) += lost;
        }
        self.out.clear();
        self.lines = 0;
    }

    /// Bytes that got into the file.
    fn write(&mut self, figures: &Figures) -> usize {
        let Some(file) = &mut self.file else { return 0 };
        let mut written = 0;
        let mut fault = None;
        if self.torn {
            // What was lost in the middle of a line must not make one of the next.
            fault = file.write_all(b"\n").err();
            self.torn = fault.is_some();
        }
        while let (None, Some(rest)) = (&fault, self.out.get(written..).filter(|rest| !rest.is_empty())) {
            match file.write(rest) {
                Ok(0) => fault = Some(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => fault = Some(error),
            }
        }
        self.size += written as u64;
        figures.bytes.fetch_add(written as u64, Ordering::Relaxed);
        match fault {
            None => self.well(figures),
            Some(error) => {
                self.torn |= written > 0 && self.out.get(written - 1) != Some(&b'\n');
                self.failed(&format!("access log {} cannot be written: {error}", self.path.display()), figures);
            }
        }
        written
    }

    /// Whether there is a file to write to. One that was deleted is begun anew.
    fn ready(&mut self, now: Instant, figures: &Figures) -> bool {
        let is_gone = |file: &File| file.metadata().is_ok_and(|metadata| metadata.nlink() == 0 && metadata.is_file());
        if self.file.as_ref().is_some_and(is_gone) {
            self.close();
        }
        if self.file.is_some() {
            return true;
        }
        if self.retry.is_some_and(|retry| now < retry) {
            return false;
        }
        match open(&self.path) {
            Ok(file) => {
                self.take(file);
                if self.out.is_empty() {
                    self.well(figures);
                }
                true
            }
            Err(error) => {
                self.retry = now.checked_add(RETRY);
                self.failed(&crate::daemon::chain(&error), figures);
                false
            }
        }
    }

    /// Once for each episode.
    fn failed(&mut self, what: &str, figures: &Figures) {
        figures.errors.fetch_add(1, Ordering::Relaxed);
        if self.trouble.is_none() {
            self.trouble = Some(0);
            tracing::error!(target: "tsuji::state", "{what}; its lines are dropped until it can");
        }
        let mut trouble = figures.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.insert(self.path.clone(), what.to_owned());
    }

    fn well(&mut self, figures: &Figures) {
        if let Some(dropped) = self.trouble.take() {
            let path = self.path.display();
            tracing::info!(target: "tsuji::state", "access log {path} is written again; {dropped} lines were dropped");
            figures.trouble.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        }
    }

    /// `log` becomes `log.1`, what was `log.1` becomes `log.2`, and the oldest goes.
    fn turn_over(&mut self, keep: u32, now: Instant) {
        let is_file = self.file.as_ref().is_some_and(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()));
        if !is_file || self.turn.is_some_and(|turn| now < turn) {
            return;
        }
        match put_aside(&self.path, keep) {
            Ok(()) => {
                self.turn = None;
                self.close();
            }
            Err(error) => {
                // It grows on: too large a log is better than none.
                self.turn = now.checked_add(60 * RETRY);
                tracing::error!(target: "tsuji::state", "access log {} cannot be turned over: {error}", self.path.display());
            }
        }
    }
}

/// Opens a file to add lines to it, and makes it if need be.
///
/// Lines go to files, and to `/dev/stdout` and its like, which are terminals, pipes or nothing. Another pipe or a socket
/// under the path is not what an operator means by a log, and to open it could last for ever.
pub(super) fn open(path: &Path) -> Result<File, OpenError> {
    let io_error = |source| OpenError::Io { path: path.to_owned(), source };
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().append(true).create(true).mode(MODE).custom_flags(flags.bits()).open(path);
    let file = file.map_err(io_error)?;
    let kind = file.metadata().map_err(io_error)?.file_type();
    let is_right = kind.is_file() || kind.is_char_device() || (kind.is_fifo() && is_own_output(path));
    if !is_right {
        return Err(OpenError::NotAFile { path: path.to_owned() });
    }
    // Only the opening was not to wait: the thread that writes may.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND)).map_err(|error| io_error(error.into()))?;
    Ok(file)
}

fn is_own_output(path: &Path) -> bool {
    [Path::new("/dev/stdout"), Path::new("/dev/stderr")].contains(&path)
}

/// Whether a log could be opened, as far as that is seen without touching anything.
pub fn look_at(path: &Path) -> Result<(), OpenError> {
    let io_error = |source| OpenError::Io { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() || metadata.file_type().is_char_device() || is_own_output(path) => Ok(()),
        Ok(_) => Err(OpenError::NotAFile { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::metadata(directory).map(drop).map_err(io_error)
        }
        Err(error) => Err(io_error(error)),
    }
}

fn put_aside(path: &Path, keep: u32) -> io::Result<()> {
    let old = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let missing_is_fine = |done: io::Result<()>| match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    };
    // More than one where more were kept before.
    for number in keep.max(1).. {
        match fs::remove_file(old(number)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    for number in (1..keep).rev() {
        missing_is_fine(fs::rename(old(number), old(number + 1)))?;
    }
    if keep == 0 { fs::remove_file(path) } else { fs::rename(path, old(1)) }
}

/// Counted only where not all of them could be written.
fn lines_in(bytes: Option<&[u8]>) -> u64 {
    bytes.unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(figures: &Figures) -> [u64; 3] {
        [&figures.lines, &figures.dropped, &figures.bytes].map(|count| count.load(Ordering::Relaxed))
    }

    fn write(log: &mut LogFile, text: &str, limits: Limits, figures: &Figures) {
        log.out.extend_from_slice(text.as_bytes());
        log.lines += lines_in(Some(text.as_bytes()));
        log.flush(limits, Instant::now(), figures);
        assert!(log.out.is_empty());
    }

    #[test]
    fn files_that_are_put_aside_move_up_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let (mut log, figures) = (LogFile::new(path.clone()), Figures::default());
        let limits = Limits { size: 4, keep: 2 };
        for text in ["one\n", "two\n", "three\n", "four\n"] {
            write(&mut log, text, limits, &figures);
        }
        let text = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!([text("a.log"), text("a.log.1"), text("a.log.2")], ["four\n", "three\n", "two\n"]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
        write(&mut log, "five\n", Limits { size: 4, keep: 0 }, &figures);
        assert_eq!(text("a.log"), "five\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "none is kept any more");
        assert_eq!(counts(&figures), [5, 0, 24]);
    }

    #[test]
    fn what_a_file_does_not_take_is_dropped_and_counted_and_no_line_is_lengthened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let (mut log, figures) = (LogFile::new(path.clone()), Figures::default());
        log.file = Some(open(Path::new("/dev/full")).unwrap());
        write(&mut log, "lost\nlost\n", Limits::default(), &figures);
        assert_eq!((counts(&figures), log.trouble), ([0, 2, 0], Some(2)));
        assert_eq!(figures.trouble.lock().unwrap().len(), 1);
        // As if half a line had got in before the disk was full.
        fs::write(&path, "half a li").unwrap();
        (log.file, log.torn) = (Some(open(&path).unwrap()), true);
        write(&mut log, "whole\n", Limits::default(), &figures);
        assert_eq!(fs::read_to_string(&path).unwrap(), "half a li\nwhole\n");
        assert_eq!((counts(&figures), log.trouble), ([1, 2, 6], None));
        assert!(figures.trouble.lock().unwrap().is_empty());
    }

    #[test]
    fn a_file_that_was_deleted_is_begun_anew_and_one_that_was_moved_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("a.log"), directory.path().join("moved"));
        let (mut log, figures) = (LogFile::new(path.clone()), Figures::default());
        write(&mut log, "one\n", Limits::default(), &figures);
        fs::rename(&path, &moved).unwrap();
        write(&mut log, "two\n", Limits::default(), &figures);
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        fs::remove_file(&moved).unwrap();
        write(&mut log, "three\n", Limits::default(), &figures);
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn logs_are_files_or_terminals() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().join("a.log");
        assert!(matches!(open(directory.path()), Err(OpenError::Io { .. })));
        assert!(matches!(look_at(directory.path()), Err(OpenError::NotAFile { .. })));
        assert!(open(&directory.path().join("none/a.log")).is_err());
        assert!(look_at(&directory.path().join("none/a.log")).is_err());
        assert!(look_at(&there).is_ok() && !there.exists(), "a look makes nothing");
        assert!(open(&there).is_ok() && open(Path::new("/dev/null")).is_ok());
    }
}
