//! Whether a script may be run: nobody but root and the daemon's own user may have had a hand in it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Whose files are believed, besides root's: those of the daemon's user and group.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    pub uid: u32,
    pub gid: u32,
}

impl Own {
    /// Of this process.
    pub fn of_this_process() -> Self {
        Self { uid: nix::unistd::Uid::effective().as_raw(), gid: nix::unistd::Gid::effective().as_raw() }
    }
}

/// Why a script is not run.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    #[error("{} belongs to user {uid}, and neither to root nor to the daemon's user", .path.display())]
    Owner { path: PathBuf, uid: u32 },
    #[error("others than its owner may write to {}: `chmod go-w` would be right", .path.display())]
    Writable { path: PathBuf },
    #[error("{} is not executable: `chmod a+x` would be right", .path.display())]
    NotExecutable { path: PathBuf },
    #[error("{} is not a file", .path.display())]
    NotAFile { path: PathBuf },
    #[error("{} leads nowhere", .path.display())]
    Dangling { path: PathBuf },
    #[error("{} is a chain of more than {MOST_LINKS} symbolic links", .path.display())]
    TooManyLinks { path: PathBuf },
    #[error("cannot look at {}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The file that `path` leads to, if it may be run; `None`: there is nothing.
///
/// Every directory on the way is looked at, and every symbolic link. What is found can be changed only by those who are
/// believed, so it is still true when the file is run by the path that is returned.
pub fn find(path: &Path, own: Own) -> Result<Option<PathBuf>, Distrust> {
    let mut walk = Walk { asked: path, own, at: PathBuf::from("/"), rest: Vec::new(), links: 0 };
    walk.go_on_with(path);
    walk.go()
}

/// Symbolic links on one way; what the kernel allows itself.
const MOST_LINKS: usize = 40;

/// The way from the root to a file.
struct Walk<'a> {
    /// Where it was to lead.
    asked: &'a Path,
    own: Own,
    /// A directory, without links in its path.
    at: PathBuf,
    /// What is still to be gone, the next part last.
    rest: Vec<OsString>,
    links: usize,
}

impl Walk<'_> {
    fn go(mut self) -> Result<Option<PathBuf>, Distrust> {
        while let Some(part) = self.rest.pop() {
            match Path::new(&part).components().next() {
                Some(Component::RootDir) => self.at = PathBuf::from("/"),
                Some(Component::ParentDir) => {
                    self.at.pop();
                }
                Some(Component::Normal(name)) => {
                    self.check_directory()?;
                    let next = self.at.join(name);
                    let Some(found) = self.look_at(&next)? else { return Ok(None) };
                    if found.is_symlink() {
                        self.follow(&next, &found)?;
                    } else if self.rest.is_empty() {
                        return self.check_file(next).map(Some);
                    } else {
                        self.at = next;
                    }
                }
                _ => {}
            }
        }
        Err(Distrust::NotAFile { path: self.asked.to_owned() })
    }

    fn go_on_with(&mut self, path: &Path) {
        self.rest.extend(path.components().rev().map(|part| part.as_os_str().to_owned()));
    }

    /// What is there. Nothing is nothing to worry about, unless a link says that there should be something.
    fn look_at(&self, path: &Path) -> Result<Option<Metadata>, Distrust> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(unreadable(path)(fault)),
            Err(_) if self.links == 0 => Ok(None),
            Err(_) => Err(Distrust::Dangling { path: self.asked.to_owned() }),
        }
    }

    fn follow(&mut self, link: &Path, metadata: &Metadata) -> Result<(), Distrust> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Distrust::TooManyLinks { path: self.asked.to_owned() });
        }
        self.check_owner(link, metadata)?;
        let target = fs::read_link(link).map_err(unreadable(link))?;
        self.go_on_with(&target);
        Ok(())
    }

    /// The directory in which the next part is.
    ///
    /// Whoever may write to the directory of a script may put another in its place, so nobody else may. Above it there are
    /// `/tmp`, whose sticky bit keeps everybody from what is not theirs, and `/etc/tsuji`, which the daemon's own group may
    /// write to; its members steer the daemon anyway.
    fn check_directory(&self) -> Result<(), Distrust> {
        let metadata = fs::symlink_metadata(&self.at).map_err(unreadable(&self.at))?;
        self.check_owner(&self.at, &metadata)?;
        let mode = metadata.mode();
        let own_group = metadata.gid() == 0 || metadata.gid() == self.own.gid;
        let tolerated = mode & STICKY != 0 || (mode & OTHERS_WRITE == 0 && own_group);
        let is_closed = mode & (GROUP_WRITE | OTHERS_WRITE) == 0;
        if is_closed || (tolerated && !self.rest.is_empty()) {
            return Ok(());
        }
        Err(Distrust::Writable { path: self.at.clone() })
    }

    fn check_file(&self, path: PathBuf) -> Result<PathBuf, Distrust> {
        // A descriptor of the file itself, which takes no right to read it and waits for no pipe.
        let options = &mut File::options();
        let file = options.read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(&path);
        let metadata = file.and_then(|file| file.metadata()).map_err(unreadable(&path))?;
        if !metadata.is_file() {
            return Err(Distrust::NotAFile { path });
        }
        self.check_owner(&path, &metadata)?;
        if metadata.mode() & (GROUP_WRITE | OTHERS_WRITE) != 0 {
            return Err(Distrust::Writable { path });
        }
        if metadata.mode() & ANY_EXECUTES == 0 {
            return Err(Distrust::NotExecutable { path });
        }
        Ok(path)
    }

    fn check_owner(&self, path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
        match metadata.uid() {
            0 => Ok(()),
            uid if uid == self.own.uid => Ok(()),
            uid => Err(Distrust::Owner { path: path.to_owned(), uid }),
        }
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Distrust {
    let path = path.to_owned();
    move |source| Distrust::Io { path, source }
}

const STICKY: u32 = 0o1000;
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const ANY_EXECUTES: u32 = 0o111;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// A directory with a good script.
    fn scripts() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("serverDown");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        set_mode(&script, 0o755);
        (directory, script)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn refusal(path: &Path) -> String {
        find(path, Own::of_this_process()).expect_err("refused").to_string()
    }

    #[test]
    fn modes_of_the_file() {
        let (_directory, script) = scripts();
        for (mode, wrong) in [
            (0o755, None),
            (0o700, None),
            (0o775, Some("others than its owner may write")),
            (0o757, Some("others than its owner may write")),
            (0o644, Some("is not executable")),
        ] {
            set_mode(&script, mode);
            match wrong {
                None => assert!(find(&script, Own::of_this_process()).unwrap().is_some(), "{mode:o}"),
                Some(wrong) => assert!(refusal(&script).contains(wrong), "{mode:o}"),
            }
        }
    }

    #[test]
    fn modes_of_the_directory() {
        let (directory, script) = scripts();
        for mode in [0o775, 0o757, 0o1777] {
            set_mode(directory.path(), mode);
            assert!(refusal(&script).contains("others than its owner may write"), "{mode:o}");
        }
        let above = directory.path().join("in/scripts");
        fs::create_dir_all(&above).unwrap();
        set_mode(&above, 0o755);
        fs::rename(&script, above.join("serverDown")).unwrap();
        for (mode, trusted) in [(0o1777, true), (0o775, true), (0o777, false), (0o755, true)] {
            set_mode(&directory.path().join("in"), mode);
            set_mode(directory.path(), 0o755);
            assert_eq!(find(&above.join("serverDown"), Own::of_this_process()).is_ok(), trusted, "{mode:o}");
        }
    }

    #[test]
    fn nothing_is_no_fault() {
        let (directory, _script) = scripts();
        let own = Own::of_this_process();
        for path in ["serverUp", "scripts/serverUp"] {
            assert!(find(&directory.path().join(path), own).unwrap().is_none(), "{path}");
        }
        symlink("nowhere", directory.path().join("serverUp")).unwrap();
        assert!(refusal(&directory.path().join("serverUp")).contains("leads nowhere"));
        fs::create_dir(directory.path().join("managerAlert")).unwrap();
        assert!(refusal(&directory.path().join("managerAlert")).contains("is not a file"));
    }

    #[test]
    fn links_are_followed_and_what_they_lead_to_is_looked_at() {
        let (directory, script) = scripts();
        let (other, _) = scripts();
        let link = directory.path().join("serverUp");
        symlink("serverDown", &link).unwrap();
        assert_eq!(find(&link, Own::of_this_process()).unwrap(), Some(fs::canonicalize(&script).unwrap()));
        fs::remove_file(&link).unwrap();
        symlink(other.path().join("serverDown"), &link).unwrap();
        assert!(find(&link, Own::of_this_process()).is_ok());
        set_mode(other.path(), 0o777);
        assert!(refusal(&link).contains("others than its owner may write"));
        let circle = directory.path().join("managerClear");
        symlink("managerClear", &circle).unwrap();
        assert!(refusal(&circle).contains("chain of more than 40"));
    }

    #[test]
    fn others_files_are_refused() {
        let (directory, script) = scripts();
        let stranger = Own { uid: 4_000_001, gid: 4_000_001 };
        if !nix::unistd::Uid::effective().is_root() {
            assert!(find(&script, stranger).is_err(), "the directory is ours, and the daemon is somebody else");
            eprintln!("skipped: only root can give files away");
            return;
        }
        assert!(find(&script, stranger).unwrap().is_some(), "root's are everybody's");
        chown(&script, Some(4_000_002), None).unwrap();
        assert!(refusal(&script).contains("belongs to user 4000002"));
        chown(&script, Some(0), None).unwrap();
        chown(directory.path(), Some(4_000_002), None).unwrap();
        assert!(refusal(&script).contains("belongs to user 4000002"));
    }
}
