//! Keeps small files in memory while they are requested.

use crate::file::{Identity, Servable};
use parking_lot::RwLock;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The limit for all files of an app, including what is remembered about them.
const MOST_BYTES: usize = 16 << 20;

/// The size of an entry without its files: names, tags, its places in the table and in the order.
const ENTRY_BYTES: usize = 1024;

/// An app's cache for the files of all its folders. No lock is held while a file is accessed.
pub(crate) struct Memory {
    started: Instant,
    /// For how many milliseconds an entry holds without a check; 0 disables the cache.
    fresh_ms: AtomicU64,
    store: RwLock<Store>,
}

#[derive(Default)]
struct Store {
    /// By folder and path.
    folders: Vec<HashMap<Box<[u8]>, Arc<Entry>>>,
    /// Every key once, the next to be evicted first.
    order: VecDeque<(usize, Box<[u8]>)>,
    bytes: usize,
}

/// What was found for a path, as it was at `checked`.
pub(super) struct Entry {
    /// The file's own path, and its codings'. None: there was none.
    pub(super) variants: [Option<Variant>; 3],
    checked_ms: AtomicU64,
    /// Is a thread checking whether it still holds?
    checking: AtomicBool,
    /// Was it requested since it was last spared from eviction?
    used: AtomicBool,
}

pub(super) struct Variant {
    pub(super) identity: Identity,
    /// None: the file is too large to be kept.
    pub(super) kept: Option<Arc<Servable>>,
}

/// What to do with an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It holds.
    Fresh,
    /// The caller must check the files, and call `confirm`.
    Check,
    /// Another thread checks, and takes long: do without the entry.
    Old,
}

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory { started: Instant::now(), fresh_ms: AtomicU64::new(1000), store: RwLock::default() }
    }

    pub(crate) fn set_fresh_ms(&self, fresh_ms: u64) {
        self.fresh_ms.store(fresh_ms, Ordering::Relaxed);
    }

    pub(super) fn fresh(&self) -> Duration {
        Duration::from_millis(self.fresh_ms.load(Ordering::Relaxed))
    }

    /// Returns a number for another folder.
    pub(super) fn add_folder(&self) -> usize {
        let mut store = self.store.write();
        store.folders.push(HashMap::new());
        store.folders.len() - 1
    }

    pub(super) fn get(&self, folder: usize, path: &[u8]) -> Option<Arc<Entry>> {
        let store = self.store.read();
        let entry = store.folders[folder].get(path)?;
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(entry))
    }

    /// Stores what was found at `now_ms`.
    pub(super) fn put(&self, folder: usize, path: &[u8], variants: [Option<Variant>; 3], now_ms: u64) {
        let entry = Arc::new(Entry {
            variants,
            checked_ms: AtomicU64::new(now_ms),
            checking: AtomicBool::new(false),
            used: AtomicBool::new(false),
        });
        let mut gone = Vec::new();
        let mut store = self.store.write();
        store.bytes += entry.bytes(path);
        match store.folders[folder].insert(path.into(), entry) {
            None => store.order.push_back((folder, path.into())),
            Some(before) => {
                store.bytes -= before.bytes(path);
                gone.push(before);
            }
        }
        while store.bytes > MOST_BYTES {
            let Some((folder, path)) = store.order.pop_front() else { break };
            // An entry that was requested meanwhile is spared once.
            if store.folders[folder].get(&path).is_some_and(|entry| entry.used.swap(false, Ordering::Relaxed)) {
                store.order.push_back((folder, path));
            } else if let Some(entry) = store.folders[folder].remove(&path) {
                store.bytes -= entry.bytes(&path);
                gone.push(entry);
            }
        }
        drop(store);
        // Evicted entries are freed without the lock.
        drop(gone);
    }

    /// Removes an entry that no longer holds, unless it was replaced.
    pub(super) fn forget(&self, folder: usize, path: &[u8], entry: &Arc<Entry>) {
        let mut store = self.store.write();
        if store.folders[folder].get(path).is_some_and(|there| Arc::ptr_eq(there, entry)) {
            store.folders[folder].remove(path);
            store.bytes -= entry.bytes(path);
            store.order.retain(|(number, key)| *number != folder || **key != *path);
        }
    }

    /// Milliseconds since the app was made.
    pub(super) fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Does an entry still hold? One thread at a time is to check.
    pub(super) fn freshness(&self, entry: &Entry) -> Freshness {
        let fresh_ms = self.fresh_ms.load(Ordering::Relaxed);
        let age = self.now_ms().saturating_sub(entry.checked_ms.load(Ordering::Acquire));
        if age < fresh_ms {
            Freshness::Fresh
        } else if !entry.checking.swap(true, Ordering::Acquire) {
            Freshness::Check
        } else if age < 2 * fresh_ms {
            // While another thread checks, the others need not wait.
            Freshness::Fresh
        } else {
            Freshness::Old
        }
    }

    /// The files of an entry are unchanged as of `now_ms`.
    pub(super) fn confirm(&self, entry: &Entry, now_ms: u64) {
        entry.checked_ms.store(now_ms, Ordering::Release);
        entry.checking.store(false, Ordering::Release);
    }
}

impl Entry {
    fn bytes(&self, path: &[u8]) -> usize {
        let kept = self.variants.iter().flatten().filter_map(|variant| variant.kept.as_ref());
        ENTRY_BYTES + 2 * path.len() + kept.map(|file| file.len() as usize).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> [Option<Variant>; 3] {
        [None, None, None]
    }

    #[test]
    fn one_thread_is_told_to_look_again() {
        let memory = Memory::new();
        memory.set_fresh_ms(1_000_000);
        let folder = memory.add_folder();
        memory.put(folder, b"a", none(), 0);
        let entry = memory.get(folder, b"a").unwrap();
        assert_eq!(memory.freshness(&entry), Freshness::Fresh);
        memory.set_fresh_ms(0);
        assert_eq!(memory.freshness(&entry), Freshness::Check);
        assert_eq!(memory.freshness(&entry), Freshness::Old);
        memory.set_fresh_ms(1_000_000);
        memory.confirm(&entry, memory.now_ms());
        assert_eq!(memory.freshness(&entry), Freshness::Fresh);
        memory.set_fresh_ms(0);
        assert_eq!(memory.freshness(&entry), Freshness::Check);
    }

    #[test]
    fn it_never_holds_more_than_it_may_and_spares_what_is_asked_for() {
        let memory = Memory::new();
        let folder = memory.add_folder();
        memory.put(folder, b"wanted", none(), 0);
        for number in 0..100_000_u32 {
            memory.put(folder, &number.to_le_bytes(), none(), 0);
            assert!(memory.get(folder, b"wanted").is_some(), "after {number}");
        }
        let store = memory.store.read();
        assert!(store.bytes <= MOST_BYTES && store.bytes > MOST_BYTES - 2 * ENTRY_BYTES);
        assert_eq!(store.order.len(), store.folders[folder].len());
    }

    #[test]
    fn a_replaced_entry_counts_once_and_a_forgotten_one_not_at_all() {
        let memory = Memory::new();
        let (one, other) = (memory.add_folder(), memory.add_folder());
        memory.put(one, b"a", none(), 0);
        let old = memory.get(one, b"a").unwrap();
        memory.put(one, b"a", none(), 0);
        memory.put(other, b"a", none(), 0);
        memory.forget(one, b"a", &old);
        assert!(memory.get(one, b"a").is_some(), "that is another one by now");
        let now = memory.get(one, b"a").unwrap();
        memory.forget(one, b"a", &now);
        assert!(memory.get(one, b"a").is_none());
        assert!(memory.get(other, b"a").is_some());
        let store = memory.store.read();
        assert_eq!((store.bytes, store.order.len()), (ENTRY_BYTES + 2, 1));
    }
}
