//! Buffers of packed access log records on their way from the workers to the thread that writes lines.
//!
//! A worker gives away a whole buffer, some five hundred records, and takes an empty one; it never waits. Where the writer
//! does not follow, records are dropped and counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of a buffer. Each one wakes the writer; larger ones would not stay in a core's cache until they are written.
pub const BUFFER: usize = 128 * 1024;

/// Buffers that wait to be written: 32 MiB, two seconds of a disk that hangs at 50,000 requests a second. Beyond it
/// records are dropped, because what the proxy may use of the machine's memory has to have an end.
const WAITING: usize = 256;

/// Full buffers that wake the writer. It looks by itself within a second.
const TOGETHER: usize = 4;

/// Empty buffers that are kept for use; after a jam the others give their memory back.
const SPARE: usize = 16;

/// The meeting place.
#[derive(Debug, Default)]
pub struct RecordQueue {
    state: Mutex<State>,
    called: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    full: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    /// The writer sleeps.
    sleeps: bool,
    /// Somebody wants the writer to look around.
    call: bool,
}

impl RecordQueue {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes a buffer and leaves an empty one in its place; `false`: it was full, and stays where it is.
    pub fn exchange(&self, buffer: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        if state.full.len() >= WAITING {
            return false;
        }
        let empty = state.spare.pop();
        // Allocated while nobody waits for the lock.
        let full = std::mem::replace(buffer, empty.unwrap_or_default());
        // Full ones come quickly one after the other: several are worth one wakeup. One that is not full is all that a
        // worker has had to say for a while.
        let may_wait = full.len() > BUFFER / 2;
        state.full.push_back(full);
        if !may_wait || state.full.len() >= TOGETHER {
            self.wake(state);
        }
        true
    }

    /// Takes a worker's last buffer, even when there are enough: one for each worker that ends.
    pub fn leave(&self, buffer: Vec<u8>) {
        if !buffer.is_empty() {
            let mut state = self.lock();
            state.full.push_back(buffer);
            self.wake(state);
        }
    }

    /// Records that nobody writes.
    pub fn drop_records(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Has the writer look around.
    pub fn call(&self) {
        let mut state = self.lock();
        state.call = true;
        self.wake(state);
    }

    /// The next buffer; `None` when the patience is over or somebody called.
    pub fn take(&self, patience: Duration) -> Option<Vec<u8>> {
        let mut state = self.lock();
        if state.full.is_empty() && !state.call {
            state.sleeps = true;
            let (woken, _) = self.called.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.sleeps = false;
        }
        if std::mem::take(&mut state.call) {
            return None;
        }
        state.full.pop_front()
    }

    /// The next buffer if there is one.
    pub fn take_now(&self) -> Option<Vec<u8>> {
        self.lock().full.pop_front()
    }

    /// A buffer that was written comes back.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut state = self.lock();
        if state.spare.len() < SPARE {
            state.spare.push(buffer);
        }
    }

    /// A sleeper is woken, which is a call of the system; one that is awake will look by itself.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let sleeps = std::mem::take(&mut state.sleeps);
        drop(state);
        if sleeps {
            self.called.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_go_round_and_their_number_has_an_end() {
        let records = RecordQueue::new();
        let mut buffer = vec![1, 2];
        assert!(records.exchange(&mut buffer));
        assert_eq!((buffer.len(), records.take(Duration::ZERO)), (0, Some(vec![1, 2])));
        records.give_back(Vec::with_capacity(BUFFER));
        buffer.push(3);
        assert!(records.exchange(&mut buffer));
        assert!(buffer.is_empty() && buffer.capacity() >= BUFFER, "a used one comes back");
        for _ in 1..WAITING {
            buffer.push(4);
            assert!(records.exchange(&mut buffer));
        }
        buffer.push(5);
        assert!(!records.exchange(&mut buffer) && buffer == [5], "it stays with the worker");
        records.leave(buffer);
        let mut count = 0;
        while records.take(Duration::ZERO).is_some() {
            count += 1;
        }
        assert_eq!(count, WAITING + 1);
    }

    #[test]
    fn a_call_wakes_the_writer() {
        let records = RecordQueue::new();
        let caller = Arc::clone(&records);
        let thread = std::thread::spawn(move || caller.call());
        assert_eq!(records.take(Duration::from_secs(60)), None);
        thread.join().unwrap();
    }
}
