//! Names as words: how a customer id or a feature name is hashed, stored and compared.
//!
//! A name is stored as its UTF-8 bytes in little-endian words, the last one padded with zeros, beside its
//! length. Comparing is then word against word, and a name of up to 16 bytes costs two loads.

use crate::catalog::bounds::NAME_BYTES_MAX;
use crate::error::Corrupt;
use crate::region::Words;
use crate::sync::Ordering;

/// A name to look up. Its first two words are read once; few names have more.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    bytes: &'a [u8],
    first: u64,
    second: u64,
}

impl<'a> Key<'a> {
    /// `None` for a name that no arena can hold: empty, or longer than any stored name.
    #[inline(always)]
    pub fn new(bytes: &'a [u8]) -> Option<Key<'a>> {
        let n = bytes.len();
        if n.wrapping_sub(1) >= NAME_BYTES_MAX {
            return None;
        }
        let (first, second) = match bytes.first_chunk::<8>() {
            Some(first) => (
                u64::from_le_bytes(*first),
                if n > 8 { second(bytes) } else { 0 },
            ),
            None => (short(bytes), 0),
        };
        Some(Key {
            bytes,
            first,
            second,
        })
    }

    #[inline(always)]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    #[inline(always)]
    pub(crate) fn words(self) -> usize {
        self.bytes.len().div_ceil(8)
    }

    /// The `index`-th word; zero past the end.
    #[inline(always)]
    pub(crate) fn word(self, index: usize) -> u64 {
        match index {
            0 => self.first,
            1 => self.second,
            _ => far(self.bytes, index),
        }
    }

    /// A 64-bit hash, keyed by the arena's random `seed` so that chosen names cannot be made to collide.
    #[inline(always)]
    pub(crate) fn hash(self, seed: u64) -> u64 {
        let n = self.bytes.len();
        if n <= 16 {
            return fold(
                self.first ^ seed,
                self.second ^ seed.rotate_left(32) ^ K0 ^ n as u64,
            );
        }
        self.hash_long(seed)
    }

    #[cold]
    #[inline(never)]
    fn hash_long(self, seed: u64) -> u64 {
        let mut h = seed ^ (self.bytes.len() as u64).wrapping_mul(K2);
        for i in 0..self.words() {
            let word = self.word(i);
            h = fold(h ^ word, K0) ^ word.rotate_left(29);
        }
        fold(h ^ seed, K1)
    }

    /// Whether the words at `at` are this name's.
    #[inline(always)]
    pub(crate) fn equals<R: Words + ?Sized>(self, region: &R, at: usize) -> Result<bool, Corrupt> {
        // Relaxed (all): rows are immutable once published; the Acquire load of the slot that led here orders this.
        if region.load(at, Ordering::Relaxed)? != self.first {
            return Ok(false);
        }
        if self.bytes.len() <= 8 {
            return Ok(true);
        }
        if region.load(at + 1, Ordering::Relaxed)? != self.second {
            return Ok(false);
        }
        if self.bytes.len() <= 16 {
            Ok(true)
        } else {
            self.equals_far(region, at)
        }
    }

    #[inline(never)]
    fn equals_far<R: Words + ?Sized>(self, region: &R, at: usize) -> Result<bool, Corrupt> {
        for i in 2..self.words() {
            // Relaxed: as above.
            if region.load(at + i, Ordering::Relaxed)? != self.word(i) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A name of one to seven bytes as a word. Reads overlap instead of looping: this is on the path of every check.
#[inline(always)]
fn short(bytes: &[u8]) -> u64 {
    let n = bytes.len();
    if let (Some(low), Some(high)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (low, high) = (u32::from_le_bytes(*low), u32::from_le_bytes(*high));
        return u64::from(low) | (u64::from(high) << ((8 * (n - 4)) & 63));
    }
    // One to three bytes: first, middle and last cover them all, some twice with the same value.
    let at = |i: usize| u64::from(bytes.get(i).copied().unwrap_or(0)) << ((8 * i) & 63);
    at(0) | at(n / 2) | at(n.saturating_sub(1))
}

/// The second word of a name of more than eight bytes.
#[inline(always)]
fn second(bytes: &[u8]) -> u64 {
    match bytes.get(8..16) {
        Some(chunk) => chunk
            .first_chunk::<8>()
            .map_or(0, |c| u64::from_le_bytes(*c)),
        // The last eight bytes hold the tail in their upper part.
        None => bytes.last_chunk::<8>().map_or(0, |c| {
            u64::from_le_bytes(*c) >> ((8 * (16 - bytes.len())) & 63)
        }),
    }
}

/// A word of a long name: of more than sixteen bytes, from the third word on.
#[inline(always)]
fn far(bytes: &[u8], index: usize) -> u64 {
    let start = index * 8;
    if let Some(chunk) = bytes.get(start..).and_then(|rest| rest.first_chunk::<8>()) {
        return u64::from_le_bytes(*chunk);
    }
    // The last eight bytes hold the tail, of one to seven bytes, in their upper part.
    match (bytes.len().checked_sub(start), bytes.last_chunk::<8>()) {
        (Some(tail @ 1..), Some(chunk)) => u64::from_le_bytes(*chunk) >> (64 - 8 * tail),
        _ => 0,
    }
}

/// Odd constants with about half their bits set, from the digits of pi.
const K0: u64 = 0x243f_6a88_85a3_08d3;
const K1: u64 = 0x1319_8a2e_0370_7345;
const K2: u64 = 0xa409_3822_299f_31d1;

/// The 128-bit product of two words, folded: one multiplication that mixes every bit into every other.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Hashes a customer's number: its place in a table of those held, its bit among those touched.
#[inline(always)]
pub(crate) fn hash_number(seed: u64, number: u32) -> u64 {
    fold(seed ^ u64::from(number) ^ K2, K0)
}

/// Hashes a run of words: row checks, record digests, profile interning.
pub fn hash_words(seed: u64, words: &[u64]) -> u64 {
    let mut h = seed ^ (words.len() as u64).wrapping_mul(K2);
    for &w in words {
        h = fold(h ^ w, K0) ^ w.rotate_left(29);
    }
    fold(h ^ K2, K1)
}

/// Hashes bytes with a fixed seed: identities that must be equal in every process and version.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut h = K2 ^ (bytes.len() as u64).wrapping_mul(K0);
    for chunk in bytes.chunks(8) {
        let mut word = [0u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let w = u64::from_le_bytes(word);
        h = fold(h ^ w, K0) ^ w.rotate_left(29);
    }
    fold(h ^ K2, K1)
}

/// Reads a stored name back. Bounded by [`NAME_BYTES_MAX`].
pub(crate) fn read_name<R: Words + ?Sized>(
    region: &R,
    at: usize,
    len: usize,
) -> Result<Vec<u8>, Corrupt> {
    if len > NAME_BYTES_MAX {
        return Err(Corrupt);
    }
    let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
    for i in 0..len.div_ceil(8) {
        // Relaxed: immutable once published, as in `Key::equals`.
        bytes.extend_from_slice(&region.load(at + i, Ordering::Relaxed)?.to_le_bytes());
    }
    bytes.truncate(len);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn obvious_word(bytes: &[u8], index: usize) -> u64 {
        let mut word = [0u8; 8];
        for (to, from) in word.iter_mut().zip(&bytes[index * 8..]) {
            *to = *from;
        }
        u64::from_le_bytes(word)
    }

    proptest! {
        #[test]
        fn words_are_the_padded_bytes(bytes in prop::collection::vec(any::<u8>(), 1..80)) {
            let key = Key::new(&bytes).unwrap();
            for i in 0..key.words() {
                prop_assert_eq!(key.word(i), obvious_word(&bytes, i));
            }
        }

        #[test]
        fn a_changed_byte_changes_the_hash(bytes in prop::collection::vec(any::<u8>(), 1..40), at in any::<usize>(), flip in 1u8..) {
            let mut other = bytes.clone();
            let at = at % bytes.len();
            other[at] ^= flip;
            prop_assert_ne!(Key::new(&bytes).unwrap().hash(7), Key::new(&other).unwrap().hash(7));
        }
    }

    #[test]
    fn no_key_for_names_that_cannot_be_stored() {
        assert!(Key::new(b"").is_none());
        assert!(Key::new(&[b'x'; NAME_BYTES_MAX]).is_some());
        assert!(Key::new(&[b'x'; NAME_BYTES_MAX + 1]).is_none());
    }

    #[test]
    fn a_trailing_nul_is_another_name() {
        assert_ne!(
            Key::new(b"a").unwrap().hash(1),
            Key::new(b"a\0").unwrap().hash(1)
        );
    }
}
