//! `src/server/verdict.rs`: an exchange and its connection agree which came first, and each notice comes at most once, and in time.

use super::{Model, Tally, reached};
use crate::exchange::Notice;
use crate::sys::owned::{Claim, Guard, Owned};
use crate::verdict::{Closing, Room, Verdict};
use loom::thread;
use std::panic::resume_unwind;
use std::sync::Arc;

const FINISHED: &str = "it is finished";
const CLOSED: &str = "it is closed";
const TOLD: &str = "somebody hears of it";
const UNTOLD: &str = "nobody hears of it";

pub(super) static MODELS: &[Model] = &[
    Model {
        name: "exchange: it is finished or closed, not both",
        run: it_is_finished_or_closed,
        reaches: &[FINISHED, CLOSED],
        interruptions: None,
    },
    Model {
        name: "exchange: a stream that is closed takes no more, and its end is not lost",
        run: a_stream_that_is_closed,
        reaches: &[FINISHED, CLOSED, "it is closed in the middle of a stream"],
        interruptions: None,
    },
    Model {
        name: "exchange: what was given is collected, whoever has the connection",
        run: what_was_given_is_collected,
        reaches: &["the exchange sends it", "the connection sends it"],
        interruptions: None,
    },
    Model {
        name: "exchange: who hears of the end of a client hears of it once",
        run: the_end_of_a_client_is_told_once,
        reaches: &["it is heard at once", "it is heard later"],
        interruptions: None,
    },
    Model {
        name: "exchange: nobody hears of anything after it was finished",
        run: nothing_is_told_after_the_end,
        reaches: &[TOLD, UNTOLD, FINISHED, CLOSED],
        interruptions: None,
    },
    Model {
        name: "exchange: a notice may finish it, while another one runs",
        run: a_notice_may_finish_it,
        reaches: &[FINISHED],
        interruptions: None,
    },
    Model {
        name: "exchange: who waits for room hears of it once",
        run: room_is_told_once,
        reaches: &["it is heard at once", "it is heard later"],
        interruptions: None,
    },
    Model {
        name: "exchange: one that is lent is kept by one",
        run: one_that_is_lent_is_kept_by_one,
        reaches: &["its handler keeps it"],
        interruptions: None,
    },
];

/// What an exchange has put there.
#[derive(Default)]
struct Page {
    pieces: usize,
    has_end: bool,
    is_full: bool,
}

impl Room for Page {
    fn has_room(&self) -> bool {
        !self.is_full
    }
}

type Exchange = Verdict<Page>;

fn exchange() -> Arc<Exchange> {
    Arc::new(Verdict::new(Page::default()))
}

/// Gives a piece of an answer, or the last one. False: too late.
fn give(exchange: &Exchange, is_last: bool) -> bool {
    let mut case = exchange.lock();
    if case.give(is_last).is_err() {
        return false;
    }
    case.draft.pieces += 1;
    case.draft.has_end = is_last;
    true
}

/// Answers, as `finish` does. False: too late.
fn finish(exchange: &Exchange) -> bool {
    exchange.fall_silent();
    if exchange.lock().decide().is_err() {
        return false;
    }
    // Its answer is made meanwhile, without the lock.
    assert!(give(exchange, true), "nothing comes between the decision and the answer");
    true
}

/// Calls the notices that are due; failed assertions in them are passed on.
fn tell(exchange: &Exchange) {
    exchange.tell(|panic| resume_unwind(panic));
}

fn it_is_finished_or_closed() {
    let exchange = exchange();
    let handler = thread::spawn({
        let exchange = Arc::clone(&exchange);
        move || finish(&exchange)
    });
    // The time is up; then the app stops.
    let first = exchange.lock().close();
    let second = exchange.lock().close();
    let finished = handler.join().unwrap();
    assert_eq!(first, second, "what was decided stays so");
    assert_eq!(first, if finished { Closing::Answered } else { Closing::Closed });
    assert_eq!(exchange.lock().is_closed(), !finished);
    assert_eq!(exchange.lock().draft.has_end, finished);
    reached(if finished { FINISHED } else { CLOSED });
}

fn a_stream_that_is_closed() {
    let exchange = exchange();
    let handler = thread::spawn({
        let exchange = Arc::clone(&exchange);
        move || {
            let pieces = [give(&exchange, false), give(&exchange, false)];
            (pieces, finish(&exchange))
        }
    });
    let closing = {
        let mut case = exchange.lock();
        let (begun, pieces) = (case.has_begun(), case.draft.pieces);
        assert_eq!(begun, pieces > 0 || case.is_answering());
        let closing = case.close();
        assert_ne!(closing == Closing::Closed, begun);
        closing
    };
    let ([first, second], finished) = handler.join().unwrap();
    assert!(first || !second, "what is closed is not opened again");
    assert!(second || !finished, "nor is it finished");
    assert_eq!(finished, closing == Closing::Answered);
    assert_eq!(exchange.lock().draft.pieces, [first, second, finished].iter().filter(|&&given| given).count());
    reached(match closing {
        Closing::Answered => FINISHED,
        Closing::Streaming => "it is closed in the middle of a stream",
        Closing::Closed => CLOSED,
    });
}

/// A connection and the exchange that it waits for.
struct Waiting {
    exchange: Arc<Exchange>,
    /// How many pieces were sent.
    connection: Owned<usize>,
}

impl Waiting {
    fn collect(&self, sent: &mut usize) -> bool {
        let given = std::mem::take(&mut self.exchange.lock().draft.pieces);
        *sent += given;
        given > 0
    }

    /// Serves the connection until no event has come meanwhile.
    fn serve(&self, who: &'static str) {
        let mut owner = claim(&self.connection);
        while let Some(mut guard) = owner {
            if self.collect(&mut guard) {
                reached(who);
            }
            owner = guard.release();
        }
    }
}

fn claim<T>(owned: &Owned<T>) -> Option<Guard<'_, T>> {
    match owned.claim(0, 0) {
        Claim::Mine(guard) => Some(guard),
        Claim::Busy | Claim::Stale => None,
    }
}

fn what_was_given_is_collected() {
    let waiting = Arc::new(Waiting { exchange: exchange(), connection: Owned::new(0) });
    let handler = thread::spawn({
        let waiting = Arc::clone(&waiting);
        move || {
            assert!(give(&waiting.exchange, false) && finish(&waiting.exchange));
            waiting.serve("the exchange sends it");
        }
    });
    waiting.serve("the connection sends it");
    handler.join().unwrap();
    let sent = claim(&waiting.connection).expect("nobody has it");
    assert_eq!(*sent, 2, "all that was given is sent");
}

/// A notice that counts its calls.
fn counting(heard: &Tally) -> Notice {
    let heard = heard.clone();
    Box::new(move || heard.add())
}

fn the_end_of_a_client_is_told_once() {
    let (exchange, heard) = (exchange(), Tally::default());
    let handler = thread::spawn({
        let (exchange, heard) = (Arc::clone(&exchange), heard.clone());
        move || {
            let late = !exchange.lock().is_alive();
            exchange.on_close(counting(&heard));
            if late {
                assert_eq!(heard.sum(), 1, "where it is over, it is told at once");
                reached("it is heard at once");
            }
        }
    });
    exchange.lock().note_gone();
    tell(&exchange);
    handler.join().unwrap();
    assert_eq!(heard.sum(), 1);
    reached("it is heard later");
    // Notices that are due after that are not called.
    exchange.lock().close();
    tell(&exchange);
    assert_eq!(heard.sum(), 1);
}

fn nothing_is_told_after_the_end() {
    let (exchange, heard, ended) = (exchange(), Tally::default(), Tally::default());
    let handler = thread::spawn({
        let (exchange, heard, ended) = (Arc::clone(&exchange), heard.clone(), ended.clone());
        move || {
            let told = {
                let ended = ended.clone();
                move || {
                    // It takes a moment, in which others go on.
                    thread::yield_now();
                    assert_eq!(ended.sum(), 0, "nothing is told after the end");
                    heard.add();
                }
            };
            exchange.on_close(Box::new(told));
            let finished = finish(&exchange);
            ended.add();
            finished
        }
    });
    exchange.lock().note_gone();
    tell(&exchange);
    // The app stops.
    exchange.lock().close();
    tell(&exchange);
    reached(if handler.join().unwrap() { FINISHED } else { CLOSED });
    assert!(heard.sum() <= 1);
    reached(if heard.sum() == 1 { TOLD } else { UNTOLD });
}

fn a_notice_may_finish_it() {
    let (exchange, ended) = (exchange(), Tally::default());
    exchange.lock().draft.is_full = true;
    let (inner, after) = (Arc::clone(&exchange), ended.clone());
    exchange.on_close(Box::new(move || {
        assert!(finish(&inner));
        after.add();
        reached(FINISHED);
    }));
    let never_late = ended.clone();
    exchange.on_ready(Box::new(move || {
        thread::yield_now();
        assert_eq!(never_late.sum(), 0, "nothing is told after the end");
    }));
    let other = thread::spawn({
        let exchange = Arc::clone(&exchange);
        move || {
            exchange.lock().draft.is_full = false;
            tell(&exchange);
        }
    });
    exchange.lock().note_gone();
    tell(&exchange);
    other.join().unwrap();
    assert_eq!(ended.sum(), 1);
}

fn room_is_told_once() {
    let (exchange, heard) = (exchange(), Tally::default());
    exchange.lock().draft.is_full = true;
    let handler = thread::spawn({
        let (exchange, heard) = (Arc::clone(&exchange), heard.clone());
        move || {
            let late = exchange.lock().draft.has_room();
            exchange.on_ready(counting(&heard));
            reached(if late { "it is heard at once" } else { "it is heard later" });
        }
    });
    // The client has read what was sent.
    exchange.lock().draft.is_full = false;
    if exchange.lock().has_news() {
        tell(&exchange);
    }
    handler.join().unwrap();
    assert_eq!(heard.sum(), 1);
}

fn one_that_is_lent_is_kept_by_one() {
    let exchange = exchange();
    exchange.lock().lend(true);
    let handler = thread::spawn({
        let exchange = Arc::clone(&exchange);
        move || exchange.lock().keep()
    });
    {
        let mut case = exchange.lock();
        if case.is_lent() {
            assert!(case.is_answering(), "its handler is at it: no time-out of an exchange runs");
        } else {
            assert!(!case.is_answering() && case.is_open());
            reached("its handler keeps it");
        }
        case.lend(false);
    }
    handler.join().unwrap();
    assert!(!exchange.lock().keep());
}
