//! The hot functions: a generation and the cells in, an answer out. Nothing here waits, allocates or does I/O.

use crate::catalog::WhenStale;
use crate::cell::{self, Burn, Cell, View};
use crate::entry::{self, Entry};
use crate::error::Corrupt;
use crate::generation::Generation;
use crate::key::Key;
use crate::region::{Region, Words};
use crate::row::Row;
use crate::segment::{self, Segment};
use crate::sync::Ordering;

/// Where cells are found.
pub trait Cells {
    type Region: Region;

    fn segment(&self, index: usize) -> Result<&Segment<Self::Region>, Corrupt>;

    #[inline(always)]
    fn cell(&self, index: u32) -> Result<Cell<'_, Self::Region>, Corrupt> {
        let (segment, cell) = segment::place(index);
        self.segment(segment)?.cell(cell)
    }
}

/// A segment alone: the first one.
impl<R: Region> Cells for Segment<R> {
    type Region = R;

    fn segment(&self, index: usize) -> Result<&Segment<R>, Corrupt> {
        (index == 0).then_some(self).ok_or(Corrupt)
    }
}

/// Time, when an answer depends on it.
pub trait Clock {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> u64;
}

/// How old what is known here is; asked only for features with a bound on that.
pub trait Freshness: Clock {
    /// For how long this host has not heard that what it has is current, in milliseconds. `u64::MAX`: it never did.
    fn unheard_ms(&self) -> u64;
}

/// An answer. "Never" and "not now" are different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Answer {
    Allowed,
    /// Entitled by default: nobody knows this customer.
    AllowedUnknown,
    /// What is known here is too old, and the feature is allowed then.
    AllowedStale,
    /// The customer does not have the feature.
    NotEntitled,
    /// Nobody knows this customer, and the default is no.
    UnknownCustomer,
    UnknownFeature,
    /// Not now: nothing left, and nothing more to be had.
    Exhausted,
    /// Not now: this host has no lease that covers it; the owner can be asked.
    NoLease,
    /// Not now: what is known here is too old, and the feature is denied then.
    Stale,
}

impl Answer {
    #[inline(always)]
    pub fn allowed(self) -> bool {
        matches!(
            self,
            Answer::Allowed | Answer::AllowedUnknown | Answer::AllowedStale
        )
    }

    /// Why, in the word that callers see.
    pub fn reason(self) -> &'static str {
        match self {
            Answer::Allowed | Answer::AllowedUnknown => "allowed",
            Answer::NotEntitled => "not_entitled",
            Answer::UnknownCustomer => "unknown_customer",
            Answer::UnknownFeature => "unknown_feature",
            Answer::Exhausted => "exhausted",
            Answer::NoLease => "no_lease",
            Answer::Stale | Answer::AllowedStale => "stale",
        }
    }

    /// Whether the age of what is known here decided.
    pub(crate) fn is_stale(self) -> bool {
        matches!(self, Answer::AllowedStale | Answer::Stale)
    }
}

/// What was found for a customer and a feature.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub row: Option<Row>,
    pub feature: usize,
    pub entry: Entry,
    /// There is no row here, and the owner may find the customer: those here are some of many.
    pub fetchable: bool,
}

/// Finds the entry of a customer's feature. `None`: no such feature.
#[inline(always)]
pub fn find<W: Words>(
    g: &Generation<W>,
    customer: &[u8],
    feature: &[u8],
    clock: &impl Clock,
) -> Result<Option<Found>, Corrupt> {
    let Some(name) = Key::new(feature) else {
        return Ok(None);
    };
    let Some(feature) = g.feature(name)? else {
        return Ok(None);
    };
    let key = Key::new(customer);
    let row = match key {
        Some(key) => g.customer(key)?,
        None => None,
    };
    let found = found(g, row, feature, clock)?;
    Ok(Some(Found {
        fetchable: row.is_none() && key.is_some() && g.is_on_demand(),
        ..found
    }))
}

/// The same of a row that is known already.
#[inline(always)]
pub(crate) fn found<W: Words>(
    g: &Generation<W>,
    row: Option<Row>,
    feature: usize,
    clock: &impl Clock,
) -> Result<Found, Corrupt> {
    let entry = match row {
        Some(row) => row.entry(g.region(), g.heap_at(), feature, g.pools(), || {
            clock.now_ms()
        })?,
        None => g.default_entry(feature)?,
    };
    Ok(Found {
        row,
        feature,
        entry,
        fetchable: false,
    })
}

/// A lease as a row names it: the cell and the identity it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRef {
    pub cell: u32,
    pub identity: u64,
}

impl Found {
    /// The lease this host holds of the feature's pool, if any.
    #[inline(always)]
    pub fn lease<W: Words>(&self, g: &Generation<W>) -> Result<Option<LeaseRef>, Corrupt> {
        let Some(row) = self.row else { return Ok(None) };
        let Some(word) = row.lease_of(g.region(), self.entry.pool(), g.pools())? else {
            return Ok(None);
        };
        Ok(Some(LeaseRef {
            cell: word as u32,
            identity: cell::identity(row.number(), (word >> 32) as u32),
        }))
    }

    /// What the feature's policy makes of an answer from what is too old; `None`: nothing, or it is not too old.
    #[inline(always)]
    pub(crate) fn stale<W: Words>(
        &self,
        g: &Generation<W>,
        clock: &impl Freshness,
    ) -> Result<Option<Answer>, Corrupt> {
        if self.entry.flags & entry::GUARDED == 0 {
            return Ok(None);
        }
        self.stale_guarded(g, clock)
    }

    #[cold]
    #[inline(never)]
    fn stale_guarded<W: Words>(
        &self,
        g: &Generation<W>,
        clock: &impl Freshness,
    ) -> Result<Option<Answer>, Corrupt> {
        let staleness = g.feature_info(self.feature)?.staleness;
        Ok(match (staleness.when_stale, staleness.bound()) {
            (_, None) | (WhenStale::Keep, _) => None,
            (_, Some(most)) if clock.unheard_ms() <= most => None,
            (WhenStale::Deny, _) => Some(Answer::Stale),
            (WhenStale::Allow, _) => Some(Answer::AllowedStale),
        })
    }

    /// Why nothing may be burned or held, whatever the balance; `None`: the balance decides.
    #[inline(always)]
    pub(crate) fn barred<W: Words>(
        &self,
        g: &Generation<W>,
        clock: &impl Freshness,
    ) -> Result<Option<Answer>, Corrupt> {
        let stale = self.stale(g, clock)?;
        if stale == Some(Answer::Stale) {
            return Ok(stale);
        }
        if self.row.is_none() {
            return Ok(Some(Answer::UnknownCustomer));
        }
        if self.entry.flags & entry::ALLOWED != 0 {
            return Ok(None);
        }
        // "Allow" says yes though the row says no, but it makes no credits: it takes a lease.
        let spends = stale.is_some() && self.lease(g)?.is_some();
        Ok((!spends).then_some(Answer::NotEntitled))
    }

    /// The answer where no balance decides; `None` where one does.
    #[inline(always)]
    pub(crate) fn plain(&self) -> Option<Answer> {
        let flags = self.entry.flags;
        if flags & entry::ALLOWED == 0 {
            return Some(if self.row.is_some() {
                Answer::NotEntitled
            } else {
                Answer::UnknownCustomer
            });
        }
        if self.row.is_none() {
            return Some(if flags & entry::COUNTABLE == 0 {
                Answer::AllowedUnknown
            } else {
                Answer::UnknownCustomer
            });
        }
        // An unlimited meter always has one unit left.
        (flags & entry::COUNTABLE == 0 || flags & entry::UNLIMITED != 0).then_some(Answer::Allowed)
    }

    /// Cost of one unit; of a feature that only has named quantities, the smallest unit of its pool.
    #[inline(always)]
    pub(crate) fn unit_cost<W: Words>(&self, g: &Generation<W>) -> Result<u64, Corrupt> {
        let cost = self.entry.cost(g.region())?;
        Ok(if cost == entry::NO_COST { 1 } else { cost })
    }

    /// What is left in the lease. `None`: no lease.
    #[inline(always)]
    pub(crate) fn view<W: Words, C: Cells>(
        &self,
        g: &Generation<W>,
        cells: &C,
        clock: &impl Clock,
    ) -> Result<Option<View>, Corrupt> {
        match self.lease(g)? {
            None => Ok(None),
            Some(lease) => cells
                .cell(lease.cell)?
                .view(lease.identity, || clock.now_ms()),
        }
    }

    /// Entitled, and if countable: are `cost` units left?
    #[inline(always)]
    pub(crate) fn affords<W: Words, C: Cells>(
        &self,
        g: &Generation<W>,
        cells: &C,
        cost: u64,
        clock: &impl Clock,
    ) -> Result<Answer, Corrupt> {
        if let Some(answer) = self.plain() {
            return Ok(answer);
        }
        Ok(match self.view(g, cells, clock)? {
            None => Answer::NoLease,
            Some(v) if cost <= v.available => Answer::Allowed,
            Some(v) if v.full => Answer::Exhausted,
            Some(_) => Answer::NoLease,
        })
    }

    /// Decides and records a burn of `cost` pool units.
    #[inline(always)]
    pub fn burn<W: Words, C: Cells>(
        &self,
        g: &Generation<W>,
        cells: &C,
        cost: u64,
        clock: &impl Freshness,
    ) -> Result<Answer, Corrupt> {
        if let Some(answer) = self.barred(g, clock)? {
            return Ok(answer);
        }
        let Some(lease) = self.lease(g)? else {
            return Ok(Answer::NoLease);
        };
        Ok(
            match cells
                .cell(lease.cell)?
                .burn(lease.identity, cost, || clock.now_ms())?
            {
                Burn::Done => Answer::Allowed,
                Burn::Short { full: true, .. } => Answer::Exhausted,
                Burn::Short { .. } | Burn::Gone => Answer::NoLease,
            },
        )
    }
}

/// May this customer do this, and is one unit left?
#[inline(always)]
pub fn check_named<W: Words, C: Cells>(
    g: &Generation<W>,
    cells: &C,
    customer: &[u8],
    feature: &[u8],
    clock: &impl Freshness,
) -> Result<Answer, Corrupt> {
    match find(g, customer, feature, clock)? {
        None => Ok(Answer::UnknownFeature),
        Some(found) => check_found(g, cells, &found, clock),
    }
}

/// The rest of [`check_named`], once the entry is found.
#[inline(always)]
pub fn check_found<W: Words, C: Cells>(
    g: &Generation<W>,
    cells: &C,
    found: &Found,
    clock: &impl Freshness,
) -> Result<Answer, Corrupt> {
    if let Some(answer) = found.stale(g, clock)? {
        return Ok(answer);
    }
    match found.plain() {
        Some(answer) => Ok(answer),
        None => found.affords(g, cells, found.unit_cost(g)?, clock),
    }
}

/// The answer where neither a clock nor a cell is needed, from the entries of a plain row; all else is `None`.
///
/// This is the end of nearly every check. It does not panic: there is no indexing, no unwrapping, and arithmetic that
/// wraps only leads to an index that is out of bounds.
#[inline(always)]
pub fn check_fast<W: Words>(g: &Generation<W>, entries_at: usize, feature: usize) -> Option<bool> {
    let at = entries_at.wrapping_add(feature * entry::ENTRY_WORDS);
    // Relaxed: blocks are immutable once published; the Acquire load of the slot that led here orders this.
    let flags = g.region().load(at, Ordering::Relaxed).ok()?;
    if flags & (entry::ALLOWED | entry::GUARDED) == 0 {
        return Some(false);
    }
    if flags & (entry::COUNTABLE | entry::GUARDED) == 0 {
        Some(true)
    } else {
        None
    }
}

/// What burning a feature's plain units takes, found once: the cell, the identity it must have, the cost of a unit.
/// It holds as long as the row does, for a new lease means a new row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spend {
    pub cell: u32,
    /// Decimal digits of the pool.
    pub scale: u8,
    pub unit: u64,
    pub identity: u64,
    /// The pool's id, as holds and cells have it.
    pub pool: u64,
}

/// Finds what a burn from a plain row takes. `None`: look again, with all there is.
pub fn spend<W: Words>(g: &Generation<W>, row: Row, feature: usize) -> Option<Spend> {
    let entries_at = row.entries_at(g.heap_at())?;
    let at = entries_at.wrapping_add(feature * entry::ENTRY_WORDS);
    let entry = Entry::load(g.region(), at, entries_at).ok()?;
    // All three: a guarded feature is looked at each time.
    let decides = entry::ALLOWED | entry::COUNTABLE | entry::GUARDED;
    if entry.flags & decides != entry::ALLOWED | entry::COUNTABLE {
        return None;
    }
    let unit = entry.cost(g.region()).ok()?;
    let word = row.lease_of(g.region(), entry.pool(), g.pools()).ok()??;
    let pool = g.pool_info(entry.pool()).ok()?;
    (unit <= cell::TOTAL_MAX).then_some(Spend {
        cell: word as u32,
        scale: pool.scale,
        unit,
        identity: cell::identity(row.number(), (word >> 32) as u32),
        pool: pool.id,
    })
}

impl Spend {
    /// Burns `amount` units. `None`: look again, with all there is. It does not panic, as [`check_fast`] does not.
    #[inline(always)]
    pub fn burn<C: Cells>(&self, cells: &C, amount: u64, clock: &impl Clock) -> Option<bool> {
        let cost = self.unit.checked_mul(amount)?;
        // A cost above the largest total can never be available, so it is not worth a branch of its own.
        match cells
            .cell(self.cell)
            .ok()?
            .burn(self.identity, cost, || clock.now_ms())
            .ok()?
        {
            Burn::Done => Some(true),
            Burn::Short { full: true, .. } if cost <= cell::TOTAL_MAX => Some(false),
            Burn::Short { .. } | Burn::Gone => None,
        }
    }

    /// Whether one unit is left. `None`: look again, with all there is.
    #[inline(always)]
    pub fn check<C: Cells>(&self, cells: &C, clock: &impl Clock) -> Option<bool> {
        let view = cells
            .cell(self.cell)
            .ok()?
            .view(self.identity, || clock.now_ms())
            .ok()??;
        if self.unit <= view.available {
            return Some(true);
        }
        if view.full { Some(false) } else { None }
    }
}
