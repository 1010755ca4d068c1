//! Cells: what a host may spend of one pool of one customer, and what it has spent.
//!
//! A cell is one cache line of monotone totals:
//!
//! ```text
//! word 0  word       [closed:1 | tag:15 | spent:48]
//! word 1  granted    spent may reach granted + returned
//! word 2  returned   [frozen:1 | tag:15 | returned:48]
//! word 3  identity   [customer number:32 | lease:32]
//! word 4  limits     [valid_until_ms:56 | flags:8]
//! word 5  pool       hash of the pool's name
//! word 6  base       spent when the lease was opened
//! word 7  base       returned when the lease was opened
//! ```
//!
//! The spender: reads `word` (Acquire), then `identity`, `granted`, `returned`, `limits`; decides; and moves `word`
//! by one compare-exchange from the very value it read first. If anything it read between has changed for
//! the worse, then `word` has changed too (see the owner), and the exchange fails.
//!
//! The owner, alone: raises `granted` while a lease is open. To change anything else it closes: sets `closed`,
//! freezes `returned`, and only then writes the other words; it opens again by storing `word` with `spent`
//! one higher than it was. So within the life of a cell no value of `word` or `returned` ever comes back after
//! a close, and a process that slept between its read and its exchange fails, whoever owns the cell by then.
//! (`docs/decisions/0002-monotone-words.md` says why this replaces a generation counter.)
//!
//! Totals are derived: what a lease has used is `(spent - base) - (returned - base)`. A plain burn is one atomic
//! step, so there is no instant at which a kill leaves it half done. The tags belong to `hold`.

use crate::error::{Corrupt, Error, Result};
use crate::region::Region;
use crate::sync::{AtomicU64, Ordering};

/// Words of one cell: a cache line.
pub(crate) const CELL_WORDS: usize = 8;
/// Bits of a total.
pub(crate) const TOTAL_BITS: u32 = 48;
/// The largest total, and the largest single burn.
pub(crate) const TOTAL_MAX: u64 = (1 << TOTAL_BITS) - 1;
/// In `word`: nothing may be spent any more. In `returned`: nothing may be given back any more.
pub(crate) const CLOSED: u64 = 1 << 63;
const TAG_SHIFT: u32 = TOTAL_BITS;
const TAG_MASK: u64 = 0x7fff << TAG_SHIFT;
/// In `limits`: all there is has been lent, so "not enough here" is final.
const FLAG_FULL: u64 = 1;
/// In `limits`: no instant at which the lease stops being valid.
pub const NO_INSTANT: u64 = (1 << 56) - 1;
/// A compare-exchange that fails means that another spender got through. So many in a row mean a broken peer.
const ATTEMPTS_MAX: u32 = 1 << 20;

/// Where a cell's words start, and the segment they are in.
pub struct Cell<'a, R: Region> {
    pub(crate) region: &'a R,
    pub(crate) at: usize,
}

/// What the tags of a cell's two words are evidence for: the slots of `hold`. They are told before a tag is overwritten.
pub trait Evidence<R: Region> {
    /// `word`, read from the cell's `word`, is about to be overwritten.
    fn pass_on_debit(&self, cell: &Cell<'_, R>, word: u64) -> core::result::Result<(), Corrupt>;

    /// `returned`, read from the cell's `returned`, is about to be overwritten.
    fn pass_on_return(
        &self,
        cell: &Cell<'_, R>,
        returned: u64,
    ) -> core::result::Result<(), Corrupt>;
}

/// What came of a burn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burn {
    /// Recorded.
    Done,
    /// Fewer units are left than asked for. `full`: there is nothing more to be had from the owner.
    Short { available: u64, full: bool },
    /// The lease is closed, has ended, or is another customer's by now: ask for a new one.
    Gone,
}

/// What an observer sees of an open lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub available: u64,
    pub full: bool,
    pub valid_until_ms: u64,
}

/// A lease's totals since it was opened, in pool units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    pub number: u32,
    pub lease: u32,
    pub pool: u64,
    pub spent: u64,
    pub returned: u64,
    pub granted: u64,
    pub valid_until_ms: u64,
    pub closed: bool,
}

#[inline(always)]
pub(crate) fn total(word: u64) -> u64 {
    word & TOTAL_MAX
}

#[inline(always)]
pub(crate) fn tag(word: u64) -> u64 {
    (word & TAG_MASK) >> TAG_SHIFT
}

#[inline(always)]
pub(crate) fn with_tag(word: u64, tag: u64) -> u64 {
    (word & !TAG_MASK) | (tag << TAG_SHIFT)
}

#[inline(always)]
pub fn identity(number: u32, lease: u32) -> u64 {
    (u64::from(number) << 32) | u64::from(lease)
}

impl<'a, R: Region> Cell<'a, R> {
    /// The cell whose eight words start at `at`.
    #[inline(always)]
    pub(crate) fn new(region: &'a R, at: usize) -> core::result::Result<Cell<'a, R>, Corrupt> {
        // One check for all eight words: the last one is in bounds.
        // `at` may come from a hold slot, so the sum is checked as well.
        region.word(at.checked_add(CELL_WORDS - 1).ok_or(Corrupt)?)?;
        Ok(Cell { region, at })
    }

    #[inline(always)]
    fn at(&self, field: usize) -> core::result::Result<&'a AtomicU64, Corrupt> {
        self.region.word(self.at + field)
    }

    #[inline(always)]
    pub(crate) fn word(&self) -> core::result::Result<&'a AtomicU64, Corrupt> {
        self.at(0)
    }

    #[inline(always)]
    pub(crate) fn returned(&self) -> core::result::Result<&'a AtomicU64, Corrupt> {
        self.at(2)
    }

    /// Whether the lease in the cell is `expected`. Only meaningful after an Acquire load of `word`.
    #[inline(always)]
    pub(crate) fn is(&self, expected: u64) -> core::result::Result<bool, Corrupt> {
        // Relaxed: ordered by the Acquire load of `word` before it, which pairs with the Release in `open`.
        Ok(self.at(3)?.load(Ordering::Relaxed) == expected)
    }

    /// What may still be spent, given that `word` was just read. `None`: not this lease, closed or ended.
    #[inline(always)]
    pub(crate) fn room(
        &self,
        word: u64,
        expected: u64,
        now_ms: impl FnOnce() -> u64,
    ) -> core::result::Result<Option<View>, Corrupt> {
        if word & CLOSED != 0 || !self.is(expected)? {
            return Ok(None);
        }
        // `limits` before `granted`: whoever sees "full" then sees the total that it was said of, and never calls a denial
        // against an older one final.
        // Acquire: pairs with the last Release of `raise`.
        let limits = self.at(4)?.load(Ordering::Acquire);
        // Relaxed: after the Acquire load of `word`; a stale value of either is a smaller one and can only deny.
        let granted = self.at(1)?.load(Ordering::Relaxed);
        // Acquire: pairs with the Release of `hold::give_back`, whose debit this process may have to see.
        let returned = total(self.at(2)?.load(Ordering::Acquire));
        let valid_until_ms = limits >> 8;
        if valid_until_ms != NO_INSTANT && now_ms() >= valid_until_ms {
            return Ok(None);
        }
        let ceiling = granted.saturating_add(returned).min(TOTAL_MAX);
        Ok(Some(View {
            available: ceiling.saturating_sub(total(word)),
            full: limits & FLAG_FULL != 0,
            valid_until_ms,
        }))
    }

    /// What could be spent now. No side effect.
    #[inline(always)]
    pub(crate) fn view(
        &self,
        expected: u64,
        now_ms: impl FnOnce() -> u64,
    ) -> core::result::Result<Option<View>, Corrupt> {
        // Acquire: pairs with the Release in `open`, so that the words read next belong to this lease.
        let word = self.word()?.load(Ordering::Acquire);
        self.room(word, expected, now_ms)
    }

    /// Decides and records a burn of `cost` units in one atomic step.
    #[inline(always)]
    pub fn burn(
        &self,
        expected: u64,
        cost: u64,
        now_ms: impl Fn() -> u64,
    ) -> core::result::Result<Burn, Corrupt> {
        // Acquire: pairs with the Release in `open`.
        let word = self.word()?.load(Ordering::Acquire);
        match self.attempt(word, expected, cost, &now_ms)? {
            Ok(burn) => Ok(burn),
            Err(seen) => self.burn_again(seen, expected, cost, &now_ms),
        }
    }

    /// Somebody else was first. Apart from the first attempt, which nearly always does, so that the loop costs that nothing.
    #[inline(never)]
    fn burn_again(
        &self,
        mut word: u64,
        expected: u64,
        cost: u64,
        now_ms: &impl Fn() -> u64,
    ) -> core::result::Result<Burn, Corrupt> {
        for _ in 1..ATTEMPTS_MAX {
            match self.attempt(word, expected, cost, now_ms)? {
                Ok(burn) => return Ok(burn),
                Err(seen) => word = seen,
            }
        }
        Err(Corrupt)
    }

    /// One attempt at a burn, `word` being what was just read. An error is the word as it is by now.
    #[inline(always)]
    fn attempt(
        &self,
        word: u64,
        expected: u64,
        cost: u64,
        now_ms: &impl Fn() -> u64,
    ) -> core::result::Result<core::result::Result<Burn, u64>, Corrupt> {
        let Some(view) = self.room(word, expected, now_ms)? else {
            return Ok(Ok(Burn::Gone));
        };
        if cost > view.available {
            return Ok(Ok(Burn::Short {
                available: view.available,
                full: view.full,
            }));
        }
        // `spent + cost` stays within its 48 bits because `available` is measured against TOTAL_MAX; tag and
        // closed bit stay as they are.
        // AcqRel: Release, so that the owner that reads the total has everything before this burn; Acquire on
        // both outcomes, because the next round judges by the words of the lease then current.
        let done = self.word()?.compare_exchange_weak(
            word,
            word + cost,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        Ok(done.map(|_| Burn::Done))
    }

    /// Burns as much of `most` as there is; returns how much. For settling a reservation that turned out larger.
    pub fn burn_up_to(
        &self,
        expected: u64,
        most: u64,
        now_ms: impl Fn() -> u64,
    ) -> core::result::Result<u64, Corrupt> {
        let mut want = most;
        for _ in 0..ATTEMPTS_MAX {
            match self.burn(expected, want, &now_ms)? {
                Burn::Done => return Ok(want),
                Burn::Short { available: 0, .. } | Burn::Gone => return Ok(0),
                Burn::Short { available, .. } => want = available.min(want),
            }
        }
        Err(Corrupt)
    }

    /// The owner's view. For a closed cell the totals are final.
    pub fn totals(&self) -> core::result::Result<Option<Totals>, Corrupt> {
        // `returned` first: whatever it includes was debited before, so the word read after it includes the debit, and
        // no observer sees more given back than spent.
        // Acquire: pairs with `hold::give_back`.
        let returned = self.returned()?.load(Ordering::Acquire);
        // Acquire: pairs with the spenders' Release, and with `open`.
        let word = self.word()?.load(Ordering::Acquire);
        // Relaxed (all below): written by the owner alone, which is the caller or a predecessor whose lock the
        // caller now holds.
        let identity = self.at(3)?.load(Ordering::Relaxed);
        if identity == 0 {
            return Ok(None);
        }
        let granted = self.at(1)?.load(Ordering::Relaxed);
        let limits = self.at(4)?.load(Ordering::Relaxed);
        let base_spent = self.at(6)?.load(Ordering::Relaxed);
        let base_returned = self.at(7)?.load(Ordering::Relaxed);
        // The owner was killed in `open`, before its last store: nobody has seen this lease.
        let opening = word & CLOSED != 0 && total(word) + 1 == base_spent;
        let since = |word, base| {
            if opening {
                Ok(0)
            } else {
                total(word).checked_sub(base).ok_or(Corrupt)
            }
        };
        Ok(Some(Totals {
            number: (identity >> 32) as u32,
            lease: identity as u32,
            pool: self.at(5)?.load(Ordering::Relaxed),
            spent: since(word, base_spent)?,
            returned: since(returned, base_returned)?,
            granted: granted
                .wrapping_add(base_returned)
                .checked_sub(base_spent)
                .ok_or(Corrupt)?,
            valid_until_ms: limits >> 8,
            // Only when both are: until `returned` is frozen as well, the totals are not final.
            closed: word & returned & CLOSED != 0,
        }))
    }

    /// Owner: opens the cell for a lease. The cell must be fresh (all zero) or closed, and the totals of the lease that
    /// was in it booked. A kill at any step leaves a closed cell: without a lease, or with this one and nothing spent.
    pub fn open(&self, holds: &impl Evidence<R>, lease: &Lease) -> Result<()> {
        // Acquire: pairs with the last spender's Release before the close.
        let word = self.word()?.load(Ordering::Acquire);
        let returned = self.returned()?.load(Ordering::Acquire);
        // Relaxed: the owner's own word.
        let fresh = self.at(3)?.load(Ordering::Relaxed) == 0;
        if !fresh && (word & CLOSED == 0 || returned & CLOSED == 0) {
            return Err(Error::Lease(
                "the cell still holds an open lease; close it first".into(),
            ));
        }
        // The tags are evidence (see `hold`): pass it on before it is overwritten.
        holds.pass_on_debit(self, word)?;
        holds.pass_on_return(self, returned)?;
        let spent = total(word) + 1;
        let given_back = total(returned) + 1;
        if lease.granted > self.headroom_after(spent) {
            return Err(Error::Full(
                "this cell's totals are nearly used up; open the lease in another one",
            ));
        }
        // More given back than spent can't be: the totals are damaged.
        let granted = (spent + lease.granted)
            .checked_sub(given_back)
            .ok_or(Corrupt)?;
        if fresh {
            // AcqRel (both): a fresh cell is closed as well while its words change.
            self.word()?.fetch_or(CLOSED, Ordering::AcqRel);
            self.returned()?.fetch_or(CLOSED, Ordering::AcqRel);
        }
        // The word stays closed while the rest changes. The identity goes first and comes back last, so that a
        // successor never takes the words of one lease for those of another.
        // Release (all): keeps the stores in this order; the last one publishes them to spenders.
        self.at(3)?.store(0, Ordering::Release);
        self.at(1)?.store(granted, Ordering::Release);
        self.at(4)?.store(
            (lease.valid_until_ms.min(NO_INSTANT) << 8) | u64::from(lease.full),
            Ordering::Release,
        );
        self.at(5)?.store(lease.pool, Ordering::Release);
        self.at(6)?.store(spent, Ordering::Release);
        self.at(7)?.store(given_back, Ordering::Release);
        self.at(3)?
            .store(identity(lease.number, lease.lease), Ordering::Release);
        // `returned` opens before the word: a settler checks identity against its hold before it gives back.
        // Release: a settler that sees the unfrozen word sees the identity stored above.
        self.returned()?.store(given_back, Ordering::Release);
        // Release: pairs with the spenders' Acquire load; everything above is visible to whoever sees it open.
        self.word()?.store(spent, Ordering::Release);
        Ok(())
    }

    /// How many units a lease opened now could carry before the cell's totals run out.
    pub(crate) fn headroom(&self) -> core::result::Result<u64, Corrupt> {
        // Relaxed: an owner's estimate; `open` decides.
        Ok(self.headroom_after(total(self.word()?.load(Ordering::Relaxed)) + 1))
    }

    fn headroom_after(&self, spent: u64) -> u64 {
        TOTAL_MAX.saturating_sub(spent)
    }

    /// Owner: raises what is lent to an absolute total since the lease was opened. A lower total changes nothing.
    pub fn raise(&self, lease: u64, granted: u64, full: bool) -> Result<bool> {
        // Acquire: as in `totals`.
        let word = self.word()?.load(Ordering::Acquire);
        if word & CLOSED != 0 || !self.is(lease)? {
            return Ok(false);
        }
        // Relaxed: the owner's own words.
        let base_spent = self.at(6)?.load(Ordering::Relaxed);
        let base_returned = self.at(7)?.load(Ordering::Relaxed);
        let ceiling = base_spent.saturating_add(granted);
        if ceiling > TOTAL_MAX {
            return Err(Error::Full(
                "this cell's totals are nearly used up; close the lease and open another",
            ));
        }
        let target = ceiling.checked_sub(base_returned).ok_or(Corrupt)?;
        let limits = self.at(4)?.load(Ordering::Relaxed) & !FLAG_FULL;
        // Release (both): "full" is said after the total that it is said of, and spenders read it before, so that a denial
        // against an older total is final only if it was at that time.
        if target > self.at(1)?.load(Ordering::Relaxed) {
            self.at(1)?.store(target, Ordering::Release);
        }
        self.at(4)?
            .store(limits | u64::from(full), Ordering::Release);
        Ok(true)
    }

    /// Owner, at adoption: finishes a close at which its predecessor was killed, so that the totals are final. A lease
    /// whose opening was cut short counts as closed, with nothing spent.
    pub fn recover(&self) -> Result<Option<Totals>> {
        // Acquire: as in `totals`.
        if self.word()?.load(Ordering::Acquire) & CLOSED != 0 {
            // AcqRel: as in `close`.
            self.returned()?.fetch_or(CLOSED, Ordering::AcqRel);
        }
        Ok(self.totals()?)
    }

    /// Owner: closes for good and returns the final totals. Closing twice changes nothing.
    pub fn close(&self) -> Result<Option<Totals>> {
        // AcqRel: Release so that spenders that see it closed see nothing of it undone; Acquire so that the totals
        // read next include every burn before it.
        self.word()?.fetch_or(CLOSED, Ordering::AcqRel);
        // AcqRel: as above, for what is given back: from here on a settler books with the owner instead.
        self.returned()?.fetch_or(CLOSED, Ordering::AcqRel);
        Ok(self.totals()?)
    }
}

/// What the owner opens a cell for.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub number: u32,
    pub lease: u32,
    pub pool: u64,
    pub granted: u64,
    pub valid_until_ms: u64,
    pub full: bool,
}
