//! Feeds the parser and the server requests that are almost right, for a bounded time.
//!
//! No sanitizer and no nightly compiler: inputs are made from the cases in `tests/cases` and a grammar, broken in
//! the places where parsers go wrong, and each one must keep the promises in `promises`; forms of several parts also
//! those in `forms`. Every few of them a real server is asked the same, in `wire`: its `handlers` read bodies and forms,
//! and say what they have found.
//!
//! ```text
//! hasty-fuzz --seconds 60 [--seed N] [--failures FOLDER]     a run; it prints its seed
//! hasty-fuzz --replay FILE                                   one input again
//! ```

mod bodies;
mod digest;
mod forms;
mod generate;
mod handlers;
mod promises;
mod random;
mod wire;

use digest::Digest;
use promises::Tally;
use random::Random;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};
use wire::Wire;

/// One input in so many goes over the wire, which takes longer.
const WIRE_EVERY: u64 = 4;

struct Arguments {
    seconds: u64,
    seed: u64,
    failures: PathBuf,
    replay: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("hasty-fuzz: {wrong}");
            return ExitCode::from(2);
        }
    };
    if let Some(file) = &arguments.replay {
        let input = fs::read(file).expect("the file to replay can be read");
        let wire = Wire::start().expect("a server can start");
        let random = &mut Random::new(0);
        let outcome = promises::check(&input, random, &mut Tally::default())
            .and_then(|()| (0..10).try_for_each(|_| wire.check(&input, random)))
            .and_then(|()| wire.stop());
        return match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(broken) => {
                eprintln!("{broken}\n{}", input.escape_ascii());
                ExitCode::FAILURE
            }
        };
    }
    run(&arguments)
}

fn run(arguments: &Arguments) -> ExitCode {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let seeds = generate::seeds(Path::new("tests/cases"));
    println!("{} s on {threads} threads from {} seeds; --seed {} does the same again", arguments.seconds, seeds.len(), arguments.seed);
    let wire = match Wire::start() {
        Ok(wire) => wire,
        Err(error) => {
            eprintln!("the server does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let start = Instant::now();
    let stop = AtomicBool::new(false);
    let tallies: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads as u64)
            .map(|number| {
                let (seeds, stop, wire) = (&seeds, &stop, &wire);
                scope.spawn(move || work(arguments, number, seeds, wire, start, stop))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic outside of a check")).collect()
    });
    let seen = wire.seen.counts();
    let stopped = wire.stop();
    let broken: Vec<_> = tallies.iter().filter_map(|tally| tally.as_ref().err()).chain(stopped.as_ref().err()).collect();
    if !broken.is_empty() {
        broken.iter().for_each(|broken| eprintln!("{broken}"));
        return ExitCode::FAILURE;
    }
    let tally = tallies.into_iter().flatten().fold(Tally::default(), Tally::add);
    println!("{tally} in {:.1} s", start.elapsed().as_secs_f64());
    let unseen = seen.iter().find(|(_, count)| *count == 0).map(|(what, _)| format!("no {what}"));
    println!("answers: {}", seen.map(|(what, count)| format!("{count} {what}")).join(", "));
    // A fuzzer that no longer reaches the corners would pass for ever.
    match tally.dull().or(unseen) {
        Some(why) if arguments.seconds >= 5 => {
            eprintln!("the inputs have grown dull: {why}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn work(arguments: &Arguments, number: u64, seeds: &[Vec<u8>], wire: &Wire, start: Instant, stop: &AtomicBool) -> Result<Tally, String> {
    let limit = Duration::from_secs(arguments.seconds);
    let mut random = Random::new(arguments.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let mut tally = Tally::default();
    while start.elapsed() < limit && !stop.load(Ordering::Relaxed) {
        let input = generate::input(&mut random, seeds);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            promises::check(&input, &mut random, &mut tally)?;
            if tally.inputs % WIRE_EVERY == 0 {
                tally.exchanges += 1;
                let begin = Instant::now();
                wire.check(&input, &mut random)?;
                tally.slowest = tally.slowest.max(begin.elapsed());
            }
            Ok(())
        }));
        let broken = match outcome {
            Ok(Ok(())) => continue,
            Ok(Err(broken)) => broken,
            Err(_) => "it panicked, see above".to_owned(),
        };
        stop.store(true, Ordering::Relaxed);
        return Err(report(arguments, &broken, &input));
    }
    Ok(tally)
}

/// Keeps the input that broke a promise.
fn report(arguments: &Arguments, broken: &str, input: &[u8]) -> String {
    let file = arguments.failures.join(format!("{:016x}", Digest::of(input)));
    let kept = fs::create_dir_all(&arguments.failures).and_then(|()| fs::write(&file, input));
    let place = kept.map_or_else(|error| format!("not kept: {error}"), |()| format!("--replay {}", file.display()));
    format!("a promise is broken: {broken}\n{place}\n{}", input.escape_ascii())
}

fn arguments() -> Result<Arguments, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
    let mut found = Arguments { seconds: 60, seed: now, failures: PathBuf::from("target/fuzz/failures"), replay: None };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} needs a number, not {value}"));
        match word.as_str() {
            "--seconds" => found.seconds = number()?,
            "--seed" => found.seed = number()?,
            "--failures" => found.failures = value.into(),
            "--replay" => found.replay = Some(value.into()),
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(found)
}
