//! Rate limits: a token bucket for each client.
//!
//! A bucket holds at most `burst` tokens and gains `per_minute` of them in a minute, evenly. A request takes one; if there is none, the
//! request is refused and takes nothing.
//!
//! The caller passes the time, in milliseconds since any fixed moment, so tests need no clock.

#![forbid(unsafe_code)]

use crate::error::{Error, Kind, Result};
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// A set has 512 bytes: the most that a request searches and moves.
const BUCKETS_OF_A_SET: usize = 16;

/// Also the number of locks, so that threads seldom contend for one.
const SETS: usize = 4096;

/// A limit remembers 65,536 clients, in 2 MiB. A client is remembered only until its bucket is full again, which takes a minute if the
/// burst is as large as the rate. Anyone with more addresses than that at a time could not be limited by address anyway.
#[cfg(test)]
pub(crate) const MOST_BUCKETS: usize = SETS * BUCKETS_OF_A_SET;

/// A token is 60,000 parts, so that each millisecond adds a whole number of them: `per_minute`.
const TOKEN: u64 = 60_000;

/// The rate limit of one prefix, shared by all threads.
///
/// The buckets are in small sets; the hash of the client's key selects the set. So a request searches at most sixteen buckets, whatever
/// other clients do. If a new client needs room in a full set, a bucket that is full again is evicted, since a new one would be equal; else
/// the least recently used one. So a client that is refused and keeps asking is not forgotten, and to evict one such client takes tens
/// of thousands of others, which have more tokens of their own. The hash is keyed with a secret, so no client can choose a set to fill.
pub(crate) struct RateLimit {
    per_minute: u32,
    burst: u32,
    hasher: RandomState,
    /// Each set is ordered by last use, the most recent last.
    sets: Box<[Mutex<Vec<Bucket>>]>,
}

/// The outcome for a request, and the values of its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// If false, the answer is 429.
    pub(crate) allowed: bool,
    /// RateLimit-Limit: the most requests at once.
    pub(crate) limit: u32,
    /// RateLimit-Remaining: how many more would be allowed now.
    pub(crate) remaining: u32,
    /// RateLimit-Reset: the seconds, rounded up, until `remaining` is `limit` again if nothing more is asked for.
    pub(crate) reset_s: u64,
    /// Retry-After: the seconds, rounded up, until a request would be allowed; 0 where this one was.
    pub(crate) retry_after_s: u64,
}

/// The key by which clients share a bucket, or a limit of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    V4([u8; 4]),
    /// RFC 4291 2.5.4: the last 64 bits are the interface's. So one client has 2^64 addresses, and by RFC 8981 changes them daily; the
    /// network before them is what can be limited.
    V6([u8; 8]),
    /// All clients without an address: those of Unix sockets.
    Local,
}

struct Bucket {
    client: Client,
    /// In parts of a token.
    level: u64,
    /// The time of that level.
    at_ms: u64,
}

impl RateLimit {
    /// A limit of `per_minute` requests, of which `burst` may come at once; 0 means `per_minute`.
    pub(crate) fn new(per_minute: u32, burst: u32) -> Result<RateLimit> {
        if per_minute == 0 {
            return Err(Error::fixed(Kind::Invalid, "per_minute 0: a rate limit lets at least 1 request a minute through"));
        }
        let burst = if burst == 0 { per_minute } else { burst };
        Ok(RateLimit { per_minute, burst, hasher: RandomState::new(), sets: (0..SETS).map(|_| Mutex::default()).collect() })
    }

    /// Takes a token of this client, if it has one. All clients without an address share a bucket.
    pub(crate) fn take(&self, peer: Option<IpAddr>, now_ms: u64) -> Verdict {
        let client = Client::of(peer);
        let mut set = self.sets[self.place(client)].lock();
        let bucket = self.bucket(&mut set, client, now_ms);
        bucket.level = self.level(bucket, now_ms);
        // Threads may arrive in a different order than they read the clock; a bucket's time never goes back.
        bucket.at_ms = bucket.at_ms.max(now_ms);
        let allowed = bucket.level >= TOKEN;
        if allowed {
            bucket.level -= TOKEN;
        }
        self.verdict(allowed, bucket.level)
    }

    fn verdict(&self, allowed: bool, level: u64) -> Verdict {
        let seconds_for = |parts: u64| parts.div_ceil(u64::from(self.per_minute) * 1000);
        Verdict {
            allowed,
            limit: self.burst,
            remaining: (level / TOKEN) as u32,
            reset_s: seconds_for(self.full() - level),
            retry_after_s: if allowed { 0 } else { seconds_for(TOKEN - level) },
        }
    }

    fn place(&self, client: Client) -> usize {
        self.hasher.hash_one(client) as usize % SETS
    }

    /// The client's bucket: its own, or a new, full one in a place that is free or evicted.
    fn bucket<'s>(&self, set: &'s mut Vec<Bucket>, client: Client, now_ms: u64) -> &'s mut Bucket {
        // Frequent clients are near the end.
        let place = set.iter().rposition(|bucket| bucket.client == client).unwrap_or_else(|| {
            let new = Bucket { client, level: self.full(), at_ms: now_ms };
            let full_again = set.iter().position(|bucket| self.level(bucket, now_ms) == self.full());
            match full_again {
                None if set.len() < BUCKETS_OF_A_SET => {
                    set.push(new);
                    set.len() - 1
                }
                spared => {
                    let place = spared.unwrap_or(0);
                    set[place] = new;
                    place
                }
            }
        });
        set[place..].rotate_left(1);
        let last = set.len() - 1;
        &mut set[last]
    }

    fn full(&self) -> u64 {
        u64::from(self.burst) * TOKEN
    }

    /// The level of a bucket at `now_ms`.
    fn level(&self, bucket: &Bucket, now_ms: u64) -> u64 {
        let gained = now_ms.saturating_sub(bucket.at_ms).saturating_mul(u64::from(self.per_minute));
        bucket.level.saturating_add(gained).min(self.full())
    }
}

impl Client {
    pub(crate) fn of(peer: Option<IpAddr>) -> Client {
        // A dual-stack socket reports IPv4 clients as ::ffff:1.2.3.4, all of them in one IPv6 network.
        match peer.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Client::V4(address.octets()),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Client::V6([a, b, c, d, e, f, g, h])
            }
            None => Client::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::atomic::{AtomicU32, Ordering};

    fn limit(per_minute: u32, burst: u32) -> RateLimit {
        RateLimit::new(per_minute, burst).unwrap()
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// An address for this number, different from all that tests use directly.
    fn other(number: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from(0x0a00_0000 + number).into())
    }

    /// Makes requests until one is refused, and returns how many were allowed.
    fn drain(limit: &RateLimit, peer: Option<IpAddr>, now_ms: u64) -> u32 {
        (0..).find(|_| !limit.take(peer, now_ms).allowed).unwrap()
    }

    fn buckets(limit: &RateLimit) -> usize {
        limit.sets.iter().map(|set| set.lock().len()).sum()
    }

    #[test]
    fn no_requests_a_minute_are_no_limit() {
        let error = RateLimit::new(0, 5).err().unwrap();
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(error.to_string(), "per_minute 0: a rate limit lets at least 1 request a minute through");
        assert!(RateLimit::new(1, 0).is_ok());
    }

    #[test]
    fn a_burst_of_0_is_as_large_as_the_rate() {
        assert_eq!(drain(&limit(7, 0), ip("10.1.1.1"), 0), 7);
        assert_eq!(drain(&limit(7, 3), ip("10.1.1.1"), 0), 3);
        assert_eq!(drain(&limit(7, 30), ip("10.1.1.1"), 0), 30);
    }

    #[test]
    fn a_client_is_told_where_it_stands() {
        // One token a second, three at once.
        let limit = limit(60, 3);
        for (now_ms, allowed, remaining, reset_s, retry_after_s) in [
            (5_000, true, 2, 1, 0),
            (5_000, true, 1, 2, 0),
            (5_000, true, 0, 3, 0),
            (5_000, false, 0, 3, 1),
            (5_999, false, 0, 3, 1), // 2,001 ms to wait
            (6_000, true, 0, 3, 0),
            (6_001, false, 0, 3, 1),
            (7_500, true, 0, 3, 0),
            (8_000, true, 0, 3, 0),
            (11_000, true, 2, 1, 0),
            (1_000_000, true, 2, 1, 0), // full, and not more than that
            (1_000_999, true, 1, 2, 0),
            (1_001_000, true, 1, 2, 0),
        ] {
            let expected = Verdict { allowed, limit: 3, remaining, reset_s, retry_after_s };
            assert_eq!(limit.take(ip("192.0.2.1"), now_ms), expected, "at {now_ms}");
        }
    }

    #[test]
    fn who_is_refused_need_not_wait_for_what_came_already() {
        let limit = limit(2, 1);
        drain(&limit, ip("192.0.2.1"), 0);
        for (now_ms, seconds) in [(0, 30), (1, 30), (999, 30), (1000, 29), (29_000, 1), (29_999, 1)] {
            let verdict = limit.take(ip("192.0.2.1"), now_ms);
            assert_eq!((verdict.allowed, verdict.retry_after_s, verdict.reset_s), (false, seconds, seconds), "at {now_ms}");
        }
    }

    #[test]
    fn seconds_are_rounded_up_so_that_who_waits_them_is_allowed() {
        for per_minute in [1, 7, 59, 60, 61, 1000, 60_000, 60_001, u32::MAX] {
            for burst in [1, 2, 10] {
                let limit = limit(per_minute, burst);
                drain(&limit, ip("192.0.2.1"), 0);
                let refused = limit.take(ip("192.0.2.1"), 0);
                assert!(!refused.allowed && refused.retry_after_s >= 1 && refused.reset_s >= refused.retry_after_s);
                if refused.retry_after_s > 1 {
                    assert!(!limit.take(ip("192.0.2.1"), (refused.retry_after_s - 1) * 1000).allowed, "{per_minute}");
                }
                assert!(limit.take(ip("192.0.2.1"), refused.retry_after_s * 1000).allowed, "{per_minute}");
                assert_eq!(drain(&limit, ip("192.0.2.1"), (refused.retry_after_s + refused.reset_s) * 1000), burst, "{per_minute}");
            }
        }
    }

    #[test]
    fn nothing_is_lost_to_rounding() {
        // Asked every millisecond, far more often than a token comes.
        for per_minute in [1, 7, 59, 61, 997] {
            let limit = limit(per_minute, 2);
            let allowed = (0..600_000).filter(|&now_ms| limit.take(ip("192.0.2.1"), now_ms).allowed).count();
            // Two tokens at the start; the last token of the ten minutes arrives only at their end.
            assert_eq!(allowed, 2 + 10 * per_minute as usize - 1, "{per_minute}");
        }
    }

    #[test]
    fn a_refused_request_takes_nothing() {
        let limit = limit(60, 1);
        assert!(limit.take(ip("192.0.2.1"), 0).allowed);
        for now_ms in 1..1000 {
            assert!(!limit.take(ip("192.0.2.1"), now_ms).allowed);
        }
        assert!(limit.take(ip("192.0.2.1"), 1000).allowed);
    }

    #[test]
    fn no_time_lets_more_through_than_burst_and_rate() {
        let (per_minute, burst) = (90, 5);
        let limit = limit(per_minute, burst);
        let mut allowed_at = Vec::new();
        let (mut now_ms, mut seed) = (0u64, 1u64);
        while now_ms < 600_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now_ms += [0, 1, 3, 400, 900, 4000][(seed >> 33) as usize % 6];
            if limit.take(ip("192.0.2.1"), now_ms).allowed {
                allowed_at.push(now_ms);
            }
        }
        assert!(allowed_at.len() > 300);
        for (first, start) in allowed_at.iter().enumerate() {
            for (number, end) in allowed_at[first..].iter().enumerate() {
                let most = u64::from(burst) + (end - start) * u64::from(per_minute) / 60_000;
                assert!((number as u64) < most, "{} from {start} to {end}", number + 1);
            }
        }
    }

    #[test]
    fn a_time_that_goes_back_gives_and_takes_nothing() {
        let limit = limit(60, 2);
        assert_eq!(drain(&limit, ip("192.0.2.1"), 10_000), 2);
        assert!(!limit.take(ip("192.0.2.1"), 0).allowed);
        assert!(!limit.take(ip("192.0.2.1"), 10_999).allowed, "time that was gained already is not gained again");
        assert!(limit.take(ip("192.0.2.1"), 11_000).allowed);
    }

    #[test]
    fn the_largest_numbers_fit() {
        let limit = limit(u32::MAX, u32::MAX);
        let first = limit.take(ip("192.0.2.1"), 0);
        assert_eq!((first.limit, first.remaining, first.reset_s), (u32::MAX, u32::MAX - 1, 1));
        assert_eq!(limit.take(ip("192.0.2.1"), u64::MAX).remaining, u32::MAX - 1);

        let long = RateLimit::new(2, 2).unwrap();
        drain(&long, ip("192.0.2.1"), 0);
        assert_eq!(drain(&long, ip("192.0.2.1"), 1 << 63), 2, "what is gained in that time has 65 bits");

        let slow = RateLimit::new(1, u32::MAX).unwrap();
        assert_eq!(slow.take(ip("192.0.2.1"), 0).reset_s, 60);
        assert_eq!(slow.verdict(false, 0).reset_s, 60 * u64::from(u32::MAX));
    }

    #[test]
    fn who_shares_a_bucket() {
        for (one, other, shared) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("2001:db8::1", "2001:db9::1", false),
            ("::1", "127.0.0.1", false),
            ("::1", "0.0.0.1", false),
            ("c000:201::", "192.0.2.1", false),
        ] {
            let limit = limit(60, 1);
            assert!(limit.take(ip(one), 0).allowed);
            assert_eq!(limit.take(ip(other), 0).allowed, !shared, "{one} and {other}");
        }
    }

    #[test]
    fn peers_without_address_share_a_bucket_of_their_own() {
        let limit = limit(60, 2);
        assert_eq!(drain(&limit, None, 0), 2);
        for address in ["0.0.0.0", "::", "127.0.0.1"] {
            assert_eq!(drain(&limit, ip(address), 0), 2, "{address}");
        }
    }

    #[test]
    fn memory_is_bounded_whatever_the_number_of_addresses() {
        assert_eq!(MOST_BUCKETS * size_of::<Bucket>(), 2 << 20);
        let limit = limit(60, 0);
        for number in 0..3 * MOST_BUCKETS as u32 {
            assert!(limit.take(other(number), 0).allowed, "one more client is always let in");
        }
        // No bucket is full again at this time, so none is evicted for that.
        assert!(buckets(&limit) > MOST_BUCKETS * 9 / 10);
        assert!(limit.sets.iter().all(|set| set.lock().capacity() <= BUCKETS_OF_A_SET));
    }

    #[test]
    fn networks_of_ipv6_are_bounded_too() {
        let limit = limit(60, 0);
        for number in 0..3 * MOST_BUCKETS as u128 {
            limit.take(Some(Ipv6Addr::from(0x2001_0db8 << 96 | number << 64).into()), 0);
        }
        assert!(buckets(&limit) > MOST_BUCKETS * 9 / 10);
        assert!(limit.sets.iter().all(|set| set.lock().capacity() <= BUCKETS_OF_A_SET));
    }

    #[test]
    fn one_address_after_the_other_takes_no_memory_when_their_buckets_are_full_again() {
        let limit = limit(60, 10);
        // Three in a millisecond, each full a second later: 3,000 at any time.
        for number in 0..100_000 {
            limit.take(other(number), u64::from(number) / 3);
        }
        let most = buckets(&limit);
        assert!(most < MOST_BUCKETS / 2, "{most}");
    }

    #[test]
    fn who_goes_on_asking_stays_limited_while_another_changes_addresses() {
        let limit = limit(60, 10);
        let client = ip("192.0.2.1");
        assert_eq!(drain(&limit, client, 0), 10);
        for number in 0..4 * MOST_BUCKETS as u32 {
            limit.take(other(number), 0);
            if number % 1000 == 0 {
                assert!(!limit.take(client, 0).allowed, "after {number} others");
            }
        }
    }

    #[test]
    fn who_is_limited_stays_so_while_buckets_that_are_full_again_can_go() {
        let limit = limit(60, 60);
        let client = ip("192.0.2.1");
        assert_eq!(drain(&limit, client, 0), 60);
        // Thirty-two for each set within 50 s, and each is full after a second: the stalest of all is not among them.
        for number in 0..2 * MOST_BUCKETS as u32 {
            limit.take(other(number), u64::from(number) * 50_000 / (2 * MOST_BUCKETS as u64));
        }
        assert_eq!(limit.take(client, 50_000).remaining, 49);
    }

    #[test]
    fn in_a_full_set_the_stalest_goes() {
        let limit = limit(60, 10);
        let place = limit.place(Client::of(other(0)));
        let mut same = (0..).map(other).filter(|&peer| limit.place(Client::of(peer)) == place);
        let known: Vec<_> = same.by_ref().take(BUCKETS_OF_A_SET).collect();
        for &peer in &known {
            limit.take(peer, 0);
        }
        limit.take(known[0], 0);
        // All at the same time, so that only the order counts.
        limit.take(same.next().unwrap(), 0);
        let there = |peer| limit.sets[place].lock().iter().any(|bucket| bucket.client == Client::of(peer));
        assert_eq!(known.iter().map(|&peer| there(peer)).collect::<Vec<_>>(), [&[true, false][..], &[true; 14]].concat());
        // The bucket was kept: this is its third token.
        assert_eq!(limit.take(known[0], 0).remaining, 7);
    }

    #[test]
    fn in_a_full_set_what_is_full_again_goes_before_the_stalest() {
        let limit = limit(60, 10);
        let place = limit.place(Client::of(other(0)));
        let mut same = (0..).map(other).filter(|&peer| limit.place(Client::of(peer)) == place);
        let known: Vec<_> = same.by_ref().take(BUCKETS_OF_A_SET).collect();
        for (number, &peer) in known.iter().enumerate() {
            // All lack two, but one of those in the middle.
            limit.take(peer, 0);
            if number != 9 {
                limit.take(peer, 0);
            }
        }
        limit.take(same.next().unwrap(), 1000);
        let there = |peer| limit.sets[place].lock().iter().any(|bucket| bucket.client == Client::of(peer));
        assert_eq!(known.iter().position(|&peer| !there(peer)), Some(9));
        assert_eq!(limit.sets[place].lock().len(), BUCKETS_OF_A_SET);
    }

    #[test]
    fn threads_share_the_tokens_of_a_client() {
        let limit = limit(60, 1000);
        let allowed = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (limit, allowed) = (&limit, &allowed);
                scope.spawn(move || {
                    for number in 0..1000 {
                        limit.take(other(thread * 1000 + number), 0);
                        if limit.take(ip("192.0.2.1"), 0).allowed {
                            allowed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(allowed.into_inner(), 1000);
    }
}
