//! Amounts: what a caller says is used, as units of the feature's pool.

use std::fmt;

use crate::catalog::Kind;
use crate::cell::TOTAL_MAX;
use crate::check::Found;
use crate::entry;
use crate::error::Corrupt;
use crate::generation::Generation;
use crate::region::Words;

/// An amount as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount<'a> {
    /// So many units of the unnamed quantity.
    Plain(u64),
    /// So many units of each of these quantities.
    Named(&'a [(&'a [u8], u64)]),
}

/// Why a question about a feature has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    Damaged(Corrupt),
    /// The feature has nothing to spend.
    NotCountable(Option<Kind>),
    /// More than one call may burn.
    TooLarge,
    /// The feature is billed by quantity, and none is named. What it has is `known`.
    Unnamed {
        known: String,
    },
    /// The feature has no quantity of that name.
    NoQuantity {
        name: String,
        known: String,
    },
    /// The feature has no limit.
    NoLimit(Option<Kind>),
    /// Every place for a hold is taken.
    NoSlot,
}

impl From<Corrupt> for Refused {
    fn from(corrupt: Corrupt) -> Refused {
        Refused::Damaged(corrupt)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |kind: &Option<Kind>| kind.map_or("feature", Kind::as_str);
        match self {
            Refused::Damaged(corrupt) => crate::error::Error::from(*corrupt).fmt(f),
            Refused::NotCountable(of) => write!(
                f,
                "the feature is a {}: it has nothing to spend; ask check(), value() or limit()",
                kind(of)
            ),
            Refused::TooLarge => write!(
                f,
                "an amount burns more than the {TOTAL_MAX} pool units that one call may: split it"
            ),
            Refused::Unnamed { known } => write!(
                f,
                "the feature is billed by quantity: give a dict with some of {known}"
            ),
            Refused::NoQuantity { name, known } if known.is_empty() => write!(
                f,
                "the feature has no quantity {name:?}: it is billed in plain units, give an int"
            ),
            Refused::NoQuantity { name, known } => write!(
                f,
                "the feature has no quantity {name:?}: it has {known}"
            ),
            Refused::NoLimit(of) => write!(
                f,
                "the feature is a {}: it has no limit; ask check() or value()",
                kind(of)
            ),
            Refused::NoSlot => f.write_str(
                "every place for a hold of this host is taken: commit or release some, or give them a shorter ttl",
            ),
        }
    }
}

/// What the amount costs, in pool units.
#[inline(always)]
pub fn cost_of<W: Words>(
    g: &Generation<W>,
    found: &Found,
    amount: &Amount<'_>,
) -> Result<u64, Refused> {
    if found.entry.flags & entry::COUNTABLE == 0 {
        return Err(not_countable(found));
    }
    if let Amount::Plain(n) = *amount {
        let unit = found.entry.cost(g.region())?;
        if unit != entry::NO_COST {
            return match unit.checked_mul(n) {
                Some(cost) if cost <= TOTAL_MAX => Ok(cost),
                _ => Err(Refused::TooLarge),
            };
        }
    }
    by_quantity(g, found, amount)
}

#[cold]
fn not_countable(found: &Found) -> Refused {
    Refused::NotCountable(found.entry.kind())
}

#[cold]
fn by_quantity<W: Words>(
    g: &Generation<W>,
    found: &Found,
    amount: &Amount<'_>,
) -> Result<u64, Refused> {
    let feature = g.feature_info(found.feature)?;
    let known = || {
        let names = g.quantities(feature);
        names.map(|names| names.join(", ")).unwrap_or_default()
    };
    let Amount::Named(named) = *amount else {
        return Err(Refused::Unnamed { known: known() });
    };
    let mut total: u64 = 0;
    for (name, n) in named {
        let Some(unit) = g.rate(feature, name)? else {
            return Err(Refused::NoQuantity {
                name: String::from_utf8_lossy(name).into_owned(),
                known: known(),
            });
        };
        total = match unit.checked_mul(*n).and_then(|c| total.checked_add(c)) {
            Some(sum) if sum <= TOTAL_MAX => sum,
            _ => return Err(Refused::TooLarge),
        };
    }
    Ok(total)
}
