//! Reservations of a feature's units: what is held in a cell, found by customer and feature.

use crate::amount::{Amount, Refused, cost_of};
use crate::cell::{Burn, TOTAL_MAX};
use crate::check::{Answer, Cells, Clock, Found, Freshness, Spend};
use crate::error::Corrupt;
use crate::generation::Generation;
use crate::hold::{Ask, Hold, Reserve};
use crate::region::Words;
use crate::segment;
use crate::step::Step;

/// A hold, and the segment that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub hold: Hold,
    pub segment: usize,
}

/// What came of an attempt to reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    pub answer: Answer,
    /// Set if and only if the answer is yes.
    pub held: Option<Held>,
    /// In pool units, with that many decimal digits.
    pub cost: u64,
    pub scale: u8,
}

/// One attempt to reserve. Of `ask`, lease, pool and amount are filled in here.
pub fn reserve<W: Words, C: Cells>(
    g: &Generation<W>,
    cells: &C,
    found: Option<&Found>,
    amount: &Amount<'_>,
    ask: &Ask,
    clock: &impl Freshness,
) -> Result<Step<Reserved>, Refused> {
    let mut made = Reserved {
        answer: Answer::UnknownFeature,
        held: None,
        cost: 0,
        scale: 0,
    };
    let Some(found) = found else {
        return Ok(Step::Done(made));
    };
    made.cost = cost_of(g, found, amount)?;
    let pool = g.pool_info(found.entry.pool())?;
    made.scale = pool.scale;
    let barred = found.barred(g, clock)?;
    made.answer = match (barred, found.lease(g)?) {
        (Some(answer), _) => answer,
        (None, None) => Answer::NoLease,
        (None, Some(lease)) => {
            let ask = Ask {
                lease: lease.identity,
                pool: pool.id,
                amount: made.cost,
                ..*ask
            };
            let (reserved, segment) = hold(cells, lease.cell, &ask, clock)?;
            match reserved {
                Reserve::Held(hold) => {
                    made.held = Some(Held { hold, segment });
                    Answer::Allowed
                }
                Reserve::Denied(Burn::Short { full: true, .. }) => Answer::Exhausted,
                Reserve::Denied(_) => Answer::NoLease,
                Reserve::NoSlot => return Err(Refused::NoSlot),
            }
        }
    };
    Ok(found.step(made.answer, made))
}

/// Holds what is asked for in the cell with that index, if it is there.
#[inline(always)]
fn hold<C: Cells>(
    cells: &C,
    cell: u32,
    ask: &Ask,
    clock: &impl Clock,
) -> Result<(Reserve, usize), Corrupt> {
    let (segment, cell) = segment::place(cell);
    let of = cells.segment(segment)?;
    let cell = of.cell(cell)?;
    let reserved = of.holds()?.reserve(&cell, ask, || clock.now_ms())?;
    Ok((reserved, segment))
}

impl Spend {
    /// Holds `wanted` units. Of `ask`, lease, pool and amount are filled in here. `None`: nothing was held; look again, with all
    /// there is.
    #[inline(always)]
    pub fn reserve<C: Cells>(
        &self,
        cells: &C,
        wanted: u64,
        ask: Ask,
        clock: &impl Clock,
    ) -> Option<Held> {
        let amount = self.unit.checked_mul(wanted)?;
        if amount > TOTAL_MAX {
            return None;
        }
        let ask = Ask {
            lease: self.identity,
            pool: self.pool,
            amount,
            ..ask
        };
        match hold(cells, self.cell, &ask, clock) {
            Ok((Reserve::Held(hold), segment)) => Some(Held { hold, segment }),
            _ => None,
        }
    }
}

/// One attempt to burn what a reservation held too little of: as much of `most` as there is, `taken` of it before. The customer
/// may be without the feature by now; what was used is still to be paid from the same pool.
pub fn burn_up_to<W: Words, C: Cells>(
    g: &Generation<W>,
    cells: &C,
    found: Option<&Found>,
    most: u64,
    taken: &mut u64,
    clock: &impl Clock,
) -> Result<Step<()>, Corrupt> {
    let Some(found) = found else {
        return Ok(Step::Done(()));
    };
    let mut full = false;
    if let Some(lease) = found.lease(g)? {
        let cell = cells.cell(lease.cell)?;
        let now_ms = || clock.now_ms();
        *taken += cell.burn_up_to(lease.identity, most - *taken, now_ms)?;
        full = cell.view(lease.identity, now_ms)?.is_some_and(|v| v.full);
    }
    if *taken == most || full || found.row.is_none() {
        return Ok(Step::Done(()));
    }
    Ok(found.step(Answer::NoLease, ()))
}
