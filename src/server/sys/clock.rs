//! Clocks as coarse as the kernel's tick (1 to 10 ms), which cost a few nanoseconds; and an exact one.

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    u64::try_from(read(libc::CLOCK_REALTIME_COARSE).0).unwrap_or(0)
}

/// Milliseconds since some moment before the process started, modulo 2^32.
pub(crate) fn milliseconds() -> u32 {
    let (seconds, nanoseconds) = read(libc::CLOCK_MONOTONIC_COARSE);
    (seconds as u32).wrapping_mul(1000).wrapping_add((nanoseconds / 1_000_000) as u32)
}

/// The same, without wrapping.
pub(crate) fn monotonic_ms() -> u64 {
    let (seconds, nanoseconds) = read(libc::CLOCK_MONOTONIC_COARSE);
    seconds as u64 * 1000 + nanoseconds as u64 / 1_000_000
}

/// Microseconds since the same moment, exactly.
pub(crate) fn microseconds() -> u64 {
    let (seconds, nanoseconds) = read(libc::CLOCK_MONOTONIC);
    seconds as u64 * 1_000_000 + nanoseconds as u64 / 1000
}

fn read(clock: libc::clockid_t) -> (i64, i64) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable; both clocks exist since Linux 2.6.32.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    (time.tv_sec, time.tv_nsec)
}
