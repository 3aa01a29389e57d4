//! Finds the ends of runs of bytes in a head, sixteen bytes at a time, since a head mostly consists of such runs.

use super::headers::is_token_byte;
use wide::{CmpEq, CmpGt, CmpLt, i8x16};

const BLOCK: usize = 16;

/// Sixteen bytes, as signed numbers: those above 127 are negative, and so are not greater than any other.
#[derive(Clone, Copy)]
struct Block(i8x16);

/// Which of sixteen bytes are of some kind.
type Kind = i8x16;

impl Block {
    #[inline(always)]
    fn of(bytes: &[u8; BLOCK]) -> Block {
        Block(i8x16::new(bytes.map(|b| b as i8)))
    }

    #[inline(always)]
    fn first_of(bytes: &[u8]) -> Option<Block> {
        bytes.first_chunk().map(Block::of)
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> Kind {
        self.0.cmp_eq(i8x16::splat(byte as i8))
    }

    /// Bytes from `first` to `last`.
    #[inline(always)]
    fn between(self, first: u8, last: u8) -> Kind {
        self.0.cmp_gt(i8x16::splat(first as i8 - 1)) & self.0.cmp_lt(i8x16::splat(last as i8 + 1))
    }

    /// Letters in either case.
    #[inline(always)]
    fn letters(self) -> Kind {
        Block(self.0 | i8x16::splat(0x20)).between(b'a', b'z')
    }

    #[inline(always)]
    fn digits(self) -> Kind {
        self.between(b'0', b'9')
    }

    /// The bytes of common host names and addresses: letters, digits, dots and hyphens.
    #[inline(always)]
    fn common_in_hosts(self) -> Kind {
        self.letters() | self.between(b'-', b'.') | self.digits()
    }
}

/// The position of the first byte from `at` on that `stop` reports; the end, if there is none.
///
/// May also read bytes before `at`, which avoids a copy of the last bytes.
#[inline(always)]
fn run(text: &[u8], mut at: usize, stop: impl Fn(Block) -> u32) -> usize {
    let mut blocks = text[at..].chunks_exact(BLOCK);
    for block in &mut blocks {
        let stops = Block::first_of(block).map_or(0, &stop);
        if stops != 0 {
            return at + stops.trailing_zeros() as usize;
        }
        at += BLOCK;
    }
    let left = blocks.remainder().len();
    let stops = match text.last_chunk() {
        Some(block) => stop(Block::of(block)) >> (BLOCK - left),
        None => {
            let mut block = [0; BLOCK];
            block[..left].copy_from_slice(&text[at..]);
            stop(Block::of(&block))
        }
    };
    at + (stops | 1 << left).trailing_zeros() as usize
}

/// A bit for each of sixteen bytes, the lowest for the first.
#[inline(always)]
fn bits(kind: Kind) -> u32 {
    kind.move_mask() as u32
}

/// A bit for each byte that is not of this kind.
#[inline(always)]
fn others(kind: Kind) -> u32 {
    bits(kind) ^ 0xffff
}

/// The position of the first control byte or DEL from `at` on.
#[inline(always)]
pub(super) fn plain_end(text: &[u8], at: usize) -> usize {
    run(text, at, |block| bits(block.between(0, 0x1f) | block.equal(0x7f)))
}

/// The position of the first byte from `at` on that is not allowed in a target. Allowed are visible ASCII except `#`, and bytes above 127,
/// which clients send although they should not.
#[inline(always)]
pub(super) fn target_end(text: &[u8], at: usize) -> usize {
    run(text, at, |block| bits(block.between(0, b' ') | block.equal(0x7f) | block.equal(b'#')))
}

/// The same, or the position of the first `?`.
#[inline(always)]
pub(super) fn path_end(text: &[u8], at: usize) -> usize {
    run(text, at, |block| bits(block.between(0, b' ') | block.equal(0x7f) | block.equal(b'#') | block.equal(b'?')))
}

/// The position of the first byte from `at` on that is not a token's. Most are letters; others are looked up in a table.
#[inline(always)]
pub(super) fn token_end(text: &[u8], mut at: usize) -> usize {
    loop {
        at = run(text, at, |block| others(block.letters() | block.equal(b'-')));
        match text.get(at) {
            None | Some(b':') => return at,
            Some(&b) if !is_token_byte(b) => return at,
            Some(_) => {}
        }
        while text.get(at).is_some_and(|&b| is_token_byte(b) && !b.is_ascii_alphabetic()) {
            at += 1;
        }
    }
}

/// The position of the first byte from `at` on that no common host name or address has.
#[inline(always)]
pub(super) fn host_end(text: &[u8], at: usize) -> usize {
    run(text, at, |block| others(block.common_in_hosts()))
}

/// The kinds of the sixteen bytes from `at` on, as far as hosts and ports consist of them: a bit for each, the lowest for the first.
pub(super) struct HostBytes {
    pub(super) digits: u32,
    pub(super) colons: u32,
    /// Of any kind that [`host_end`] skips.
    pub(super) common: u32,
}

impl HostBytes {
    pub(super) const COUNT: usize = BLOCK;

    /// None if fewer than sixteen are left.
    #[inline(always)]
    pub(super) fn at(text: &[u8], at: usize) -> Option<HostBytes> {
        let block = Block::first_of(text.get(at..)?)?;
        Some(HostBytes { digits: bits(block.digits()), colons: bits(block.equal(b':')), common: bits(block.common_in_hosts()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does `end` stop at each byte that is not `allowed`, and at no other, whatever its position and the bytes before it?
    fn check(end: impl Fn(&[u8], usize) -> usize, allowed: impl Fn(u8) -> bool) {
        let fillers: Vec<u8> = (0..=255).filter(|&b| allowed(b)).collect();
        let stops: Vec<u8> = (0..=255).filter(|&b| !allowed(b)).collect();
        for before in [0, 3, 20] {
            for size in [0, 1, 7, 15, 16, 17, 35] {
                for &filler in &fillers {
                    let mut text = [vec![stops[0]; before], vec![filler; size]].concat();
                    assert_eq!(end(&text, before), text.len(), "{size} times {filler}");
                    for at in (0..size).step_by(5) {
                        let stop = stops[(at + usize::from(filler)) % stops.len()];
                        text[before + at..].fill(stop);
                        assert_eq!(end(&text, before), before + at, "{stop} at {at} of {size} times {filler}");
                        text[before + at..].fill(filler);
                    }
                }
                for &stop in &stops {
                    let text = [vec![stop; before], vec![fillers[0]; size], vec![stop]].concat();
                    assert_eq!(end(&text, before), before + size, "{stop} behind {size}");
                }
            }
        }
    }

    #[test]
    fn plain_end_stops_at_controls() {
        check(plain_end, |b| b >= b' ' && b != 0x7f);
    }

    #[test]
    fn target_end_stops_at_what_no_target_has() {
        check(target_end, |b| b > b' ' && b != 0x7f && b != b'#');
    }

    #[test]
    fn path_end_stops_at_the_query_too() {
        check(path_end, |b| b > b' ' && b != 0x7f && b != b'#' && b != b'?');
    }

    #[test]
    fn token_end_stops_at_what_no_token_has() {
        check(token_end, is_token_byte);
    }

    #[test]
    fn host_end_stops_at_what_no_common_host_has() {
        check(host_end, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    }
}
