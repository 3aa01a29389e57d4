//! A folder, and the files below it: no path that a client sends opens anything else.

use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A FIFO or a device must not block the thread that opens it, nor become its controlling terminal.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// How often a path is resolved again because something was renamed meanwhile.
const TRIES: usize = 64;

/// The most links in a path, as in the kernel.
const MOST_LINKS: usize = 40;

/// What a path may not do. The kernel enforces it; without openat2, `walk` does.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// The folder that is served. It is reopened from time to time, since a new release may take over its name.
pub(super) struct Root {
    path: PathBuf,
    opened: Mutex<Opened>,
    /// Is openat2 missing, or forbidden by a seccomp filter?
    walks: AtomicBool,
}

struct Opened {
    /// None: it did not exist at the last check.
    folder: Option<Arc<OwnedFd>>,
    at: Instant,
}

/// Something below the root that could be opened: a file, or a folder.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) stat: Stat,
}

impl Root {
    /// Opens a folder. `walks`: never use openat2.
    pub(super) fn new(path: PathBuf, walks: bool) -> std::io::Result<Root> {
        let folder = open_folder(&path)?;
        let opened = Opened { folder: Some(Arc::new(folder)), at: Instant::now() };
        Ok(Root { path, opened: Mutex::new(opened), walks: AtomicBool::new(walks) })
    }

    /// Opens what is at `path` below the folder. The folder's name is looked up again if the last look-up is older than `fresh`.
    pub(super) fn open(&self, path: &[u8], fresh: Duration) -> Result<Found, Errno> {
        let folder = self.folder(fresh)?;
        let opened = self.open_in(folder.as_fd(), path)?;
        let stat = rustix::fs::fstat(&opened)?;
        Ok(Found { file: File::from(opened), stat })
    }

    fn folder(&self, fresh: Duration) -> Result<Arc<OwnedFd>, Errno> {
        {
            let opened = self.opened.lock();
            if opened.at.elapsed() < fresh {
                return opened.folder.clone().ok_or(Errno::NOENT);
            }
        }
        // Opened without the lock: a network file system may take long.
        let at = Instant::now();
        let folder = match open_folder(&self.path) {
            Ok(folder) => Some(Arc::new(folder)),
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(error) => return Err(error),
        };
        let mut opened = self.opened.lock();
        if opened.at < at {
            *opened = Opened { folder: folder.clone(), at };
        }
        folder.ok_or(Errno::NOENT)
    }

    fn open_in(&self, folder: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
        if !self.walks.load(Ordering::Relaxed) {
            match open_beneath(folder, path) {
                // A seccomp filter refuses calls that it does not know with EPERM.
                Err(Errno::NOSYS | Errno::PERM) => self.walks.store(true, Ordering::Relaxed),
                done => return done,
            }
        }
        walk(folder, path)
    }
}

fn open_folder(path: &std::path::Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Lets the kernel resolve the path below the folder.
fn open_beneath(folder: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(folder, path, READ, Mode::empty(), BENEATH) {
            // A rename came in between, and the kernel cannot tell whether the path led outside.
            Err(Errno::AGAIN | Errno::INTR) if tries < TRIES => tries += 1,
            done => return done,
        }
    }
}

/// Resolves the path name by name: links are read, never followed by the kernel, so that none leads outside.
fn walk(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut names = names_of(path);
    let mut links = 0;
    while let Some(name) = names.pop() {
        match &*name {
            b"" | b"." => continue,
            b".." => {
                above.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            _ => {}
        }
        let folder = above.last().map_or(root, AsFd::as_fd);
        let next = rustix::fs::openat(folder, &*name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        match rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode) {
            rustix::fs::FileType::Symlink => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP);
                }
                let target = rustix::fs::readlinkat(&next, "", Vec::new())?.into_bytes();
                if target.starts_with(b"/") {
                    return Err(Errno::XDEV);
                }
                names.extend(names_of(&target));
            }
            rustix::fs::FileType::Directory => above.push(next),
            _ if !names.is_empty() => return Err(Errno::NOTDIR),
            // Opened by name again; if a link has replaced it meanwhile, that fails.
            _ => return rustix::fs::openat(folder, &*name, READ | OFlags::NOFOLLOW, Mode::empty()),
        }
    }
    rustix::fs::openat(above.last().map_or(root, AsFd::as_fd), ".", READ | OFlags::DIRECTORY, Mode::empty())
}

/// The names of a path, the first one last.
fn names_of(path: &[u8]) -> Vec<Box<[u8]>> {
    path.rsplit(|&b| b == b'/').map(Box::from).collect()
}

/// One name in a folder: its kind and size, for a listing.
pub(super) fn look_at(folder: &File, name: &std::ffi::CStr) -> Result<Stat, Errno> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}
