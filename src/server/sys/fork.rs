//! Fork safety: lets a child detect that it is one, and closes its copies of the library's descriptors.
//!
//! A child has copies of all descriptors. While it holds them, a connection that the parent closes stays open for its client, and a port
//! that it gives up stays in use. So the child closes the copies before it does anything else.

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Once, Weak};

/// Detects whether this is still the process that created it.
pub(crate) struct Birthmark {
    /// A page that the kernel wipes in children; None if it cannot.
    page: Option<NonNull<AtomicU8>>,
    process: u32,
}

// SAFETY: the page holds an atomic, and is written once, before it is shared.
unsafe impl Send for Birthmark {}
// SAFETY: as above.
unsafe impl Sync for Birthmark {}

const PAGE: usize = 4096;

impl Birthmark {
    pub(crate) fn new() -> Birthmark {
        Birthmark { page: wiped_page(), process: std::process::id() }
    }

    /// Is this a child of the process that created it? Costs one load, whereas getpid is a system call.
    pub(crate) fn is_forked(&self) -> bool {
        match self.page {
            // SAFETY: the page is mapped until drop.
            Some(page) => unsafe { page.as_ref() }.load(Ordering::Relaxed) == 0,
            None => std::process::id() != self.process,
        }
    }
}

impl Drop for Birthmark {
    fn drop(&mut self) {
        if let Some(page) = self.page {
            // SAFETY: it was mapped with this length, and no reference to it is left.
            unsafe { libc::munmap(page.as_ptr().cast(), PAGE) };
        }
    }
}

fn wiped_page() -> Option<NonNull<AtomicU8>> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page was just mapped.
    if unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: as above, and there is no reference to it.
        unsafe { libc::munmap(page, PAGE) };
        return None;
    }
    let mark = NonNull::new(page.cast::<AtomicU8>())?;
    // SAFETY: the mapping is large enough, aligned, and not shared yet.
    unsafe { mark.as_ref() }.store(1, Ordering::Relaxed);
    Some(mark)
}

/// An owner of descriptors that a child must close.
pub(crate) trait Descriptors: Send + Sync {
    /// Gives each descriptor to `each`. Called in a child, where locks of other threads are never released, so it must not wait for one.
    fn for_each(&self, each: &mut dyn FnMut(RawFd));
}

static KNOWN: Known = Known { is_locked: AtomicBool::new(false), list: UnsafeCell::new(Vec::new()) };

/// All of them. A plain spin lock, since a child inherits it locked by the thread that forked.
struct Known {
    is_locked: AtomicBool,
    list: UnsafeCell<Vec<Weak<dyn Descriptors>>>,
}

// SAFETY: the list is accessed only between `lock` and `unlock`.
unsafe impl Sync for Known {}

impl Known {
    fn lock(&self) {
        while self.is_locked.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    fn unlock(&self) {
        self.is_locked.store(false, Ordering::Release);
    }
}

/// Registers descriptors to be closed in children.
pub(crate) fn close_in_forks(descriptors: Weak<dyn Descriptors>) -> io::Result<()> {
    static REGISTERED: Once = Once::new();
    let mut result = 0;
    REGISTERED.call_once(|| {
        // SAFETY: the three functions stay loaded, since the library is linked with `nodelete`, or is a part of the program.
        result = unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_fork)) };
    });
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    KNOWN.lock();
    // SAFETY: `KNOWN` is locked.
    let known = unsafe { &mut *KNOWN.list.get() };
    known.retain(|weak| weak.strong_count() > 0);
    known.push(descriptors);
    KNOWN.unlock();
    Ok(())
}

/// Locks the list, so that no other thread changes it while the process forks.
extern "C" fn before_fork() {
    KNOWN.lock();
}

/// Has this process forked? Then a child may hold copies of descriptors that are not registered here, such as a handler's duplicate.
pub(crate) fn has_forked() -> bool {
    HAS_FORKED.load(Ordering::Relaxed)
}

static HAS_FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn after_fork() {
    HAS_FORKED.store(true, Ordering::Relaxed);
    KNOWN.unlock();
}

extern "C" fn in_fork() {
    // SAFETY: `before_fork` has locked it, and this is the child's only thread.
    let known = std::mem::take(unsafe { &mut *KNOWN.list.get() });
    for weak in &known {
        let Some(descriptors) = weak.upgrade() else { continue };
        descriptors.for_each(&mut |fd| {
            // SAFETY: a copy of the parent's descriptor, which the child does not use: its calls fail with the error of a fork.
            unsafe { libc::close(fd) };
        });
        // Never dropped here: that would close the same numbers again, which may be other files by then.
        std::mem::forget(descriptors);
    }
    // Not freed either: the parent may have forked while another thread was inside the allocator.
    std::mem::forget(known);
    KNOWN.unlock();
}
