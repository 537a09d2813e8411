//! Wakes a thread that waits for sockets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Rings until it is heard, however often it was rung.
#[derive(Debug)]
pub struct Bell(EventFd);

impl Bell {
    pub fn new() -> io::Result<Self> {
        Ok(Self(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    /// A bell that cannot ring any louder rings already.
    pub fn ring(&self) {
        let _full = self.0.write(1);
    }

    /// It is quiet until it is rung again.
    pub fn hush(&self) {
        let _quiet = self.0.read();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
