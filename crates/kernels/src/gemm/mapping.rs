//! Memory for matrices: anonymous pages, huge where the kernel gives them, placed by first touch.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// Size and alignment of a huge page on x86-64 and on most 64-bit Arm systems, bytes.
const HUGE: usize = 2 << 20;

/// A zero-filled array of `len` numbers that several threads write in disjoint parts.
///
/// No page exists before it is written, so each lands on the memory node of its first writer.
pub(super) struct Mapping<T> {
    base: NonNull<c_void>,
    mapped: usize,
    start: NonNull<T>,
    len: usize,
    marker: PhantomData<T>,
}

// SAFETY: the mapping is plain memory that is owned by this value alone.
unsafe impl<T: Send> Send for Mapping<T> {}
// SAFETY: shared access is by raw pointer; each user states why its accesses do not collide.
unsafe impl<T: Sync> Sync for Mapping<T> {}

impl<T: Copy> Mapping<T> {
    /// Maps room for `len` numbers, of a type for which all-zero bytes are a value.
    pub(super) fn new(len: usize) -> Result<Self, rustix::io::Errno> {
        let bytes = len
            .checked_mul(size_of::<T>())
            .and_then(|bytes| bytes.max(1).checked_next_multiple_of(HUGE))
            .ok_or(rustix::io::Errno::NOMEM)?;
        // One huge page more than needed, so that an aligned start lies inside.
        let mapped = bytes.checked_add(HUGE).ok_or(rustix::io::Errno::NOMEM)?;
        // SAFETY: a new private mapping at an address of the kernel's choice touches nothing else.
        let base = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                mapped,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let offset = base.align_offset(HUGE);
        // SAFETY: the offset is less than HUGE, and HUGE bytes more than needed were mapped.
        let start = unsafe { base.byte_add(offset) };
        // Advice only: a kernel without huge pages refuses it, and small pages work as well.
        // SAFETY: the range lies inside the mapping made above.
        let _advice = unsafe { madvise(start, bytes, Advice::LinuxHugepage) };
        // SAFETY: a successful mmap never returns null, and the offset stays inside.
        let (base, start) = unsafe {
            (
                NonNull::new_unchecked(base),
                NonNull::new_unchecked(start.cast()),
            )
        };
        Ok(Self {
            base,
            mapped,
            start,
            len,
            marker: PhantomData,
        })
    }

    pub(super) fn pointer(&self) -> *mut T {
        self.start.as_ptr()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The whole array.
    ///
    /// # Safety
    /// No thread writes while the slice is alive.
    pub(super) unsafe fn as_slice(&self) -> &[T] {
        // SAFETY: the mapping holds `len` initialised numbers; the caller excludes writers.
        unsafe { std::slice::from_raw_parts(self.pointer(), self.len) }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: base and length are those of the mapping, and no borrow outlives `self`.
        let _ignored = unsafe { munmap(self.base.as_ptr(), self.mapped) };
    }
}
