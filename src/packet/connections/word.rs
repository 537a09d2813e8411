//! The words that the table is made of.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// An atomic word of 64 bits. Tests put the model checker's in place of the machine's.
///
/// Each method is one instruction on x86-64, and there the orderings cost nothing; they are what the proof in
/// [`super`] uses.
pub trait Word {
    /// A load with acquire order: a plain `mov`.
    fn read(&self) -> u64;
    /// An exchange, with acquire and release order: `xchg`.
    fn exchange(&self, next: u64) -> u64;
    /// A compare-and-swap, with acquire and release order: `lock cmpxchg`.
    ///
    /// # Errors
    ///
    /// The value that was met instead of `seen`; nothing has changed.
    fn change(&self, seen: u64, next: u64) -> Result<(), u64>;
    /// What this thread wrote before is seen by all that a later read of it could miss: `mfence`; in the program the
    /// exchange before it does the same.
    fn barrier();
}

impl Word for AtomicU64 {
    fn read(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn exchange(&self, next: u64) -> u64 {
        self.swap(next, Ordering::AcqRel)
    }

    fn change(&self, seen: u64, next: u64) -> Result<(), u64> {
        self.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    fn barrier() {
        fence(Ordering::SeqCst);
    }
}
