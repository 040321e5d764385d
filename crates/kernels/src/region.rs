//! Anonymous memory for measurements: aligned to huge pages, given back when dropped.

use std::ffi::c_void;
use std::ptr;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// Size of a huge page on the architectures we run on; regions start on such a boundary.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Private memory of this process, not yet touched.
///
/// It hands out a bare pointer: several threads write disjoint parts of it at once, and which
/// part is whose is known to the measurement only.
#[derive(Debug)]
pub(crate) struct Region {
    mapping: *mut c_void,
    mapped: usize,
    start: *mut c_void,
    bytes: usize,
    huge: bool,
}

// SAFETY: a region is memory that nothing else owns; who uses which part, and when, is up to the
// unsafe code that dereferences its pointer.
unsafe impl Send for Region {}
// SAFETY: as for `Send`; a shared region gives out a pointer only.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `bytes` of memory and asks for huge pages. The memory is not reserved: a page exists
    /// from its first touch on.
    pub(crate) fn new(bytes: usize) -> rustix::io::Result<Self> {
        let mapped = bytes
            .checked_add(HUGE_PAGE)
            .ok_or(rustix::io::Errno::NOMEM)?;
        // SAFETY: a new private mapping at an address that the kernel chooses touches nothing.
        let mapping = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                mapped,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }?;
        let skip = mapping.cast::<u8>().align_offset(HUGE_PAGE);
        // SAFETY: the mapping is longer than `bytes` by a huge page, and `skip` is less than that.
        let start = unsafe { mapping.byte_add(skip) };
        // SAFETY: the range lies inside the mapping; the advice changes no content.
        let huge = unsafe { madvise(start, bytes, Advice::LinuxHugepage) }.is_ok();
        Ok(Self {
            mapping,
            mapped,
            start,
            bytes,
            huge,
        })
    }

    /// First byte, aligned to a huge page.
    pub(crate) fn start(&self) -> *mut c_void {
        self.start
    }

    /// Usable length in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Has small pages made for what is touched from now on; true if that changes anything.
    pub(crate) fn refuse_huge_pages(&mut self) -> bool {
        // SAFETY: the range lies inside the mapping; the advice changes no content.
        let refused = self.huge
            && unsafe { madvise(self.start, self.bytes, Advice::LinuxNoHugepage) }.is_ok();
        self.huge = false;
        refused
    }

    /// Whether the kernel took the advice to use huge pages. It may still lack them.
    pub(crate) fn huge_pages_advised(&self) -> bool {
        self.huge
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever borrowed a pointer borrowed the region.
        // A failure would leave memory mapped until the process ends, which nobody could mend.
        let _unmapped = unsafe { munmap(self.mapping, self.mapped) };
    }
}
