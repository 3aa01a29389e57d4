//! `src/server/sys/owned.rs`: a connection has one owner at a time, and no event is lost.

use super::{Model, Tally, reached};
use crate::sys::owned::{Claim, FIN, GONE, Guard, Owned};
use crate::sys::sync::{AtomicUsize, Mutex, Ordering};
use loom::thread;
use std::sync::Arc;

const BUSY: &str = "somebody else has it";
const WHO_CLOSES: &[&str] = &["whoever owns it closes it", "the last thread to serve closes it", BUSY];

pub(super) static MODELS: &[Model] = &[
    Model {
        name: "owned: owners never meet, and each sees what the one before has done",
        run: owners_never_meet,
        reaches: &[BUSY],
        interruptions: Some(2),
    },
    Model { name: "owned: nothing that happens is forgotten", run: nothing_is_forgotten, reaches: &[BUSY], interruptions: None },
    Model {
        name: "owned: who lets go without a look puts it into the queue, and nothing is forgotten",
        run: nothing_is_forgotten_by_who_abandons,
        reaches: &[BUSY],
        interruptions: Some(4),
    },
    Model { name: "owned: the end of the other side is noted, whoever owns", run: the_end_is_noted, reaches: &[BUSY], interruptions: None },
    Model {
        name: "owned: what was meant for the tenant before reaches nobody",
        run: what_was_meant_for_the_tenant_before,
        reaches: &["it reaches the tenant before", "it reaches nobody", BUSY],
        interruptions: None,
    },
    Model {
        name: "owned: a sweep owns it only where nobody does",
        run: a_sweep_owns_it_only_where_nobody_does,
        reaches: &["the sweep owns it", "the sweep passes it by", BUSY],
        interruptions: None,
    },
    Model {
        name: "owned: at the end of the app it is closed by the last thread, or by whoever brings its answer",
        run: somebody_closes_it,
        reaches: &["it is left to whoever brings the answer", "the last thread closes it", BUSY],
        interruptions: None,
    },
    Model {
        name: "owned: at the end of the app whoever owns it closes it, or the last thread does",
        run: || {
            whoever_owns_it_closes_it(|guard| {
                let _ = guard.release().map(Guard::abandon);
            })
        },
        reaches: WHO_CLOSES,
        interruptions: None,
    },
    Model {
        name: "owned: at the end of the app whoever abandons it closes it, or the last thread does",
        run: || whoever_owns_it_closes_it(|guard| guard.abandon()),
        reaches: WHO_CLOSES,
        interruptions: None,
    },
];

fn mine<T>(claim: Claim<'_, T>) -> Option<Guard<'_, T>> {
    match claim {
        Claim::Mine(guard) => Some(guard),
        Claim::Busy => {
            reached(BUSY);
            None
        }
        Claim::Stale => panic!("it has one tenant"),
    }
}

/// What has happened to a connection, as the kernel knows it, and how much of that was served.
struct Socket {
    connection: Owned<usize>,
    /// Written before the connection is claimed, and read by its owner, like all data that others leave for it.
    came: [AtomicUsize; 2],
}

impl Socket {
    fn new() -> Arc<Socket> {
        Arc::new(Socket { connection: Owned::new(0), came: std::array::from_fn(|_| AtomicUsize::new(0)) })
    }

    fn comes(&self, which: usize) {
        self.came[which].store(1, Ordering::Relaxed);
    }

    /// The owner serves what has come.
    fn see(&self, guard: &mut Guard<'_, usize>) {
        **guard = self.came.iter().map(|came| came.load(Ordering::Relaxed)).sum();
    }

    /// An event comes, and its thread serves it, or leaves it to the owner.
    fn happens(&self, which: usize) {
        self.comes(which);
        let mut owner = mine(self.connection.claim(0, 0));
        while let Some(mut guard) = owner {
            self.see(&mut guard);
            owner = guard.release();
        }
    }

    fn all_was_seen(&self) {
        let guard = mine(self.connection.claim(0, 0)).expect("nobody has it");
        assert_eq!(*guard, self.came.len(), "all that has come was seen");
    }
}

fn owners_never_meet() {
    let owned = Arc::new(Owned::new(0));
    let rounds = Tally::default();
    let serve = |owned: &Owned<usize>, rounds: &Tally| {
        let mut owner = mine(owned.claim(0, 0));
        while let Some(mut guard) = owner {
            *guard += 1;
            rounds.add();
            owner = guard.release();
        }
    };
    let others: Vec<_> = (0..2)
        .map(|_| {
            let (owned, rounds) = (Arc::clone(&owned), rounds.clone());
            thread::spawn(move || serve(&owned, &rounds))
        })
        .collect();
    serve(&owned, &rounds);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(*mine(owned.claim(0, 0)).expect("nobody has it"), rounds.sum());
}

fn nothing_is_forgotten() {
    let socket = Socket::new();
    let other = thread::spawn({
        let socket = Arc::clone(&socket);
        move || socket.happens(1)
    });
    socket.happens(0);
    other.join().unwrap();
    socket.all_was_seen();
}

fn nothing_is_forgotten_by_who_abandons() {
    let socket = Socket::new();
    let other = thread::spawn({
        let socket = Arc::clone(&socket);
        move || socket.happens(1)
    });
    socket.comes(0);
    if let Some(mut guard) = mine(socket.connection.claim(0, 0)) {
        socket.see(&mut guard);
        guard.abandon();
        // Re-queued, the event comes again, to any thread.
        socket.happens(0);
    }
    other.join().unwrap();
    socket.all_was_seen();
}

fn the_end_is_noted() {
    let owned = Arc::new(Owned::new(()));
    let let_go = |mut owner: Option<Guard<'_, ()>>| {
        let mut fin = false;
        while let Some(guard) = owner {
            fin = guard.fin();
            owner = guard.release();
        }
        fin
    };
    let other = thread::spawn({
        let owned = Arc::clone(&owned);
        move || let_go(mine(owned.claim(0, FIN)))
    });
    let seen = let_go(mine(owned.claim(0, 0)));
    assert!(other.join().unwrap() || seen, "whoever had it last has seen the end");
    let guard = mine(owned.claim(0, GONE)).expect("nobody has it");
    assert!(guard.fin() && guard.is_gone());
}

fn what_was_meant_for_the_tenant_before() {
    let owned = Arc::new(Owned::new("the first"));
    let event = thread::spawn({
        let owned = Arc::clone(&owned);
        move || match owned.claim(0, FIN | GONE) {
            Claim::Mine(guard) => {
                reached("it reaches the tenant before");
                assert_eq!(*guard, "the first");
                guard.abandon();
            }
            Claim::Busy => reached(BUSY),
            Claim::Stale => reached("it reaches nobody"),
        }
    });
    let retired = match owned.claim(0, 0) {
        Claim::Mine(mut guard) => {
            *guard = "nobody";
            guard.retire();
            true
        }
        Claim::Busy => false,
        Claim::Stale => panic!("nobody else retires it"),
    };
    if retired {
        let mut guard = owned.claim_any().expect("nobody can claim it yet");
        assert_eq!((guard.generation(), *guard), (1, "nobody"));
        *guard = "the second";
        assert!(!guard.fin() && !guard.is_gone(), "flags do not outlive their tenant");
        assert!(guard.release().is_none(), "nor does what was pending");
    }
    event.join().unwrap();
}

fn a_sweep_owns_it_only_where_nobody_does() {
    let owned = Arc::new(Owned::new(0));
    let event = thread::spawn({
        let owned = Arc::clone(&owned);
        move || {
            let mut rounds = 0;
            let mut owner = mine(owned.claim(0, 0));
            while let Some(mut guard) = owner {
                rounds += 1;
                *guard += 1;
                owner = guard.release();
            }
            rounds
        }
    });
    let mut rounds = 0;
    let mut owner = owned.claim_any();
    reached(if owner.is_some() { "the sweep owns it" } else { "the sweep passes it by" });
    while let Some(mut guard) = owner {
        rounds += 1;
        *guard += 1;
        owner = guard.release();
    }
    rounds += event.join().unwrap();
    assert_eq!(*mine(owned.claim(0, 0)).expect("nobody has it"), rounds);
}

/// What `Engine::close_all` does, and `Engine::close_if_last`.
fn close(mut guard: Guard<'_, bool>) {
    *guard = false;
    guard.retire();
}

fn somebody_closes_it() {
    let connection = Arc::new((Owned::new(true), Mutex::new(false)));
    let brings = thread::spawn({
        let connection = Arc::clone(&connection);
        move || {
            let (owned, is_answered) = &*connection;
            *is_answered.lock() = true;
            match owned.claim(0, 0) {
                Claim::Mine(guard) => drop(guard.release().map(Guard::abandon)),
                Claim::Busy => reached(BUSY),
                Claim::Stale => {}
            }
            if let Claim::Mine(guard) = owned.claim(0, 0) {
                close(guard);
            }
        }
    });
    let (owned, is_answered) = &*connection;
    if let Some(guard) = owned.claim_any() {
        match guard.leave_to(|lives| *lives && !*is_answered.lock()) {
            Some(guard) if !*guard => guard.abandon(),
            Some(guard) => {
                reached("the last thread closes it");
                close(guard);
            }
            None => reached("it is left to whoever brings the answer"),
        }
    }
    brings.join().unwrap();
    assert_eq!(owned.generation(), 1, "it is closed, and once");
}

fn whoever_owns_it_closes_it(let_go: fn(Guard<'_, bool>)) {
    let (owned, serving) = (Arc::new(Owned::new(true)), Arc::new(AtomicUsize::new(1)));
    // What `Engine::attend` does, with `Engine::close_if_last`.
    let attends = thread::spawn({
        let (owned, serving) = (Arc::clone(&owned), Arc::clone(&serving));
        move || {
            match owned.claim(0, 0) {
                Claim::Mine(guard) => let_go(guard),
                Claim::Busy => reached(BUSY),
                Claim::Stale => {}
            }
            if serving.load(Ordering::Relaxed) > 0 {
                return;
            }
            if let Claim::Mine(guard) = owned.claim(0, 0) {
                reached("whoever owns it closes it");
                close(guard);
            }
        }
    });
    // What the last thread to serve does, with `Engine::close_all`.
    serving.fetch_sub(1, Ordering::Relaxed);
    match owned.claim_or_tell() {
        Some(guard) if *guard => {
            reached("the last thread to serve closes it");
            close(guard);
        }
        // Empty, as whoever owned it has left it.
        Some(guard) => guard.abandon(),
        None => {}
    }
    attends.join().unwrap();
    assert_eq!(owned.generation(), 1, "it is closed, and once");
}
