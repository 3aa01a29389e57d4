//! The slab: the entries that connections live in.
//!
//! Entries are allocated 1,024 at a time and never moved, so that any thread can access one while another allocates more. An entry is
//! reused; its generation distinguishes the events of one connection from those of the next.

use super::connection::Connection;
use super::sys::owned::{Claim, Guard, Kept, Owned};
use super::sys::{epoll, socket};
use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

const CHUNK: usize = 1024;
const STRIPES: usize = 64;
const NO_FD: RawFd = -1;

/// The contents of an entry.
#[derive(Default)]
pub(super) struct Tenant {
    /// Some while a connection lives here.
    pub(super) socket: Option<OwnedFd>,
    pub(super) connection: Connection,
    /// Is the socket registered with the epoll?
    pub(super) registered: bool,
    /// Is it registered for output as well?
    pub(super) watches_output: bool,
    /// May there be input that was not received, since an exchange was waited for?
    pub(super) unreceived: bool,
    /// Bytes of this connection that are counted as buffered.
    pub(super) counted: usize,
    /// Is it only there to get a 503?
    pub(super) turned_away: bool,
}

struct Place {
    cell: Owned<Tenant>,
    /// The socket's descriptor, for threads that use it without owning the entry. Guarded by the entry's stripe, except while a
    /// connection is inserted, when no other thread knows it yet.
    fd: AtomicI32,
}

struct Chunk {
    places: Box<[Place]>,
    /// When to check each entry again, in milliseconds modulo 2^32; 0 is never. Dense, so that a sweep is quick.
    deadlines: Box<[AtomicU32]>,
}

/// All entries.
pub(super) struct Slab {
    chunks: Box<[OnceCell<Chunk>]>,
    free: Mutex<Free>,
    /// A thread that closes a socket, or uses one without owning its entry, holds the entry's stripe: otherwise the descriptor's number
    /// might already belong to a new file of the host's.
    stripes: [Mutex<()>; STRIPES],
    /// How many connections there are, including those that are about to be inserted.
    tenants: AtomicUsize,
}

struct Free {
    indices: Vec<u32>,
    /// Entries from this index on were never used.
    next: usize,
    capacity: usize,
}

/// An entry, and the generation of the connection in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl Id {
    /// As a token for the epoll.
    pub(super) fn token(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(super) fn from_token(token: u64) -> Id {
        Id { index: token as u32, generation: (token >> 32) as u32 }
    }
}

impl Slab {
    pub(super) fn new(capacity: usize) -> Slab {
        Slab {
            chunks: (0..capacity.div_ceil(CHUNK)).map(|_| OnceCell::new()).collect(),
            free: Mutex::new(Free { indices: Vec::new(), next: 0, capacity }),
            stripes: std::array::from_fn(|_| Mutex::new(())),
            tenants: AtomicUsize::new(0),
        }
    }

    /// How many connections there are, including those that are about to be inserted.
    pub(super) fn len(&self) -> usize {
        self.tenants.load(Ordering::SeqCst)
    }

    /// Counts a connection that was accepted, and will be inserted.
    pub(super) fn expect(&self) {
        self.tenants.fetch_add(1, Ordering::SeqCst);
    }

    /// Inserts a connection that was expected, and which the caller owns. Err: the socket, since all entries are taken.
    pub(super) fn insert(&self, socket: OwnedFd, connection: Connection) -> Result<(Id, Guard<'_, Tenant>), OwnedFd> {
        let Some(index) = self.free.lock().take() else {
            self.tenants.fetch_sub(1, Ordering::SeqCst);
            return Err(socket);
        };
        let place = self.place(index);
        // A sweep may own the empty entry for a moment.
        let mut guard = loop {
            match place.cell.claim_any() {
                Some(guard) => break guard,
                None => std::hint::spin_loop(),
            }
        };
        place.fd.store(socket.as_raw_fd(), Ordering::Relaxed);
        let id = Id { index, generation: guard.generation() };
        *guard = Tenant { socket: Some(socket), connection, ..Tenant::default() };
        guard.connection.set_ticket(id.token());
        Ok((id, guard))
    }

    /// Removes a connection and closes its socket.
    pub(super) fn remove(&self, id: Id, mut guard: Guard<'_, Tenant>) {
        let place = self.place(id.index);
        self.deadline(id.index).store(0, Ordering::Relaxed);
        let tenant = std::mem::take(&mut *guard);
        {
            let _stripe = self.stripe(id.index).lock();
            place.fd.store(NO_FD, Ordering::Relaxed);
            guard.retire();
            drop(tenant.socket);
        }
        // The connection may hold values of the host's, whose destructors may take long; no lock is held meanwhile.
        drop(tenant.connection);
        self.free.lock().indices.push(id.index);
        self.tenants.fetch_sub(1, Ordering::SeqCst);
    }

    /// Claims the connection, if it is still there and not owned; otherwise notes the event for its owner.
    #[inline(always)]
    pub(super) fn claim(&self, id: Id, noted: u64) -> Claim<'_, Tenant> {
        self.place(id.index).cell.claim(id.generation, noted)
    }

    /// Claims the connection again for the thread that has kept it owned.
    pub(super) fn resume(&self, id: Id, kept: Kept) -> Option<Guard<'_, Tenant>> {
        self.place(id.index).cell.resume(kept)
    }

    /// A duplicate of the socket's descriptor; None if the connection is gone.
    pub(super) fn duplicate(&self, id: Id) -> io::Result<Option<OwnedFd>> {
        self.with_fd(id, |fd| socket::duplicate(fd).map(Some))
    }

    /// Registers a connection's socket with the epoll.
    pub(super) fn register(&self, id: Id, epoll: &epoll::Epoll) -> io::Result<()> {
        self.with_fd(id, |fd| epoll.add(fd, epoll::READ, id.token()))
    }

    /// Puts a connection back into the epoll's ready list, whether or not anything new has come.
    pub(super) fn requeue(&self, id: Id, epoll: &epoll::Epoll) -> io::Result<()> {
        self.with_fd(id, |fd| epoll.modify(fd, epoll::READ_WRITE, id.token()))
    }

    /// Uses the socket of a connection that this thread need not own; does nothing if it is gone.
    fn with_fd<R: Default>(&self, id: Id, act: impl FnOnce(RawFd) -> io::Result<R>) -> io::Result<R> {
        let place = self.place(id.index);
        let _stripe = self.stripe(id.index).lock();
        let fd = place.fd.load(Ordering::Relaxed);
        if fd == NO_FD || place.cell.generation() != id.generation {
            return Ok(R::default());
        }
        act(fd)
    }

    /// Re-queues all connections; the owner of one sees it as a further event.
    pub(super) fn requeue_all(&self, epoll: &epoll::Epoll) {
        for index in self.used() {
            let generation = self.place(index).cell.generation();
            // One that is not registered yet is re-queued by its owner after that.
            let _ = self.requeue(Id { index, generation }, epoll);
        }
    }

    /// Sets when the connection is checked again; 0 is never.
    pub(super) fn set_deadline(&self, index: u32, deadline: u32) {
        self.deadline(index).store(deadline, Ordering::Relaxed);
    }

    /// Has the deadline of this entry passed?
    pub(super) fn is_due(&self, index: u32, now: u32) -> bool {
        is_past(self.deadline(index).load(Ordering::Relaxed), now)
    }

    /// Claims one after the other all free connections whose deadline has passed, for `each`.
    pub(super) fn for_each_due<'s>(&'s self, now: u32, mut each: impl FnMut(Id, Guard<'s, Tenant>)) {
        for index in self.used() {
            if self.is_due(index, now) {
                self.visit(index, &mut each);
            }
        }
    }

    /// Claims one after the other all connections that no thread owns, for `each`.
    pub(super) fn for_each_free<'s>(&'s self, mut each: impl FnMut(Id, Guard<'s, Tenant>)) {
        for index in self.used() {
            self.visit(index, &mut each);
        }
    }

    /// The same, and the owners of the others will look again, and see what this thread has done before.
    pub(super) fn for_each_free_and_tell<'s>(&'s self, mut each: impl FnMut(Id, Guard<'s, Tenant>)) {
        for index in self.used() {
            if let Some(guard) = self.place(index).cell.claim_or_tell() {
                give(index, guard, &mut each);
            }
        }
    }

    /// Shuts down both directions of all owned connections, so that their threads notice.
    pub(super) fn cut_owned(&self) {
        for index in self.used() {
            let place = self.place(index);
            let _stripe = self.stripe(index).lock();
            let fd = place.fd.load(Ordering::Relaxed);
            if fd != NO_FD && place.cell.is_owned() {
                socket::cut(fd);
            }
        }
    }

    /// Gives each socket's descriptor to `each`, without locking.
    pub(super) fn for_each_fd(&self, each: &mut dyn FnMut(RawFd)) {
        for chunk in self.chunks.iter().filter_map(OnceCell::get) {
            let numbers = chunk.places.iter().map(|place| place.fd.load(Ordering::Relaxed));
            numbers.filter(|&fd| fd != NO_FD).for_each(&mut *each);
        }
    }

    fn visit<'s>(&'s self, index: u32, each: &mut impl FnMut(Id, Guard<'s, Tenant>)) {
        if let Some(guard) = self.place(index).cell.claim_any() {
            give(index, guard, each);
        }
    }

    fn used(&self) -> std::ops::Range<u32> {
        0..self.free.lock().next as u32
    }

    fn chunk(&self, index: u32) -> &Chunk {
        self.chunks[index as usize / CHUNK].get_or_init(|| Chunk {
            places: (0..CHUNK).map(|_| Place { cell: Owned::new(Tenant::default()), fd: AtomicI32::new(NO_FD) }).collect(),
            deadlines: (0..CHUNK).map(|_| AtomicU32::new(0)).collect(),
        })
    }

    fn place(&self, index: u32) -> &Place {
        &self.chunk(index).places[index as usize % CHUNK]
    }

    fn deadline(&self, index: u32) -> &AtomicU32 {
        &self.chunk(index).deadlines[index as usize % CHUNK]
    }

    fn stripe(&self, index: u32) -> &Mutex<()> {
        &self.stripes[index as usize % STRIPES]
    }
}

impl Free {
    fn take(&mut self) -> Option<u32> {
        if let Some(index) = self.indices.pop() {
            return Some(index);
        }
        (self.next < self.capacity).then(|| {
            self.next += 1;
            (self.next - 1) as u32
        })
    }
}

/// Gives an entry to `each`, unless it is empty.
fn give<'s>(index: u32, guard: Guard<'s, Tenant>, each: &mut impl FnMut(Id, Guard<'s, Tenant>)) {
    if guard.socket.is_some() {
        each(Id { index, generation: guard.generation() }, guard);
    } else {
        guard.abandon();
    }
}

/// Times are compared modulo 2^32: less than half of that ahead is in the future.
fn is_past(deadline: u32, now: u32) -> bool {
    deadline != 0 && now.wrapping_sub(deadline) as i32 >= 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_survive_the_end_of_the_clock() {
        assert!(!is_past(0, 5), "0 is never");
        assert!(is_past(5, 5));
        assert!(!is_past(6, 5));
        assert!(!is_past(10, u32::MAX - 10), "ten after the end");
        assert!(is_past(u32::MAX - 10, 10));
    }

    #[test]
    fn a_token_names_place_and_generation() {
        let id = Id { index: 7, generation: 9 };
        assert_eq!(Id::from_token(id.token()), id);
    }

    #[test]
    fn a_tenant_fits_beside_its_deadline_in_256_bytes() {
        assert!(size_of::<Place>() + size_of::<AtomicU32>() <= 256, "{}", size_of::<Place>());
    }
}
