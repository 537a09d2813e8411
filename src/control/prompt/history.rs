//! Lines of earlier sessions, in a file that several prompts may use at once.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file. Each line is appended in one piece when it is typed, so that neither a killed session nor another prompt
/// loses any.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    /// Lines that wait while another prompt shortens the file.
    waiting: Vec<String>,
    has_complained: bool,
}

impl History {
    pub fn new(path: PathBuf) -> Self {
        Self { path, waiting: Vec::new(), has_complained: false }
    }

    /// The lines, oldest first, and a sentence when the file is there and cannot be used.
    pub fn load(&mut self) -> (Vec<String>, Option<String>) {
        match self.read() {
            Ok(lines) => (lines, None),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
            Err(fault) => (Vec::new(), self.complaint(&fault)),
        }
    }

    /// Adds a line. The first failure is told, in one sentence.
    pub fn append(&mut self, line: &str) -> Option<String> {
        if self.waiting.len() < MOST_LINES {
            self.waiting.push(line.to_owned());
        }
        let written = self.write();
        written.err().and_then(|fault| self.complaint(&fault))
    }

    fn read(&self) -> io::Result<Vec<String>> {
        let mut file = regular(OpenOptions::new().read(true), &self.path)?;
        // A file of somebody's editor or of an earlier umask; that it cannot be made private does not matter to us.
        let _ = file.set_permissions(Permissions::from_mode(FILE_MODE));
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        // The first piece of a longer file is the rest of a line.
        let cut = usize::from(length > MOST_BYTES);
        let all: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').skip(cut).collect();
        if all.len() > 2 * MOST_LINES || length > MOST_BYTES {
            self.shorten(&all)?;
        }
        let lines = all.into_iter().filter_map(|line| std::str::from_utf8(line).ok()).filter(|line| is_kept(line));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        Ok(lines.get(lines.len().saturating_sub(MOST_LINES)..).unwrap_or_default().to_vec())
    }

    /// Keeps the last lines. They are written over the beginning and the rest is cut off after that, so a crash in
    /// between leaves lines twice rather than none.
    fn shorten(&self, all: &[&[u8]]) -> io::Result<()> {
        let Ok(mut file) = regular(OpenOptions::new().read(true).write(true), &self.path) else { return Ok(()) };
        // Another prompt shortens it or writes: then it is shortened another time.
        if file.try_lock().is_err() {
            return Ok(());
        }
        let kept = all.get(all.len().saturating_sub(MOST_LINES)..).unwrap_or_default();
        let text = kept.join(&b'\n');
        file.write_all(&text)?;
        file.set_len(text.len() as u64)
    }

    fn write(&mut self) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let mut file = regular(OpenOptions::new().append(true).create(true).mode(FILE_MODE), &self.path)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(fault)) => return Err(fault),
        }
        let mut text = self.waiting.join("\n");
        text.push('\n');
        file.write_all(text.as_bytes())?;
        self.waiting.clear();
        Ok(())
    }

    fn complaint(&mut self, fault: &io::Error) -> Option<String> {
        let is_first = !std::mem::replace(&mut self.has_complained, true);
        is_first.then(|| format!("lines are not kept for later sessions: {}: {fault}", self.path.display()))
    }
}

/// `$XDG_STATE_HOME/tsuji/dscontrol_history`, else below `~/.local/state`; nowhere without a home.
pub fn default_path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("tsuji/dscontrol_history"))
}

/// Whether a line is worth keeping: a command, as a person types it.
pub fn is_kept(line: &str) -> bool {
    let blank = line.is_empty() || line.starts_with(char::is_whitespace);
    !blank && line.len() <= LONGEST && !line.chars().any(|c| c.is_control() && c != '\t')
}

/// Opening a pipe would wait for its other end, and a device is no history.
fn regular(options: &OpenOptions, path: &Path) -> io::Result<File> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("this is not a regular file")),
        _ => options.open(path),
    }
}

/// Weeks of work for an operator, read in a moment at each start.
pub const MOST_LINES: usize = 1000;
/// Bytes of a line: what is longer was pasted by a program.
const LONGEST: usize = 4096;
/// Read from the end of the file; twice the lines at ten times their usual length.
const MOST_BYTES: u64 = 1 << 20;
/// Lines name servers and addresses of the house.
const FILE_MODE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;

    fn history(directory: &tempfile::TempDir) -> History {
        History::new(directory.path().join("state/tsuji/dscontrol_history"))
    }

    #[test]
    fn lines_come_back_and_are_nobody_elses_business() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut first = history(&directory);
        assert_eq!(first.load(), (Vec::new(), None), "no file is no fault");
        assert_eq!(first.append("status"), None);
        assert_eq!(first.append("server down 'shop:80:w1'"), None);
        assert_eq!(history(&directory).load().0, ["status", "server down 'shop:80:w1'"]);
        let mode = fs::metadata(&first.path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn two_prompts_keep_each_others_lines() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut one, mut two) = (history(&directory), history(&directory));
        for number in 0..5 {
            one.append(&format!("one {number}"));
            two.append(&format!("two {number}"));
        }
        assert_eq!(history(&directory).load().0.len(), 10);
    }

    #[test]
    fn the_last_lines_are_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut history = history(&directory);
        history.append("first");
        let lines: String = (0..2 * MOST_LINES + 5).map(|number| format!("line {number}\n")).collect();
        fs::write(&history.path, lines).expect("written");
        let (loaded, complaint) = history.load();
        assert_eq!((loaded.len(), complaint), (MOST_LINES, None));
        assert_eq!(loaded.last().map(String::as_str), Some("line 2004"));
        let shortened = fs::read_to_string(&history.path).expect("text");
        assert_eq!(shortened.lines().count(), MOST_LINES - 1, "the empty rest after the last line end counts as one");
        history.append("next");
        assert_eq!(history.load().0.last().map(String::as_str), Some("next"));
    }

    #[test]
    fn while_it_is_shortened_lines_wait() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut history = history(&directory);
        history.append("one");
        let other = File::open(&history.path).expect("a file");
        other.lock().expect("locked");
        assert_eq!(history.append("two"), None);
        assert_eq!(history.load().0, ["one"]);
        other.unlock().expect("unlocked");
        history.append("three");
        assert_eq!(history.load().0, ["one", "two", "three"]);
    }

    #[test]
    fn garbage_is_left_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut history = history(&directory);
        history.append("good");
        let mut bytes = b"\xff\xfe\x00\n\x1b[2Jstatus\n\n blank first\n".to_vec();
        bytes.extend([b'x'; LONGEST + 1]);
        bytes.extend(b"\nstatus\nhalf a li");
        fs::write(&history.path, bytes).expect("written");
        assert_eq!(history.load(), (vec!["status".to_owned(), "half a li".to_owned()], None));
    }

    #[test]
    fn what_cannot_be_used_is_told_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut history = History::new(directory.path().to_owned());
        let (lines, complaint) = history.load();
        assert!(
            lines.is_empty() && complaint.is_some_and(|text| text.contains("regular file") && !text.contains('\n'))
        );
        assert_eq!(history.append("status"), None);
        let mut below_a_file = History::new(directory.path().join("file/history"));
        fs::write(directory.path().join("file"), "").expect("written");
        assert!(below_a_file.append("status").is_some());
        assert_eq!(below_a_file.append("status"), None);
    }

    #[test]
    fn where_it_is() {
        let with = |pairs: &'static [(&str, &str)]| {
            default_path(move |wanted| {
                pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| OsString::from(value))
            })
        };
        let state = Some(PathBuf::from("/s/tsuji/dscontrol_history"));
        assert_eq!(with(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), state);
        let home = Some(PathBuf::from("/h/.local/state/tsuji/dscontrol_history"));
        assert_eq!(with(&[("HOME", "/h")]), home);
        assert_eq!(with(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]), home, "as the XDG rules say");
        assert_eq!(with(&[]), None);
    }
}
