//! Rights of this thread and of what it starts.

use std::io;

/// From now on programs that this thread starts as another user than root inherit no capability.
///
/// A service manager hands capabilities to a daemon that is not root as *ambient* ones, which every program inherits that
/// the daemon starts. The set belongs to the thread, so other threads keep theirs.
///
/// # Errors
///
/// What the kernel says; it has known the call since Linux 4.3.
pub fn drop_ambient_capabilities() -> io::Result<()> {
    // NEED: neither the standard library nor nix has this call.
    // SAFETY: the operation takes numbers only and touches no memory of ours.
    #[expect(unsafe_code, reason = "see SAFETY")]
    let outcome = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_thread_may_drop_them() {
        std::thread::spawn(|| super::drop_ambient_capabilities().expect("the kernel knows the call"))
            .join()
            .expect("the thread ends");
    }
}
