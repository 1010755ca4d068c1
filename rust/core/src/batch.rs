//! Batches: many customers by number, with the memory of the next ones on its way while one is answered.

use crate::amount::{Amount, Refused, cost_of};
use crate::check::{Answer, Cells, Freshness, check_fast, check_found, found};
use crate::error::Corrupt;
use crate::generation::Generation;
use crate::region::Words;

/// How many customers a batch looks ahead: enough to cover the latency of memory, few enough to stay in the
/// processor's line-fill buffers.
pub const AHEAD: usize = 16;

/// A check of many customers by number. `each(i, answer)` is called in order.
pub fn check_numbers<W: Words, C: Cells>(
    g: &Generation<W>,
    cells: &C,
    feature: usize,
    count: usize,
    number: impl Fn(usize) -> u32,
    clock: &impl Freshness,
    mut each: impl FnMut(usize, Answer),
) -> Result<(), Corrupt> {
    let mut places = [0u64; AHEAD];
    for i in 0..AHEAD.min(count) {
        g.prefetch_number(number(i));
    }
    let mut start = 0;
    while start < count {
        let n = AHEAD.min(count - start);
        for (i, place) in places.iter_mut().enumerate().take(n) {
            // The words of the next block are on their way while this block's rows are.
            if start + AHEAD + i < count {
                g.prefetch_number(number(start + AHEAD + i));
            }
            *place = g.place(number(start + i))?;
            g.prefetch_row(*place);
        }
        for (i, place) in places.iter().enumerate().take(n) {
            let row = g.row_at(*place)?;
            let plain = row.and_then(|row| row.entries_at(g.heap_at()));
            let answer = match plain.and_then(|at| check_fast(g, at, feature)) {
                Some(true) => Answer::Allowed,
                Some(false) => Answer::NotEntitled,
                None => check_found(g, cells, &found(g, row, feature, clock)?, clock)?,
            };
            each(start + i, answer);
        }
        start += n;
    }
    Ok(())
}

/// Burns of many customers by number, an amount each, as far as this host's leases go. `each(i, answer)` is called in order.
/// An amount that cannot be burned of the feature is refused before any is.
pub fn burn_numbers<W: Words, C: Cells>(
    g: &Generation<W>,
    cells: &C,
    feature: usize,
    numbers: &[u32],
    amounts: &[u64],
    clock: &impl Freshness,
    mut each: impl FnMut(usize, Answer),
) -> Result<(), Refused> {
    // What can be burned at all, and what a unit costs, is the feature's and not the customer's.
    let default = found(g, None, feature, clock)?;
    for amount in amounts {
        cost_of(g, &default, &Amount::Plain(*amount))?;
    }
    for (i, (number, amount)) in numbers.iter().zip(amounts).enumerate() {
        if let Some(ahead) = numbers.get(i + AHEAD) {
            g.prefetch_number(*ahead);
        }
        let found = found(g, g.by_number(*number)?, feature, clock)?;
        let unit = found.entry.cost(g.region())?;
        let cost = unit.checked_mul(*amount).ok_or(Corrupt)?;
        each(i, found.burn(g, cells, cost, clock)?);
    }
    Ok(())
}
