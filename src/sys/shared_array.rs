//! Array maps of the kernel as memory of this process.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Plain old data that a BPF program and this process both read and write.
///
/// # Safety
///
/// The type is `repr(C)`, every pattern of bytes is a value of it, it has no padding, its size is a multiple of 8 and its
/// alignment is at most 8.
#[expect(unsafe_code, reason = "the promise above is the implementer's")]
pub unsafe trait Plain: Copy + 'static {}

/// A memory-mapped BPF array (`BPF_F_MMAPABLE`): what is written here, the next packet sees, without a system call.
///
/// Elements lie one after the other, each at a multiple of its size. The kernel's programs write to the same memory at the
/// same time, so single elements are copied in and out, word by word, and a word is the unit in which nobody sees
/// half of a change. What needs more than that goes through [`words`](Self::words).
pub struct SharedArray<T> {
    memory: NonNull<AtomicU64>,
    words: usize,
    elements: u32,
    _element: PhantomData<T>,
}

impl<T: Plain> SharedArray<T> {
    const WORDS: usize = size_of::<T>() / 8;

    /// Maps the array behind `map`, which has `elements` elements of this type.
    ///
    /// # Errors
    ///
    /// Whatever the kernel says: the map is no array, is smaller, or was made without `BPF_F_MMAPABLE`.
    pub fn map(map: BorrowedFd<'_>, elements: u32) -> io::Result<Self> {
        Self::mapped(elements, libc::MAP_SHARED, map.as_raw_fd())
    }

    /// The same in memory of this process alone, all zero; for engines outside the kernel.
    ///
    /// # Errors
    ///
    /// There is not so much memory, or there are no elements.
    pub fn anonymous(elements: u32) -> io::Result<Self> {
        Self::mapped(elements, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    fn mapped(elements: u32, flags: i32, file: RawFd) -> io::Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() <= 8, "elements are made of words") };
        let words = elements as usize * Self::WORDS;
        // NEED: the standard library maps no memory.
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours; the length is that of
        // the map, rounded up to pages by the kernel, and a longer one is refused by it.
        #[expect(unsafe_code, reason = "see SAFETY")]
        let memory =
            unsafe { libc::mmap(std::ptr::null_mut(), words * 8, libc::PROT_READ | libc::PROT_WRITE, flags, file, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        Ok(Self { memory, words, elements, _element: PhantomData })
    }

    /// How many elements there are.
    pub fn len(&self) -> u32 {
        self.elements
    }

    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    /// All elements as words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has this many words, is aligned to pages, and lives as long as `self`. Other writers of
        // the memory (the kernel's programs) write whole aligned words or smaller pieces, which an atomic may be shared
        // with as with any other process.
        #[expect(unsafe_code, reason = "see SAFETY")]
        unsafe {
            std::slice::from_raw_parts(self.memory.as_ptr(), self.words)
        }
    }

    /// The words of one element.
    pub fn element(&self, index: u32) -> Option<&[AtomicU64]> {
        let start = index as usize * Self::WORDS;
        self.words().get(start..start + Self::WORDS)
    }

    /// A copy of one element; each of its words is whole, all together are a snapshot only while nobody writes.
    pub fn get(&self, index: u32) -> Option<T> {
        let words = self.element(index)?;
        let mut value = std::mem::MaybeUninit::<T>::uninit();
        for (place, word) in words.iter().enumerate() {
            // SAFETY: `place` is below the element's size in words; `T` has that size, and unaligned words may be
            // written anywhere within it.
            #[expect(unsafe_code, reason = "see SAFETY")]
            unsafe {
                let word = word.load(std::sync::atomic::Ordering::Relaxed);
                value.as_mut_ptr().cast::<u64>().add(place).write_unaligned(word);
            }
        }
        // SAFETY: all of its bytes were written, and any bytes are a `T` (see [`Plain`]).
        #[expect(unsafe_code, reason = "see SAFETY")]
        Some(unsafe { value.assume_init() })
    }

    /// Writes one element, word by word; `false`: there is none at this index.
    #[must_use]
    pub fn set(&self, index: u32, value: T) -> bool {
        let Some(words) = self.element(index) else { return false };
        for (word, bits) in words.iter().zip(bits_of(&value)) {
            word.store(bits, std::sync::atomic::Ordering::Release);
        }
        true
    }
}

/// A value's words, in order.
pub fn bits_of<T: Plain>(value: &T) -> impl Iterator<Item = u64> {
    (0..size_of::<T>() / 8).map(move |place| {
        // SAFETY: `place` is below the value's size in words; a `T` has no padding, so all of its bytes are initialized,
        // and words may be read from any address within it.
        #[expect(unsafe_code, reason = "see SAFETY")]
        unsafe {
            std::ptr::from_ref(value).cast::<u64>().add(place).read_unaligned()
        }
    })
}

impl<T> Drop for SharedArray<T> {
    fn drop(&mut self) {
        // SAFETY: this mapping was made in `mapped` with this length, and no reference into it outlives `self`.
        #[expect(unsafe_code, reason = "see SAFETY")]
        unsafe {
            libc::munmap(self.memory.as_ptr().cast(), self.words * 8);
        }
    }
}

// SAFETY: the mapping belongs to the process, not to a thread.
#[expect(unsafe_code, reason = "see SAFETY")]
unsafe impl<T: Send> Send for SharedArray<T> {}
// SAFETY: all access goes through atomic words.
#[expect(unsafe_code, reason = "see SAFETY")]
unsafe impl<T: Sync> Sync for SharedArray<T> {}

impl<T> fmt::Debug for SharedArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArray").field("elements", &self.elements).finish_non_exhaustive()
    }
}
