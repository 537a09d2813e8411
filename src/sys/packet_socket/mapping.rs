//! The memory of a ring: slots that belong to the kernel or to us, as the word at their beginning says.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of one slot: a full frame of 1518 bytes with two tags and what the kernel puts in front fit. No multiple of a page's
/// part, or the first lines of all slots would share a few places of the cache.
pub(super) const SLOT: usize = 2048 + 64;
/// Slots lie in blocks of so many bytes, none across two of them.
pub(super) const BLOCK: usize = 1 << 16;
const PER_BLOCK: usize = BLOCK / SLOT;

/// Nobody else has the memory but the kernel, which touches a slot only while its word is 0.
pub(super) struct Mapping {
    memory: NonNull<u8>,
    blocks: usize,
}

// SAFETY: it is plain memory of this process with one owner; which thread looks at it does not matter.
#[expect(unsafe_code, reason = "see SAFETY")]
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the ring of so many blocks that this socket was given.
    pub(super) fn new(socket: BorrowedFd<'_>, blocks: usize) -> io::Result<Self> {
        // NEED: the standard library maps no memory.
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours; a length that is not that of
        // the ring is refused.
        #[expect(unsafe_code, reason = "see SAFETY")]
        let memory = unsafe {
            let (access, file) = (libc::PROT_READ | libc::PROT_WRITE, socket.as_raw_fd());
            libc::mmap(std::ptr::null_mut(), blocks * BLOCK, access, libc::MAP_SHARED, file, 0)
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        Ok(Self { memory, blocks })
    }

    /// How many slots so many blocks have.
    pub(super) fn slots_of(blocks: usize) -> usize {
        blocks * PER_BLOCK
    }

    fn offset(&self, slot: usize) -> Option<usize> {
        (slot < Self::slots_of(self.blocks)).then_some(slot / PER_BLOCK * BLOCK + slot % PER_BLOCK * SLOT)
    }

    /// The word that says whose the slot is; 0: the kernel's.
    fn word(&self, slot: usize) -> Option<&AtomicU32> {
        let offset = self.offset(slot)?;
        // SAFETY: the slot lies within the mapping, which lives as long as `self`; slots are aligned to 64 bytes. The kernel
        // reads and writes the word as a whole.
        #[expect(unsafe_code, reason = "see SAFETY")]
        Some(unsafe { &*self.memory.as_ptr().add(offset).cast::<AtomicU32>() })
    }

    /// What the kernel said when it gave us the slot; `None`: it has not.
    pub(super) fn status(&self, slot: usize) -> Option<u32> {
        let status = self.word(slot)?.load(Ordering::Acquire);
        (status != 0).then_some(status)
    }

    /// Gives the slot back to the kernel.
    pub(super) fn release(&mut self, slot: usize) {
        if let Some(word) = self.word(slot) {
            word.store(0, Ordering::Release);
        }
    }

    /// All of a slot that is ours, from behind its word on; none of one that is the kernel's.
    pub(super) fn slot(&self, slot: usize) -> &[u8] {
        let Some(offset) = self.offset(slot).filter(|_| self.status(slot).is_some()) else { return &[] };
        // SAFETY: the bytes lie within the mapping, and the kernel leaves a slot alone whose word is not 0. It stays so for
        // as long as `self` is borrowed, because only `release` makes it 0.
        #[expect(unsafe_code, reason = "see SAFETY")]
        unsafe {
            std::slice::from_raw_parts(self.memory.as_ptr().add(offset + WORD), SLOT - WORD)
        }
    }

    /// The same, to be changed.
    pub(super) fn slot_mut(&mut self, slot: usize) -> &mut [u8] {
        let Some(offset) = self.offset(slot).filter(|_| self.status(slot).is_some()) else { return &mut [] };
        // SAFETY: as for `slot`; the mutable borrow of `self` keeps every other slice away.
        #[expect(unsafe_code, reason = "see SAFETY")]
        unsafe {
            std::slice::from_raw_parts_mut(self.memory.as_ptr().add(offset + WORD), SLOT - WORD)
        }
    }
}

/// Slices begin behind the word, which is never part of one.
pub(super) const WORD: usize = 4;

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: address and length are those of the mapping, and nobody has a slice of it any more.
        #[expect(unsafe_code, reason = "see SAFETY")]
        unsafe {
            libc::munmap(self.memory.as_ptr().cast(), self.blocks * BLOCK);
        }
    }
}
