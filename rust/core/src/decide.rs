//! Questions about one feature of one customer, answered from a generation and the cells: what [`check`](crate::check) does
//! with all there is to say. `found` is what [`find`](crate::check::find) found; `None`: there is no such feature.

use crate::amount::{Amount, Refused, cost_of};
use crate::catalog::{Form, Kind};
use crate::cell::NO_INSTANT;
use crate::check::{Answer, Cells, Found, Freshness, check_found};
use crate::entry::{self, Value};
use crate::error::Corrupt;
use crate::generation::Generation;
use crate::region::Words;
use crate::resolve::Source;
use crate::step::Step;

/// An answer with all that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub answer: Answer,
    pub source: Option<Source>,
    /// Pool units left on this host; `None`: not countable, unlimited, or not known here.
    pub remaining: Option<u64>,
    /// Decimal digits of the pool.
    pub scale: u8,
    pub resets_at_ms: Option<u64>,
    /// Of the amount asked about, in pool units.
    pub cost: u64,
}

/// What a burn would come to. No side effect. Without an amount: of one unit, or of a feature that is not countable.
pub fn decide<W: Words, C: Cells>(
    g: &Generation<W>,
    cells: &C,
    found: Option<&Found>,
    amount: Option<&Amount<'_>>,
    clock: &impl Freshness,
) -> Result<Step<Decision>, Refused> {
    let mut d = Decision {
        answer: Answer::UnknownFeature,
        source: None,
        remaining: None,
        scale: 0,
        resets_at_ms: None,
        cost: 0,
    };
    let Some(found) = found else {
        return Ok(Step::Done(d));
    };
    d.source = found.entry.source();
    let stale = found.stale(g, clock)?;
    if found.entry.flags & entry::COUNTABLE == 0 {
        if let Some(amount) = amount {
            cost_of(g, found, amount)?; // Refuses it.
        }
        d.answer = stale.or(found.plain()).unwrap_or(Answer::Allowed);
        return Ok(found.step(d.answer, d));
    }
    d.cost = match amount {
        Some(amount) => cost_of(g, found, amount)?,
        None => found.unit_cost(g)?,
    };
    d.scale = g.pool_info(found.entry.pool())?.scale;
    if let (None, Some(answer)) = (stale, found.plain()) {
        d.answer = answer;
        return Ok(found.step(answer, d));
    }
    let view = found.view(g, cells, clock)?;
    if let Some(v) = view {
        d.remaining = Some(v.available);
        d.resets_at_ms = (v.valid_until_ms != NO_INSTANT).then_some(v.valid_until_ms);
    }
    d.answer = match (stale, view) {
        (Some(stale), _) => stale,
        (None, Some(v)) if d.cost <= v.available => Answer::Allowed,
        (None, Some(v)) if v.full => Answer::Exhausted,
        (None, _) => Answer::NoLease,
    };
    Ok(found.step(d.answer, d))
}

/// One attempt at a burn: the answer, and the cost in pool units.
pub fn burn<W: Words, C: Cells>(
    g: &Generation<W>,
    cells: &C,
    found: Option<&Found>,
    amount: &Amount<'_>,
    clock: &impl Freshness,
) -> Result<Step<(Answer, u64)>, Refused> {
    let Some(found) = found else {
        return Ok(Step::Done((Answer::UnknownFeature, 0)));
    };
    let cost = cost_of(g, found, amount)?;
    let answer = found.burn(g, cells, cost, clock)?;
    Ok(found.step(answer, (answer, cost)))
}

/// One attempt at a check.
pub fn check<W: Words, C: Cells>(
    g: &Generation<W>,
    cells: &C,
    found: Option<&Found>,
    clock: &impl Freshness,
) -> Result<Step<Answer>, Corrupt> {
    let Some(found) = found else {
        return Ok(Step::Done(Answer::UnknownFeature));
    };
    let answer = check_found(g, cells, found, clock)?;
    Ok(found.step(answer, answer))
}

/// One attempt at a value: of a switch or a credit whether it is on, else what was set. And what that says of the names: that
/// one is unknown, or nothing.
pub fn value<W: Words>(
    g: &Generation<W>,
    found: Option<&Found>,
) -> Result<Step<(Value, Answer)>, Corrupt> {
    let Some(found) = found else {
        return Ok(Step::Done((Value::None, Answer::UnknownFeature)));
    };
    let value = match found.entry.kind().map(Kind::form) {
        Some(Form::OnOff) => Value::Bool(found.entry.flags & entry::ALLOWED != 0),
        _ => found.entry.value(g.region())?,
    };
    let answer = of_names(found);
    Ok(found.step(answer, (value, answer)))
}

/// One attempt at the bound of a limit or the quota of a meter; `None`: unlimited, zero: not entitled. And what that says of the
/// names.
pub fn limit<W: Words>(
    g: &Generation<W>,
    found: Option<&Found>,
) -> Result<Step<(Option<i64>, Answer)>, Refused> {
    let Some(found) = found else {
        return Ok(Step::Done((Some(0), Answer::UnknownFeature)));
    };
    let kind = found.entry.kind();
    if !kind.is_some_and(Kind::has_bound) {
        return Err(Refused::NoLimit(kind));
    }
    let limit = match found.entry.value(g.region())? {
        Value::Unlimited => None,
        Value::Number(n) => Some(n),
        _ => Some(0),
    };
    let answer = of_names(found);
    Ok(found.step(answer, (limit, answer)))
}

fn of_names(found: &Found) -> Answer {
    match found.row {
        Some(_) => Answer::Allowed,
        None => Answer::UnknownCustomer,
    }
}

#[cfg(all(test, not(loom)))]
#[path = "decide_tests.rs"]
mod tests;
