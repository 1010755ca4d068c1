//! Holds: reservations that a kill at any instruction neither leaks, charges, nor frees twice.
//!
//! A hold is a slot of eight words in the segment of its cell:
//!
//! ```text
//! word 0  state     [seq:38 | pid:22 | state:4]
//! word 1  cell      where the cell's words start
//! word 2  lease     the cell's identity when it was debited
//! word 3  amount    units held
//! word 4  freed     units to give back when committed
//! word 5  ends_at   ms; past it the owner releases the hold
//! word 6  started   start time of the process, so that a reused pid is not taken for the holder
//! word 7  pool      the cell's pool, for the owner's books
//! ```
//!
//! The difficulty is that a reservation is two facts (the cell is debited, the slot says so) and a return is two
//! facts as well. One word can't say both, so each cell word carries a *tag*: the number of the slot that
//! moved it last. The rule that makes it exact:
//!
//! * A process writes its intent into the slot first, then moves the cell's word and puts its tag there in the same
//!   compare-exchange. So a slot with an intent was debited if and only if the cell's tag is its number.
//! * Whoever is about to overwrite another slot's tag first moves that slot's state on, from intent to held (or
//!   from returning to returned). So the evidence is never lost: it is in the tag or in the state.
//! * A slot is only used for a cell whose two tags are not already its number.
//!
//! A plain burn leaves the tag as it is. After a kill the owner reads state and tag and knows what happened.

use crate::cell::{self, Burn, CELL_WORDS, CLOSED, Cell, Evidence};
use crate::error::Corrupt;
use crate::region::Region;
use crate::sync::{AtomicU64, Ordering};

pub const HOLD_WORDS: usize = 8;
/// Slots of one segment; number 0 means "no tag".
pub const HOLDS_MAX: usize = 1 << 14;
const _: () = assert!(HOLDS_MAX <= 1 << 15, "a slot's number must fit the tag");

/// The slot is unused.
const FREE: u64 = 0;
/// A process owns the slot and fills it in.
const CLAIMED: u64 = 1;
/// The debit is about to happen, or has.
const INTENT: u64 = 2;
/// The debit has happened.
const HELD: u64 = 3;
/// The holder settles: `freed` is about to be given back, or has been.
const COMMITTED: u64 = 4;
/// The holder gives all back.
const RELEASED: u64 = 5;
/// The owner gives all back: the hold expired or its process died.
const EXPIRED: u64 = 6;
/// What the holder gave back has arrived; the holder frees the slot.
const RETURNED: u64 = 7;
/// What the owner gave back has arrived; the owner frees the slot.
const EXPIRED_RETURNED: u64 = 8;
/// The lease was closed before `freed` could be given back: the owner books it.
const LATE_FREED: u64 = 9;
/// The lease was closed before all of `amount` could be given back: the owner books it.
const LATE_AMOUNT: u64 = 10;

const STATE_MASK: u64 = 0xf;
const PID_SHIFT: u32 = 4;
const PID_MASK: u64 = (1 << 22) - 1;
const SEQ_SHIFT: u32 = 26;
/// How many slots are tried before a segment counts as full.
const PROBES_MAX: usize = HOLDS_MAX;
/// See `cell::ATTEMPTS_MAX`.
const ATTEMPTS_MAX: u32 = 1 << 20;

fn state_of(word: u64) -> u64 {
    word & STATE_MASK
}

fn in_state(word: u64, state: u64) -> u64 {
    (word & !STATE_MASK) | state
}

/// The late state that remembers which of the two amounts is to be given back.
fn late_state(settling: u64) -> u64 {
    in_state(
        settling,
        if state_of(settling) == COMMITTED {
            LATE_FREED
        } else {
            LATE_AMOUNT
        },
    )
}

/// The process that reserves: its pid and start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub started: u64,
}

/// What to reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The identity the cell must have.
    pub lease: u64,
    pub pool: u64,
    pub amount: u64,
    /// When the hold ends by itself.
    pub ends_at_ms: u64,
    pub holder: Holder,
    /// Where the search for a slot starts; a process that passes the slot it used last finds one at once.
    pub near: usize,
}

/// A live reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Slot number within the segment, from 1.
    pub slot: usize,
    /// The state word as the holder left it: names this use of the slot for good.
    stamp: u64,
    pub amount: u64,
}

impl Hold {
    /// Where this process's next search best starts ([`Ask::near`]): at the neighbour of this slot. Two slots in turn stay in
    /// the processor's cache, where ever new ones would walk through the whole table; and one slot alone won't do, for
    /// the cell's tags name it until another has taken its turn.
    pub fn near(&self) -> usize {
        (self.slot ^ 1).saturating_sub(1)
    }
}

/// What came of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    Held(Hold),
    Denied(Burn),
    /// All slots of the segment are in use.
    NoSlot,
}

/// What came of settling a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Settled; nothing more to do.
    Done,
    /// Settled, but the lease is closed: the owner books what is to be given back.
    Late,
    /// Somebody was first: it was settled before, or it expired.
    Gone,
}

/// A return that the owner has to book itself, for a lease that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateReturn {
    pub slot: usize,
    stamp: u64,
    /// Identity of the closed lease: customer number and lease.
    pub lease: u64,
    pub pool: u64,
    pub freed: u64,
}

impl LateReturn {
    /// Names this use of this slot for good, so that booking it twice can be told apart.
    pub fn stamp(&self) -> u64 {
        self.stamp >> SEQ_SHIFT
    }
}

/// A slot's fields, copied.
struct Record {
    slot: usize,
    cell: usize,
    lease: u64,
    amount: u64,
    freed: u64,
    ends_at_ms: u64,
    started: u64,
    pool: u64,
}

impl Record {
    fn late(&self, stamp: u64, freed: u64) -> LateReturn {
        LateReturn {
            slot: self.slot,
            stamp,
            lease: self.lease,
            pool: self.pool,
            freed,
        }
    }
}

/// The slots of one segment.
pub struct Table<'a, R: Region> {
    region: &'a R,
    at: usize,
    count: usize,
}

impl<R: Region> Evidence<R> for Table<'_, R> {
    /// If the slot that the tag names is an intent, it was debited.
    fn pass_on_debit(&self, cell: &Cell<'_, R>, word: u64) -> Result<(), Corrupt> {
        self.pass_on(cell.at, cell.word()?, word, |state| {
            (state == INTENT).then_some(HELD)
        })
    }

    /// What the slot was to give back has been given back.
    fn pass_on_return(&self, cell: &Cell<'_, R>, returned: u64) -> Result<(), Corrupt> {
        self.pass_on(cell.at, cell.returned()?, returned, |state| match state {
            COMMITTED | RELEASED => Some(RETURNED),
            EXPIRED => Some(EXPIRED_RETURNED),
            _ => None,
        })
    }
}

impl<'a, R: Region> Table<'a, R> {
    /// `count` slots starting at word `at`; slot 0 exists and is never used.
    pub(crate) fn new(region: &'a R, at: usize, count: usize) -> Result<Table<'a, R>, Corrupt> {
        if count == 0 || count > HOLDS_MAX {
            return Err(Corrupt);
        }
        region.word(at + count * HOLD_WORDS - 1)?;
        Ok(Table { region, at, count })
    }

    fn field(&self, slot: usize, field: usize) -> Result<&'a AtomicU64, Corrupt> {
        if slot >= self.count {
            return Err(Corrupt);
        }
        self.region.word(self.at + slot * HOLD_WORDS + field)
    }

    fn state(&self, slot: usize) -> Result<&'a AtomicU64, Corrupt> {
        self.field(slot, 0)
    }

    /// Moves the state of the slot that the tag of `value` names on to `next`, before `value`, read from `word`, is overwritten.
    fn pass_on(
        &self,
        cell: usize,
        word: &AtomicU64,
        value: u64,
        next: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), Corrupt> {
        let slot = cell::tag(value) as usize;
        if slot == 0 || slot >= self.count {
            return Ok(());
        }
        // Acquire: pairs with the Release with which the slot's user published its fields.
        let seen = self.state(slot)?.load(Ordering::Acquire);
        let Some(next) = next(state_of(seen)) else {
            return Ok(());
        };
        // Relaxed: if the slot was meanwhile used again, `seen` is no longer its state and the exchange below fails.
        if self.field(slot, 1)?.load(Ordering::Relaxed) != cell as u64 {
            return Ok(());
        }
        // If the word has moved on since the caller read it, the tag may be that of an earlier use of the slot, and
        // `seen` a later one that has moved nothing yet. Then there is nothing to say, and the caller's exchange fails.
        // If it has not, then the tag is that of `seen`: no slot is taken for a cell that still has its tag.
        // Relaxed: after the Acquire of `seen`, so at least as new as what the slot's user saw when it claimed it.
        if word.load(Ordering::Relaxed) != value {
            return Ok(());
        }
        // AcqRel / Relaxed: one of several passers-on wins; losing means that it is done. The Release keeps it before
        // the exchange on the cell that follows.
        let _ = self.state(slot)?.compare_exchange(
            seen,
            in_state(seen, next),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        Ok(())
    }

    /// Finds a free slot that neither tag of the cell names, and claims it.
    fn claim(
        &self,
        cell: &Cell<'_, R>,
        holder: Holder,
        near: usize,
    ) -> Result<Option<(usize, u64)>, Corrupt> {
        let usable = self.count - 1;
        // Relaxed (both): a first look, so that a slot which the tags name is not claimed in vain; it is repeated below.
        let named = [
            cell::tag(cell.word()?.load(Ordering::Relaxed)),
            cell::tag(cell.returned()?.load(Ordering::Relaxed)),
        ];
        for probe in 0..usable.min(PROBES_MAX) {
            let slot = 1 + near.wrapping_add(probe) % usable;
            // Relaxed: a first look; the exchange decides.
            let seen = self.state(slot)?.load(Ordering::Relaxed);
            if state_of(seen) != FREE || named.contains(&(slot as u64)) {
                continue;
            }
            let claimed = ((seen >> SEQ_SHIFT).wrapping_add(1) << SEQ_SHIFT)
                | ((u64::from(holder.pid) & PID_MASK) << PID_SHIFT)
                | CLAIMED;
            // Acquire on success: the fields written below come after the slot became ours.
            if self
                .state(slot)?
                .compare_exchange(seen, claimed, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
            {
                continue;
            }
            // Relaxed: only this slot's user ever puts its number there, and that is us now; so a tag that is not
            // ours here can't become ours behind our back, and one that is ours from before is seen, for
            // the FREE we took was stored (Release) after it.
            let in_word = cell::tag(cell.word()?.load(Ordering::Relaxed));
            let in_returned = cell::tag(cell.returned()?.load(Ordering::Relaxed));
            if in_word == slot as u64 || in_returned == slot as u64 {
                // Release: gives the slot back as it was, one seq on.
                self.state(slot)?
                    .store(in_state(claimed, FREE), Ordering::Release);
                continue;
            }
            return Ok(Some((slot, claimed)));
        }
        Ok(None)
    }

    /// Debits the amount from the cell and records the hold, so that no kill in between loses or charges it.
    pub fn reserve(
        &self,
        cell: &Cell<'_, R>,
        ask: &Ask,
        now_ms: impl Fn() -> u64,
    ) -> Result<Reserve, Corrupt> {
        let Ask { lease, amount, .. } = *ask;
        let Some((slot, claimed)) = self.claim(cell, ask.holder, ask.near)? else {
            return Ok(Reserve::NoSlot);
        };
        // Relaxed: published by the Release of INTENT.
        for (field, value) in [
            (1, cell.at as u64),
            (2, lease),
            (3, amount),
            (4, 0),
            (5, ask.ends_at_ms),
            (6, ask.holder.started),
            (7, ask.pool),
        ] {
            self.field(slot, field)?.store(value, Ordering::Relaxed);
        }
        let intent = in_state(claimed, INTENT);
        // Release: pairs with the Acquire of passers-on and of the sweep.
        self.state(slot)?.store(intent, Ordering::Release);

        // Acquire: pairs with the Release in `Cell::open`.
        let mut word = cell.word()?.load(Ordering::Acquire);
        for _ in 0..ATTEMPTS_MAX {
            let denied = match cell.room(word, lease, &now_ms)? {
                None => Some(Burn::Gone),
                Some(v) if amount > v.available => Some(Burn::Short {
                    available: v.available,
                    full: v.full,
                }),
                Some(_) => None,
            };
            if let Some(burn) = denied {
                // Release: the slot is given back. Nothing was debited, and the cell's tag is not ours.
                self.state(slot)?
                    .store(in_state(claimed, FREE), Ordering::Release);
                return Ok(Reserve::Denied(burn));
            }
            self.pass_on_debit(cell, word)?;
            let debited = cell::with_tag(word + amount, slot as u64);
            // AcqRel: Release, so that whoever sees our tag sees our intent; Acquire for the next round.
            match cell.word()?.compare_exchange_weak(
                word,
                debited,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    let held = in_state(claimed, HELD);
                    // AcqRel / Acquire: losing means that a passer-on has written the same.
                    let _ = self.state(slot)?.compare_exchange(
                        intent,
                        held,
                        Ordering::AcqRel,
                        Ordering::Acquire,
                    );
                    return Ok(Reserve::Held(Hold {
                        slot,
                        stamp: held,
                        amount,
                    }));
                }
                Err(seen) => word = seen,
            }
        }
        Err(Corrupt)
    }

    /// The holder settles: keeps `used` of what it held and gives the rest back. `used <= amount`.
    pub fn commit(&self, hold: Hold, used: u64) -> Result<Settle, Corrupt> {
        let freed = hold.amount.saturating_sub(used);
        if freed == 0 {
            // Nothing to give back: one step. AcqRel: the slot is free for others only after all we did with it.
            let done = self.state(hold.slot)?.compare_exchange(
                hold.stamp,
                in_state(hold.stamp, FREE),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            return Ok(if done.is_ok() {
                Settle::Done
            } else {
                Settle::Gone
            });
        }
        // Relaxed: read only by who sees COMMITTED, which is stored with Release below. If the owner expires the hold
        // first, it gives back `amount` and never reads this.
        self.field(hold.slot, 4)?.store(freed, Ordering::Relaxed);
        self.settle(hold, COMMITTED, freed)
    }

    /// The holder gives all back.
    pub fn release(&self, hold: Hold) -> Result<Settle, Corrupt> {
        self.settle(hold, RELEASED, hold.amount)
    }

    fn settle(&self, hold: Hold, state: u64, freed: u64) -> Result<Settle, Corrupt> {
        let settling = in_state(hold.stamp, state);
        // AcqRel: one winner between holder and owner. Release publishes `freed`.
        if self
            .state(hold.slot)?
            .compare_exchange(hold.stamp, settling, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return Ok(Settle::Gone);
        }
        self.give_back(hold.slot, settling, freed)
    }

    /// Adds `freed` to the cell's `returned`, exactly once, and frees the slot. Called by the one who moved the slot to
    /// `settling`, or, after that one's death, by the owner.
    fn give_back(&self, slot: usize, settling: u64, freed: u64) -> Result<Settle, Corrupt> {
        // Relaxed: fields of a slot that is ours to settle.
        let at = self.field(slot, 1)?.load(Ordering::Relaxed) as usize;
        let lease = self.field(slot, 2)?.load(Ordering::Relaxed);
        if at < self.at + self.count * HOLD_WORDS {
            return Err(Corrupt);
        }
        let cell = Cell::new(self.region, at)?;
        // Acquire: pairs with the Release in `Cell::open`, so that the identity read below belongs to it.
        let mut returned = cell.returned()?.load(Ordering::Acquire);
        for _ in 0..ATTEMPTS_MAX {
            let tag = cell::tag(returned);
            if tag == slot as u64 {
                break; // Given back before the one who began was killed.
            }
            // Acquire: if a passer-on saw our tag, it is done.
            if matches!(
                state_of(self.state(slot)?.load(Ordering::Acquire)),
                RETURNED | EXPIRED_RETURNED
            ) {
                break;
            }
            if returned & CLOSED != 0 || !cell.is(lease)? {
                // AcqRel: from here on the owner books it.
                let late = self.state(slot)?.compare_exchange(
                    settling,
                    late_state(settling),
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                if late.is_ok() {
                    return Ok(Settle::Late);
                }
                break;
            }
            self.pass_on_return(&cell, returned)?;
            let total = cell::total(returned)
                .checked_add(freed)
                .filter(|t| *t <= cell::TOTAL_MAX)
                .ok_or(Corrupt)?;
            // AcqRel: Release, so that who spends what was given back sees the debit it came from; Acquire for the
            // next round.
            match cell.returned()?.compare_exchange_weak(
                returned,
                cell::with_tag(total, slot as u64),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(seen) => returned = seen,
            }
        }
        // Release: the slot is free only after the return. Our tag may stay in the cell; `claim` looks for it.
        self.state(slot)?
            .store(in_state(settling, FREE), Ordering::Release);
        Ok(Settle::Done)
    }

    /// The fields of a slot, as they stand.
    fn record(&self, slot: usize) -> Result<Record, Corrupt> {
        // Relaxed: published by the state that the caller read with Acquire, or not yet written (CLAIMED).
        let get = |field| self.field(slot, field).map(|f| f.load(Ordering::Relaxed));
        Ok(Record {
            slot,
            cell: get(1)? as usize,
            lease: get(2)?,
            amount: get(3)?,
            freed: get(4)?,
            ends_at_ms: get(5)?,
            started: get(6)?,
            pool: get(7)?,
        })
    }

    /// Owner: frees what expired and what dead processes left, and lists what it has to book itself.
    ///
    /// `alive(pid, started)` says whether that very process lives; `started` is zero where it is not known. Returns
    /// how many holds were ended.
    pub fn sweep(
        &self,
        now_ms: u64,
        mut alive: impl FnMut(u32, u64) -> bool,
        late: &mut Vec<LateReturn>,
    ) -> Result<usize, Corrupt> {
        let mut ended = 0;
        for slot in 1..self.count {
            // Acquire: pairs with the Release of the slot's user.
            let seen = self.state(slot)?.load(Ordering::Acquire);
            let state = state_of(seen);
            if state == FREE {
                continue;
            }
            let pid = ((seen >> PID_SHIFT) & PID_MASK) as u32;
            let record = self.record(slot)?;
            // A claimed slot has no start time of its own yet; a living process of that pid gets the benefit of the doubt.
            let dead = !alive(pid, if state == CLAIMED { 0 } else { record.started });
            match state {
                CLAIMED | RETURNED if dead => self.free(slot, seen)?,
                EXPIRED_RETURNED => self.free(slot, seen)?,
                INTENT if dead => {
                    let cell = Cell::new(self.region, record.cell)?;
                    // Acquire: pairs with the debit. If the tag is gone, the state has moved on and the exchange fails.
                    if cell::tag(cell.word()?.load(Ordering::Acquire)) == slot as u64 {
                        ended += usize::from(self.expire(&record, seen, late)?);
                    } else {
                        self.free(slot, seen)?;
                    }
                }
                HELD if dead || now_ms >= record.ends_at_ms => {
                    ended += usize::from(self.expire(&record, seen, late)?);
                }
                // The holder was killed while it settled, or a former owner while it expired.
                COMMITTED if dead => self.finish(&record, seen, record.freed, late)?,
                RELEASED if dead => self.finish(&record, seen, record.amount, late)?,
                EXPIRED => self.finish(&record, seen, record.amount, late)?,
                LATE_FREED => late.push(record.late(seen, record.freed)),
                LATE_AMOUNT => late.push(record.late(seen, record.amount)),
                _ => {}
            }
        }
        Ok(ended)
    }

    fn free(&self, slot: usize, seen: u64) -> Result<(), Corrupt> {
        // AcqRel: only from the very state that was judged.
        let _ = self.state(slot)?.compare_exchange(
            seen,
            in_state(seen, FREE),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        Ok(())
    }

    fn expire(
        &self,
        record: &Record,
        seen: u64,
        late: &mut Vec<LateReturn>,
    ) -> Result<bool, Corrupt> {
        let expired = in_state(seen, EXPIRED);
        // AcqRel: one winner between holder and owner. What counts for an expired hold is `amount` alone: the holder may
        // just have stored a `freed` of its own and lose to us.
        if self
            .state(record.slot)?
            .compare_exchange(seen, expired, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return Ok(false);
        }
        self.finish(record, expired, record.amount, late)?;
        Ok(true)
    }

    fn finish(
        &self,
        record: &Record,
        settling: u64,
        freed: u64,
        late: &mut Vec<LateReturn>,
    ) -> Result<(), Corrupt> {
        if self.give_back(record.slot, settling, freed)? == Settle::Late {
            late.push(record.late(late_state(settling), freed));
        }
        Ok(())
    }

    /// Owner: the late return is booked; its slot is free again.
    pub fn booked(&self, late: &LateReturn) -> Result<(), Corrupt> {
        self.free(late.slot, late.stamp)
    }
}

const _: () = assert!(
    CELL_WORDS == HOLD_WORDS,
    "slots and cells share one alignment"
);
