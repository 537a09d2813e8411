//! How soon a thread runs when it wants to.

use std::io;

/// What the kernel lets a thread have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Priority {
    /// Before all threads that are not real-time (`SCHED_RR`, its lowest step).
    RealTime,
    /// Among the others, with the weight of this nice value.
    Nice(i32),
    /// As all others: neither is allowed.
    Usual,
}

/// A nice value that gets about ten times the share of a usual thread.
const NICE: i32 = -10;
/// The lowest of `SCHED_RR`: before every usual thread, behind whatever an administrator put above.
const STEP: i32 = 1;

/// Lets the calling thread run before others, as far as the kernel allows it: with CAP_SYS_NICE, or within the limits
/// `RLIMIT_RTPRIO` and `RLIMIT_NICE`. For a thread that works for microseconds, some times in a second.
pub fn raise() -> Priority {
    if real_time().is_ok() {
        return Priority::RealTime;
    }
    if nice().is_ok() { Priority::Nice(NICE) } else { Priority::Usual }
}

fn real_time() -> io::Result<()> {
    // NEED: no crate here wraps it.
    // SAFETY: `sched_param` is plain data for which all zeros are a value, and the kernel reads it during the call. 0 means
    // the calling thread.
    #[expect(unsafe_code, reason = "see SAFETY")]
    let done = unsafe {
        let mut parameters: libc::sched_param = std::mem::zeroed();
        parameters.sched_priority = STEP;
        libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameters)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn nice() -> io::Result<()> {
    // NEED: no crate here wraps it.
    // SAFETY: three numbers by value. 0 means the calling thread: on Linux nice values belong to threads.
    #[expect(unsafe_code, reason = "see SAFETY")]
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
