//! Capabilities: which this thread has, and giving them up.
//!
//! The kernel keeps them for each thread. What is given up here is given up by the calling thread, and by those that it
//! starts afterwards.

use std::fmt;
use std::io;

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities(u64);

impl Capabilities {
    pub const NONE: Self = Self(0);
    /// Signals for other users' processes.
    pub const KILL: Self = Self::number(5);
    pub const SETGID: Self = Self::number(6);
    pub const SETUID: Self = Self::number(7);
    /// Ports below 1024.
    pub const NET_BIND_SERVICE: Self = Self::number(10);
    pub const NET_ADMIN: Self = Self::number(12);
    /// Raw and packet sockets.
    pub const NET_RAW: Self = Self::number(13);
    /// A thread's place before others.
    pub const SYS_NICE: Self = Self::number(23);
    pub const PERFMON: Self = Self::number(38);
    pub const BPF: Self = Self::number(39);

    /// By its number in `linux/capability.h`.
    const fn number(number: u32) -> Self {
        Self(1 << number)
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// `CAP_NET_RAW CAP_BPF`; those without a name here by their numbers.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("no capability");
        }
        let mut between = "";
        for number in (0..u64::BITS).filter(|number| self.has(Self::number(*number))) {
            f.write_str(between)?;
            match NAMES.iter().find(|(one, _)| *one == Self::number(number)) {
                Some((_, name)) => write!(f, "CAP_{name}")?,
                None => write!(f, "CAP_{number}")?,
            }
            between = " ";
        }
        Ok(())
    }
}

const NAMES: [(Capabilities, &str); 8] = [
    (Capabilities::KILL, "KILL"),
    (Capabilities::SETGID, "SETGID"),
    (Capabilities::SETUID, "SETUID"),
    (Capabilities::NET_BIND_SERVICE, "NET_BIND_SERVICE"),
    (Capabilities::NET_ADMIN, "NET_ADMIN"),
    (Capabilities::NET_RAW, "NET_RAW"),
    (Capabilities::PERFMON, "PERFMON"),
    (Capabilities::BPF, "BPF"),
];

/// What this thread may do now.
///
/// # Errors
///
/// What the kernel, or a filter of system calls, says.
pub fn effective() -> io::Result<Capabilities> {
    Ok(read()?.0)
}

/// This thread keeps of these capabilities what it has, and nothing else; programs that it starts get none.
///
/// # Errors
///
/// What the kernel, or a filter of system calls, says. Some may be given up then.
pub fn keep(wanted: Capabilities) -> io::Result<Capabilities> {
    let (_, permitted) = read()?;
    let kept = permitted.common(wanted);
    write(kept)?;
    drop_ambient_capabilities()?;
    Ok(kept)
}

/// This thread needs none of root's rights: it gives them up, unless the process is root's and stays so.
///
/// # Errors
///
/// As [`keep`].
pub fn keep_none_but_roots() -> io::Result<()> {
    if nix::unistd::Uid::effective().is_root() { Ok(()) } else { keep(Capabilities::NONE).map(drop) }
}

/// No program that this thread or its children start ever gains a capability, whatever its file says. Needs
/// `CAP_SETPCAP`.
///
/// # Errors
///
/// What the kernel says.
pub fn empty_bounding_set() -> io::Result<()> {
    for number in 0..u64::BITS {
        // NEED: neither the standard library nor nix has this call.
        // SAFETY: the operation takes numbers only and touches no memory of ours.
        #[expect(unsafe_code, reason = "see SAFETY")]
        let outcome = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
        if outcome == 0 {
            continue;
        }
        let error = io::Error::last_os_error();
        // The first number that this kernel does not know is behind the last one that it has.
        return if error.raw_os_error() == Some(libc::EINVAL) { Ok(()) } else { Err(error) };
    }
    Ok(())
}

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

/// `struct __user_cap_header_struct` of `linux/capability.h`.
#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    thread: i32,
}

/// `struct __user_cap_data_struct`: 32 capabilities; version 3 has two of them.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`, since Linux 2.6.26.
const VERSION: u32 = 0x2008_0522;

/// Effective and permitted.
fn read() -> io::Result<(Capabilities, Capabilities)> {
    let mut header = Header { version: VERSION, thread: 0 };
    let mut halves = [Half::default(); 2];
    // NEED: neither the standard library nor nix has this call, and libc has no function for it.
    // SAFETY: both pointers are to memory of ours that lives beyond the call, laid out as the kernel's header file says:
    // with version 3 it reads and writes one header and writes two halves.
    #[expect(unsafe_code, reason = "see SAFETY")]
    let outcome = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    let [low, high] = halves;
    let whole = |low: u32, high: u32| Capabilities(u64::from(high) << 32 | u64::from(low));
    Ok((whole(low.effective, high.effective), whole(low.permitted, high.permitted)))
}

/// Makes these the effective and the permitted ones, and none inheritable.
fn write(kept: Capabilities) -> io::Result<()> {
    let mut header = Header { version: VERSION, thread: 0 };
    let half = |bits: u64| {
        let bits = (bits & u64::from(u32::MAX)) as u32;
        Half { effective: bits, permitted: bits, inheritable: 0 }
    };
    let halves = [half(kept.0), half(kept.0 >> 32)];
    // NEED: neither the standard library nor nix has this call, and libc has no function for it.
    // SAFETY: both pointers are to memory of ours that lives beyond the call, laid out as the kernel's header file says:
    // with version 3 it reads and writes one header and reads two halves.
    #[expect(unsafe_code, reason = "see SAFETY")]
    let outcome = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own, so that the others keep what they have.
    fn apart(work: impl FnOnce() + Send + 'static) {
        std::thread::spawn(work).join().expect("the thread ends");
    }

    #[test]
    fn sets_and_their_names() {
        let both = Capabilities::NET_RAW.and(Capabilities::BPF);
        assert!(both.has(Capabilities::BPF) && both.has(Capabilities::NONE) && !both.has(Capabilities::SETUID));
        assert_eq!(both.without(Capabilities::BPF), Capabilities::NET_RAW);
        assert_eq!(both.common(Capabilities::BPF.and(Capabilities::KILL)), Capabilities::BPF);
        assert_eq!(both.to_string(), "CAP_NET_RAW CAP_BPF");
        assert_eq!(Capabilities::NONE.to_string(), "no capability");
        assert_eq!(Capabilities::number(63).to_string(), "CAP_63");
    }

    #[test]
    fn any_thread_may_give_up_what_it_has() {
        apart(|| {
            drop_ambient_capabilities().expect("the kernel knows the call");
            let before = effective().expect("the kernel knows the call");
            let kept = keep(Capabilities::NET_BIND_SERVICE).expect("less is always allowed");
            assert_eq!(kept, before.common(Capabilities::NET_BIND_SERVICE));
            assert_eq!(read().expect("the kernel knows the call"), (kept, kept));
            keep(Capabilities::NONE).expect("less is always allowed");
            assert_eq!(keep(Capabilities::NET_BIND_SERVICE).expect("nothing is left"), Capabilities::NONE);
        });
    }

    #[test]
    fn the_bounding_set_is_emptied_by_who_may() {
        apart(|| {
            let bounding = || {
                let status = std::fs::read_to_string("/proc/thread-self/status").expect("proc");
                status.lines().find_map(|line| Some(line.strip_prefix("CapBnd:")?.trim().to_owned()))
            };
            match empty_bounding_set() {
                Ok(()) => assert_eq!(bounding().as_deref(), Some("0000000000000000")),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
            }
        });
    }
}
