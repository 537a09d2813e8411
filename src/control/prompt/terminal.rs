//! The terminal as it was before lines were edited on it, given back on every way out.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Gives the terminal back when it is dropped: also when a panic ends the session.
pub struct Terminal {
    device: OwnedFd,
    before: Termios,
}

impl Terminal {
    pub fn new(device: impl AsFd) -> io::Result<Self> {
        let device = device.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&device)?;
        Ok(Self { device, before })
    }

    /// From now on a signal that ends the process gives the terminal back first.
    pub fn watch_signals(&self) -> io::Result<()> {
        let ours = Self { device: self.device.try_clone()?, before: self.before.clone() };
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let ends = {
            let _within = runtime.enter();
            [SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()].map(End::expect)
        };
        let wait = move || ours.wait_for(&runtime, ends);
        thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
    }

    fn wait_for(self, runtime: &Runtime, [mut one, mut two, mut three]: [End; 3]) {
        let kind = runtime.block_on(async {
            tokio::select! {
                kind = one.comes() => kind,
                kind = two.comes() => kind,
                kind = three.comes() => kind,
            }
        });
        self.give_back();
        // What a shell shows of a process that a signal ended.
        std::process::exit(128 + kind.as_raw_value());
    }

    /// Nowhere is left to say that it failed.
    fn give_back(&self) {
        let edits = tcgetattr(&self.device).is_ok_and(|now| !now.local_flags.contains(LocalFlags::ICANON));
        if !edits {
            return;
        }
        // Not after pending output: a terminal that stands still would hold us.
        let _ = tcsetattr(&self.device, SetArg::TCSANOW, &self.before);
        if self.takes_output()
            && let Ok(device) = self.device.try_clone()
        {
            let _ = std::fs::File::from(device).write_all(LEAVE);
        }
    }

    /// After Ctrl-S it takes nothing, and we would not end.
    fn takes_output(&self) -> bool {
        let mut device = [PollFd::new(self.device.as_fd(), PollFlags::POLLOUT)];
        poll(&mut device, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A signal that ends the process. One that cannot be waited for ends it as it always did.
struct End {
    kind: SignalKind,
    signal: Option<Signal>,
}

impl End {
    fn expect(kind: SignalKind) -> Self {
        Self { kind, signal: signal(kind).ok() }
    }

    async fn comes(&mut self) -> SignalKind {
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return self.kind;
        }
        std::future::pending().await
    }
}

/// Colours end, pasting is no longer bracketed, and the shell's prompt begins a line.
const LEAVE: &[u8] = b"\x1b[0m\x1b[?2004l\n";

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use nix::pty::openpty;
    use nix::sys::termios::cfmakeraw;

    use super::*;

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let pair = openpty(None, None).expect("a pseudo-terminal");
        let is_canonical = || tcgetattr(&pair.slave).expect("modes").local_flags.contains(LocalFlags::ICANON);
        let end = catch_unwind(AssertUnwindSafe(|| {
            let terminal = Terminal::new(&pair.slave).expect("a terminal");
            let mut raw = terminal.before.clone();
            cfmakeraw(&mut raw);
            tcsetattr(&pair.slave, SetArg::TCSANOW, &raw).expect("raw mode");
            assert!(!is_canonical());
            panic!("in the middle of a line");
        }));
        assert!(end.is_err() && is_canonical());
    }
}
