//! From errors of the system to reasons.

use std::io;

use nix::libc;

use crate::model::DownReason;

/// Why a probe was not good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The server's doing, as far as we can tell.
    Bad(DownReason),
    /// This machine's doing.
    NotMade(String),
}

impl Failure {
    /// A connection that could not be made.
    pub(super) fn to_connect(error: io::Error) -> Self {
        if is_our_shortage(&error) {
            return Self::NotMade(error.to_string());
        }
        Self::Bad(match error.kind() {
            // A reset in answer to the request for a connection comes from some firewalls in place of a refusal.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => DownReason::ConnectRefused,
            io::ErrorKind::TimedOut => DownReason::ConnectTimeout,
            _ => DownReason::Unreachable(short(&error)),
        })
    }

    /// A TLS handshake, or a record after it, that failed.
    pub(super) fn to_secure(error: &io::Error) -> Self {
        if is_our_shortage(error) {
            return Self::NotMade(error.to_string());
        }
        Self::Bad(match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                DownReason::Tls(short(error))
            }
            _ => DownReason::ClosedEarly,
        })
    }

    /// A packet that could not be sent or was answered by an error.
    pub(super) fn to_ping(error: io::Error) -> Self {
        if is_our_shortage(&error) {
            return Self::NotMade(error.to_string());
        }
        Self::Bad(DownReason::Unreachable(short(&error)))
    }
}

/// Our own want of descriptors, source ports or memory would call every server down at once, when none is.
fn is_our_shortage(error: &io::Error) -> bool {
    let shortages = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL, libc::EAGAIN];
    error.raw_os_error().is_some_and(|code| shortages.contains(&code))
}

/// The error's words, no longer than a line: a certificate's names may be in them.
pub(super) fn short(error: &dyn std::fmt::Display) -> String {
    error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

/// Characters of a reason that are kept; it stands in a history of sixteen for each server.
const LONGEST: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_shortage_is_nobody_elses_fault() {
        for (code, word) in [
            (libc::ECONNREFUSED, "connect-refused"),
            (libc::ETIMEDOUT, "connect-timeout"),
            (libc::EHOSTUNREACH, "unreachable"),
            (libc::ENETUNREACH, "unreachable"),
            (libc::EACCES, "unreachable"),
        ] {
            match Failure::to_connect(io::Error::from_raw_os_error(code)) {
                Failure::Bad(reason) => assert_eq!(reason.word(), word),
                Failure::NotMade(why) => panic!("{word}: {why}"),
            }
        }
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL] {
            assert!(matches!(Failure::to_connect(io::Error::from_raw_os_error(code)), Failure::NotMade(_)));
        }
    }

    #[test]
    fn reasons_stay_short() {
        assert_eq!(short(&"a\nb"), "a b");
        assert_eq!(short(&"x".repeat(1000)).len(), LONGEST);
    }
}
