//! What a fork of the process has to know: that it is one, and which descriptors are not its own.
//!
//! A fork has copies of all descriptors. As long as it holds them a connection that we close is not closed to its client, and a
//! port that we give up is not free. So the copies are closed in the fork before it does anything else.

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Once, Weak};

/// Tells whether this is still the process that made it.
pub(crate) struct Birthmark {
    /// A page that a fork finds wiped; None where the kernel cannot do that.
    page: Option<NonNull<AtomicU8>>,
    process: u32,
}

// SAFETY: the page is written once, before it is shared, and is an atomic.
unsafe impl Send for Birthmark {}
// SAFETY: as above.
unsafe impl Sync for Birthmark {}

const PAGE: usize = 4096;

impl Birthmark {
    pub(crate) fn new() -> Birthmark {
        Birthmark { page: wiped_page(), process: std::process::id() }
    }

    /// Is this a fork of the process that made it? It costs one load, where asking for the process's number is a system call.
    pub(crate) fn is_forked(&self) -> bool {
        match self.page {
            // SAFETY: the page stays until drop.
            Some(page) => unsafe { page.as_ref() }.load(Ordering::Relaxed) == 0,
            None => std::process::id() != self.process,
        }
    }
}

impl Drop for Birthmark {
    fn drop(&mut self) {
        if let Some(page) = self.page {
            // SAFETY: it was mapped with this length, and nobody has it any more.
            unsafe { libc::munmap(page.as_ptr().cast(), PAGE) };
        }
    }
}

fn wiped_page() -> Option<NonNull<AtomicU8>> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, anywhere.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page was just mapped.
    if unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: as above, and nobody knows it.
        unsafe { libc::munmap(page, PAGE) };
        return None;
    }
    let mark = NonNull::new(page.cast::<AtomicU8>())?;
    // SAFETY: it has a page of room, and is nobody else's yet.
    unsafe { mark.as_ref() }.store(1, Ordering::Relaxed);
    Some(mark)
}

/// Something with descriptors that a fork must not keep.
pub(crate) trait Descriptors: Send + Sync {
    /// Gives one after the other to `each`. It is called in a fork, where other threads' locks are never let go of: it takes none.
    fn for_each(&self, each: &mut dyn FnMut(RawFd));
}

static KNOWN: Known = Known { is_locked: AtomicBool::new(false), list: UnsafeCell::new(Vec::new()) };

/// Those there are. The lock is as simple as can be: a fork finds it locked by the thread that it is a copy of.
struct Known {
    is_locked: AtomicBool,
    list: UnsafeCell<Vec<Weak<dyn Descriptors>>>,
}

// SAFETY: the list is used between `lock` and `unlock` only.
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

/// A fork closes these from now on.
pub(crate) fn close_in_forks(descriptors: Weak<dyn Descriptors>) -> io::Result<()> {
    static REGISTERED: Once = Once::new();
    let mut result = 0;
    REGISTERED.call_once(|| {
        // SAFETY: the three stay loaded, since the library is linked with `nodelete`, or is a part of the program.
        result = unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_fork)) };
    });
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    KNOWN.lock();
    // SAFETY: it is locked.
    let known = unsafe { &mut *KNOWN.list.get() };
    known.retain(|weak| weak.strong_count() > 0);
    known.push(descriptors);
    KNOWN.unlock();
    Ok(())
}

/// Nobody else is at the list while the process forks.
extern "C" fn before_fork() {
    KNOWN.lock();
}

/// Has this process forked? Then somebody may have copies of descriptors that are not known here, such as a handler's.
pub(crate) fn has_forked() -> bool {
    HAS_FORKED.load(Ordering::Relaxed)
}

static HAS_FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn after_fork() {
    HAS_FORKED.store(true, Ordering::Relaxed);
    KNOWN.unlock();
}

extern "C" fn in_fork() {
    // SAFETY: `before_fork` has locked it, and this is the only thread of the fork.
    let known = std::mem::take(unsafe { &mut *KNOWN.list.get() });
    for weak in &known {
        let Some(descriptors) = weak.upgrade() else { continue };
        descriptors.for_each(&mut |fd| {
            // SAFETY: a copy of the other process's, which nobody here uses: whoever asks is told that this is a fork.
            unsafe { libc::close(fd) };
        });
        // It is never dropped here: that would close numbers that are somebody else's by then.
        std::mem::forget(descriptors);
    }
    // Nothing is freed either, in a process that may have been forked in the middle of anything.
    std::mem::forget(known);
    KNOWN.unlock();
}
