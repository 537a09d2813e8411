//! One process for each directory of pins: an advisory lock on the directory itself.
//!
//! The kernel gives it up when the process ends, however it ends, so nothing is left over for the next start to clear away.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg};
use nix::sys::stat::{fstatat, major, minor};

use super::pins::PinError;

/// The directory, locked for this process until this is dropped.
#[derive(Debug)]
pub struct PinLock {
    directory: Flock<File>,
}

/// Who has the lock, as far as this process may know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holder {
    Process {
        id: u32,
        /// Its program, or nothing where that is hidden.
        name: String,
    },
    /// In another namespace of processes, or `/proc` is hidden.
    Unknown,
}

impl PinLock {
    /// Refused while another process has it.
    pub fn take(path: &Path) -> Result<Self, PinError> {
        let failed = |source| PinError::Files { path: path.to_owned(), source };
        let directory = File::open(path).map_err(failed)?;
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(directory) => Ok(Self { directory }),
            Err((directory, Errno::EWOULDBLOCK)) => {
                let holder = holder(&directory).unwrap_or(Holder::Unknown);
                Err(PinError::Held { directory: path.to_owned(), holder })
            }
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }

    /// Whether somebody took this pin away. It is asked of the directory that was locked, and not of its path: a file system
    /// that is mounted over it or unmounted lazily hides the pin, and the program is still meant to run.
    pub fn has_lost(&self, pin: &str) -> bool {
        let found = fstatat(&*self.directory, Path::new(pin), AtFlags::AT_SYMLINK_NOFOLLOW);
        found.is_err_and(|errno| errno == Errno::ENOENT)
    }
}

/// Who has the lock of this directory; `None`: nobody, or nobody that can be seen from here.
pub fn holder_of(path: &Path) -> Option<Holder> {
    holder(&File::open(path).ok()?)
}

fn holder(directory: &File) -> Option<Holder> {
    let (about, locks) = (directory.metadata().ok()?, fs::read_to_string("/proc/locks").ok()?);
    let id = locker_in(&locks, (major(about.dev()), minor(about.dev())), about.ino())?;
    let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    Some(Holder::Process { id, name: name.trim().to_owned() })
}

/// The process with a `flock` on this file, from lines such as `1: FLOCK  ADVISORY  WRITE 29593 00:27:2449777 0 EOF`; the
/// device's numbers are hexadecimal. Lines with `->` are of who waits.
fn locker_in(locks: &str, device: (u64, u64), inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, process, file, ..] = words.as_slice() else { return None };
        let mut numbers = file.split(':');
        let (upper, lower) = (numbers.next()?, numbers.next()?);
        let on = (u64::from_str_radix(upper, 16).ok()?, u64::from_str_radix(lower, 16).ok()?);
        let is_this = on == device && numbers.next()?.parse() == Ok(inode);
        process.parse().ok().filter(|process| is_this && *process > 0)
    })
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { id, name } if name.is_empty() => write!(f, "process {id}"),
            Self::Process { id, name } => write!(f, "{name} (process {id})"),
            Self::Unknown => f.write_str("another process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_for_one_and_free_again_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let lock = PinLock::take(directory.path()).unwrap();
        let own = Holder::Process { id: std::process::id(), name: String::new() };
        match PinLock::take(directory.path()) {
            Err(error @ PinError::Held { .. }) => {
                let said = error.to_string();
                assert!(said.contains(&own.to_string()), "{said}");
                assert!(said.contains("stop it, or give this one a `bpffs` of its own"), "{said}");
            }
            other => panic!("{other:?}"),
        }
        drop(lock);
        PinLock::take(directory.path()).unwrap();
    }

    #[test]
    fn what_was_locked_is_asked_and_not_what_took_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let (here, moved) = (directory.path().join("s1"), directory.path().join("moved"));
        fs::create_dir(&here).unwrap();
        fs::write(here.join("link-4"), "").unwrap();
        let lock = PinLock::take(&here).unwrap();
        assert!(!lock.has_lost("link-4"));
        assert!(lock.has_lost("link-5"));
        fs::rename(&here, &moved).unwrap();
        assert!(!lock.has_lost("link-4"), "hidden is not gone");
        fs::remove_dir_all(&moved).unwrap();
        assert!(lock.has_lost("link-4"));
    }

    #[test]
    fn the_list_of_locks_names_who_has_it() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 00:1b:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 00:1b:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 00:1b:77 0 EOF\n\
                     3: FLOCK  ADVISORY  READ  14 fd:01:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 00:1b:78 0 EOF\n";
        assert_eq!(locker_in(locks, (0, 0x1b), 77), Some(12));
        assert_eq!(locker_in(locks, (0xfd, 1), 77), Some(14));
        assert_eq!(locker_in(locks, (0, 0x1b), 78), None, "in another namespace");
        assert_eq!(locker_in(locks, (0, 0x1b), 79), None);
        assert_eq!(locker_in("what a new kernel may write\n", (0, 0x1b), 77), None);
    }
}
