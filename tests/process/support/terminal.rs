//! A program at a pseudo-terminal: keys go in, what it draws comes out.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::daemon::PATIENCE;

/// Longer than an answer that did not come is remembered.
const TAB_AGAIN: Duration = Duration::from_secs(4);

pub struct Terminal {
    child: Child,
    keys: File,
    /// The program's end, kept open so that its modes can be looked at after the program.
    device: OwnedFd,
    drawn: Arc<Mutex<Vec<u8>>>,
    /// What was waited for already.
    seen: usize,
}

impl Terminal {
    /// Starts a program on a terminal of this many columns.
    pub fn start(mut command: Command, columns: u16) -> Self {
        let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).unwrap();
        let device = || Stdio::from(pair.slave.try_clone().unwrap());
        let child = command.stdin(device()).stdout(device()).stderr(device()).spawn().unwrap();
        let drawn = Arc::new(Mutex::new(Vec::new()));
        let (keys, mut screen) = (File::from(pair.master.try_clone().unwrap()), File::from(pair.master));
        let collected = Arc::clone(&drawn);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                collected.lock().unwrap().extend_from_slice(&bytes[..length]);
            }
        });
        Self { child, keys, device: pair.slave, drawn, seen: 0 }
    }

    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this was drawn after what was waited for before; returns what was drawn on the way.
    pub fn wait_for(&mut self, text: &str) -> String {
        self.find(text, PATIENCE).unwrap_or_else(|drawn| panic!("never drawn: {text:?}, but \"{drawn}\""))
    }

    /// Presses TAB until this was drawn: a dispatcher on a busy machine may miss the moment that TAB waits for it.
    pub fn tab(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            self.keys("\t");
            let Err(drawn) = self.find(text, TAB_AGAIN) else { return };
            assert!(begun.elapsed() < PATIENCE, "never drawn: {text:?}, but \"{drawn}\"");
        }
    }

    fn find(&mut self, text: &str, patience: Duration) -> Result<String, String> {
        let begun = Instant::now();
        loop {
            let drawn = self.drawn.lock().unwrap().get(self.seen..).unwrap_or_default().to_vec();
            let found = drawn.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = found {
                self.seen += at + text.len();
                return Ok(String::from_utf8_lossy(&drawn[..at + text.len()]).into_owned());
            }
            if begun.elapsed() > patience {
                return Err(String::from_utf8_lossy(&drawn).escape_debug().to_string());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// All that was drawn.
    pub fn drawn(&self) -> String {
        String::from_utf8_lossy(&self.drawn.lock().unwrap()).into_owned()
    }

    /// Whether the terminal edits lines itself, as it does for a shell.
    pub fn is_canonical(&self) -> bool {
        let modes = tcgetattr(&self.device).unwrap().local_flags;
        modes.contains(LocalFlags::ICANON) && modes.contains(LocalFlags::ECHO) && modes.contains(LocalFlags::ISIG)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program to end.
    pub fn code(&mut self) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < PATIENCE, "the program does not end: {}", self.drawn());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
