//! Time-outs, and the minimum rate.
//!
//! Times are milliseconds modulo 2^32; a deadline of 0 is never.

use crate::options::{Key, Options};
use crate::route::Routes;

/// After an answer that ends the connection: how long the client may be silent before it closes its side,
pub(super) const LINGER_MS: u32 = 2_000;
/// and how long it may go on sending what is discarded.
pub(super) const LINGER_MOST_MS: u32 = 30_000;
/// The longest step of the clock in use, that of a kernel with 100 ticks a second.
const CLOCK_STEP_MS: u32 = 10;
/// The minimum rate is enforced after this time.
const RATE_GRACE_MS: u32 = 5_000;

/// The time-outs in milliseconds, and the minimum rate in bytes a second; zero is off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(super) header_ms: u32,
    pub(super) body_ms: u32,
    pub(super) idle_ms: u32,
    pub(super) write_ms: u32,
    pub(super) exchange_ms: u32,
    pub(super) min_rate: u32,
    /// The shortest time-out.
    pub(super) shortest_ms: u32,
}

impl Pace {
    pub(crate) fn new(options: &Options, routes: &Routes) -> Pace {
        let number = |key| u32::try_from(options.get(key)).unwrap_or(u32::MAX);
        let time_out = |key| patient(number(key));
        let pace = Pace {
            header_ms: time_out(Key::HeaderTimeoutMs),
            body_ms: time_out(Key::BodyTimeoutMs),
            idle_ms: time_out(Key::IdleTimeoutMs),
            write_ms: time_out(Key::WriteTimeoutMs),
            exchange_ms: time_out(Key::ExchangeTimeoutMs),
            min_rate: number(Key::MinRateBytes),
            shortest_ms: LINGER_MS,
        };
        let times = [pace.header_ms, pace.body_ms, pace.idle_ms, pace.write_ms, pace.exchange_ms, LINGER_MS];
        let of_routes = routes.all().filter_map(|route| route.exchange_timeout_ms);
        let shortest_ms = times.into_iter().chain(of_routes).filter(|&ms| ms > 0).min().unwrap_or(LINGER_MS);
        Pace { shortest_ms, ..pace }
    }

    /// The shortest time-out, which determines how often deadlines are checked.
    pub(super) fn shortest_ms(&self) -> u32 {
        self.shortest_ms
    }

    /// The deadline of the minimum rate for a body or an answer that begins now. 0 is never.
    pub(super) fn begin(&self, now: u32) -> u32 {
        if self.min_rate == 0 { 0 } else { after(now, RATE_GRACE_MS) }
    }

    /// The same after `bytes` were moved. Each extends the deadline by the time that the rate gives it, but at most to the longest pause, so
    /// that a fast start does not allow a long pause later.
    pub(super) fn moved(&self, slow: u32, pause_ms: u32, bytes: usize, now: u32) -> u32 {
        if self.min_rate == 0 {
            return 0;
        }
        let bought = (bytes as u64).saturating_mul(1000) / u64::from(self.min_rate);
        let left = u64::try_from(slow.wrapping_sub(now) as i32).unwrap_or(0);
        let most = pause_ms.max(RATE_GRACE_MS);
        after(now, u32::try_from(left + bought).unwrap_or(most).clamp(1, most))
    }
}

/// A time-out that is never too short, although the clock may be one step behind when a wait begins. Zero is off.
pub(super) fn patient(ms: u32) -> u32 {
    if ms == 0 { 0 } else { ms.saturating_add(CLOCK_STEP_MS).min(i32::MAX as u32) }
}

/// The earlier of two deadlines; 0 is never.
pub(super) fn earlier(one: u32, other: u32) -> u32 {
    match (one, other) {
        (0, deadline) | (deadline, 0) => deadline,
        _ if (one.wrapping_sub(other) as i32) < 0 => one,
        _ => other,
    }
}

/// `ms` after `from`; a deadline of zero would mean never, so it becomes one.
pub(super) fn after(from: u32, ms: u32) -> u32 {
    if ms == 0 { 0 } else { from.wrapping_add(ms).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        header_ms: 10_000,
        body_ms: 30_000,
        idle_ms: 20_000,
        write_ms: 30_000,
        exchange_ms: 60_000,
        min_rate: 240,
        shortest_ms: 2_000,
    };

    #[test]
    fn a_fast_start_is_no_licence_to_dawdle() {
        let slow = PACE.moved(PACE.begin(1000), 30_000, 10 << 20, 2000);
        assert_eq!(slow, 32_000, "no more than the longest pause is saved up");
        assert_eq!(PACE.moved(slow, 30_000, 1, 31_000), 32_004, "a byte buys 4 ms");
        assert_eq!(PACE.moved(slow, 30_000, 1, 40_000), 40_004, "not more when it is too late");
        assert_eq!(Pace { min_rate: 0, ..PACE }.moved(slow, 30_000, 1, 31_000), 0, "never");
    }

    #[test]
    fn the_earlier_of_two_deadlines_counts_also_around_the_end_of_the_clock() {
        assert_eq!(earlier(0, 7), 7);
        assert_eq!(earlier(7, 0), 7);
        assert_eq!(earlier(5, 7), 5);
        assert_eq!(earlier(5, u32::MAX - 5), u32::MAX - 5);
    }
}
