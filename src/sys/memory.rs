//! Memory: the allocator of the programs, and how idle memory goes back to the system.

/// mimalloc keeps a heap per thread, as the workers are one thread each, and costs about half of glibc's malloc for the
/// short-lived pieces of a request (docs/performance.md has the figures). Each program names it as its own.
pub use mimalloc::MiMalloc as Allocator;

/// Gives pages that this thread no longer uses back to the system. Costs from some microseconds up to milliseconds when
/// much has been freed, so it is for moments when much has been: many clients parked, a flood over.
pub fn give_back() {
    // NEED: mimalloc offers this to C only.
    // SAFETY: `mi_collect` has no preconditions: it may be called by any thread at any time, works on the calling
    // thread's own heap and on pages that other threads left behind, and touches no memory that is in use.
    #[expect(unsafe_code, reason = "see SAFETY")]
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}
