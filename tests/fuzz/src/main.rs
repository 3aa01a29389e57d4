//! Feeds the parser and the server requests that are almost right, for a bounded time.
//!
//! No sanitizer and no nightly compiler: inputs are made from the cases in `tests/cases` and a grammar, broken in
//! the places where parsers go wrong, and each one must keep the promises in `promises`; forms of several parts also
//! those in `forms`. Every few of them a real server is asked the same, in `wire`: its `handlers` read bodies and forms,
//! and say what they have found.
//!
//! ```text
//! hasty-fuzz --seconds 60 [--seed N] [--inputs N] [--failures FOLDER]    a run; it prints its seed
//! hasty-fuzz --replay PATH                                               an input again, or a folder of them
//! ```
//!
//! The input of a number is the same for the same seed, however many threads there are and however fast they are. So a
//! run of so many inputs is the same everywhere but for the moments at which bytes arrive. `regressions` has inputs that
//! have found something, here or in what is promised.

mod bodies;
mod digest;
mod forms;
mod generate;
mod handlers;
mod oracle;
mod promises;
mod random;
mod wire;

use digest::Digest;
use promises::Tally;
use random::Random;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};
use wire::Wire;

/// One input in so many goes over the wire, which takes longer.
const WIRE_EVERY: u64 = 4;
/// How often an input is replayed: enough for each way in which a client may cut it, and then for luck.
const REPLAYS: usize = 40;

struct Arguments {
    seconds: u64,
    seed: u64,
    /// How many there are at most.
    inputs: u64,
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
    if let Some(path) = &arguments.replay {
        return replay(path);
    }
    run(&arguments)
}

/// Asks the same again, several times, since bytes do not always arrive alike.
fn replay(path: &Path) -> ExitCode {
    let mut files = vec![path.to_owned()];
    if let Ok(entries) = fs::read_dir(path) {
        files = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
    }
    let wire = Wire::start().expect("a server can start");
    let random = &mut Random::new(0);
    let mut broken = Vec::new();
    for file in &files {
        let input = fs::read(file).expect("the file to replay can be read");
        let outcome =
            promises::check(&input, random, &mut Tally::default()).and_then(|()| (0..REPLAYS).try_for_each(|_| wire.check(&input, random)));
        broken.extend(outcome.err().map(|broken| format!("{}: {broken}\n{}", file.display(), input.escape_ascii())));
    }
    broken.extend(wire.stop().err());
    broken.iter().for_each(|broken| eprintln!("{broken}"));
    println!("{} inputs again, {} of them break a promise", files.len(), broken.len());
    if broken.is_empty() && !files.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
    let next = AtomicU64::new(0);
    let tallies: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(arguments, &next, &seeds, &wire, start, &stop))).collect();
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

fn work(
    arguments: &Arguments,
    next: &AtomicU64,
    seeds: &[Vec<u8>],
    wire: &Wire,
    start: Instant,
    stop: &AtomicBool,
) -> Result<Tally, String> {
    let limit = Duration::from_secs(arguments.seconds);
    let mut tally = Tally::default();
    while start.elapsed() < limit && !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= arguments.inputs {
            break;
        }
        let mut random = Random::numbered(arguments.seed, number);
        let input = generate::input(&mut random, seeds);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            promises::check(&input, &mut random, &mut tally)?;
            if number % WIRE_EVERY == 0 {
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
        return Err(report(arguments, number, &broken, &input));
    }
    Ok(tally)
}

/// Keeps the input that broke a promise.
fn report(arguments: &Arguments, number: u64, broken: &str, input: &[u8]) -> String {
    let file = arguments.failures.join(format!("{:016x}", Digest::of(input)));
    let kept = fs::create_dir_all(&arguments.failures).and_then(|()| fs::write(&file, input));
    let place = kept.map_or_else(|error| format!("not kept: {error}"), |()| format!("--replay {}", file.display()));
    format!("a promise is broken by input {number}: {broken}\n{place}\n{}", input.escape_ascii())
}

fn arguments() -> Result<Arguments, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
    let mut found = Arguments { seconds: 60, seed: now, inputs: u64::MAX, failures: PathBuf::from("target/fuzz/failures"), replay: None };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} needs a number, not {value}"));
        match word.as_str() {
            "--seconds" => found.seconds = number()?,
            "--seed" => found.seed = number()?,
            "--inputs" => found.inputs = number()?,
            "--failures" => found.failures = value.into(),
            "--replay" => found.replay = Some(value.into()),
            _ => return Err(format!("{word} is not known")),
        }
    }
    Ok(found)
}
