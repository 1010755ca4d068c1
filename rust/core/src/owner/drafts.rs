//! Records into the words of rows: the profiles they share, the phases each goes through.

use std::collections::HashMap;

use crate::catalog::Catalog;
use crate::customer::Customer;
use crate::entry;
use crate::error::{Corrupt, Result};
use crate::key::Key;
use crate::resolve::Sources;
use crate::row::{self, Phase, Ref, RowKind};

/// Which sources, without overrides, a profile was made from: plan, trial's plan, add-ons with quantities.
type Combination = (Option<usize>, Option<usize>, Vec<(usize, u32)>);

/// Where each combination's profile is in the heap of the generation in force.
#[derive(Debug, Default)]
pub(super) struct Profiles(HashMap<Combination, u64>);

impl Profiles {
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Another generation has them, those that are kept, at other places.
    pub(super) fn moved(&mut self, to: &HashMap<u64, u64>) {
        self.0.retain(|_, place| match to.get(place) {
            Some(new) => {
                *place = *new;
                true
            }
            None => false,
        });
    }
}

/// A row ready to be written.
pub(super) struct Draft {
    pub(super) words: Vec<u64>,
    pub(super) key: Box<[u8]>,
    /// The number whose word is to point here; zero for rows that are not a customer's.
    pub(super) number: u32,
}

/// What makes rows of records.
pub(super) struct Drafts {
    pub(super) catalog: Catalog,
    pub(super) profiles: Profiles,
}

impl Drafts {
    pub(super) fn new(catalog: Catalog) -> Drafts {
        Drafts {
            catalog,
            profiles: Profiles::default(),
        }
    }

    /// The profile of a customer without a plan: a generation's first block.
    pub(super) fn defaults(&self, now_ms: i64) -> Vec<u64> {
        let none = Sources::default();
        entry::profile(&self.catalog, |f| none.resolve(&self.catalog, f, now_ms))
    }

    /// Turns a record into its rows: the customer's own, then one for each alias. `append` takes profiles that are met for the
    /// first time and says where they are.
    pub(super) fn of(
        &mut self,
        customer: &Customer<'_>,
        record: u64,
        refs: &[Ref],
        now_ms: i64,
        append: &mut impl FnMut(&[u64]) -> Result<u64>,
    ) -> Result<Vec<Draft>> {
        let sources = Sources::of(&self.catalog, customer)?;
        let phases = self.phases(&sources, now_ms, append)?;
        let pools = self.catalog.pools.len();
        let mut drafts = Vec::with_capacity(1 + customer.aliases.len());
        let mut draft = |kind, name: &str, refs: &[Ref], phases: &[Phase]| -> Result<()> {
            let key = Key::new(name.as_bytes()).ok_or(Corrupt)?;
            drafts.push(Draft {
                words: row::encode(kind, customer.number, key, record, refs, pools, phases)?,
                key: name.as_bytes().into(),
                number: if kind == RowKind::Customer {
                    customer.number
                } else {
                    0
                },
            });
            Ok(())
        };
        draft(RowKind::Customer, customer.id, refs, &phases)?;
        for alias in &customer.aliases {
            draft(RowKind::Alias, alias, &[], &[])?;
        }
        Ok(drafts)
    }

    /// The row of a key that is no longer the customer's.
    pub(super) fn gone(&self, number: u32, name: &[u8]) -> Result<Draft> {
        let key = Key::new(name).ok_or(Corrupt)?;
        let pools = self.catalog.pools.len();
        Ok(Draft {
            words: row::encode(RowKind::Gone, number, key, 0, &[], pools, &[])?,
            key: name.into(),
            number: 0,
        })
    }

    /// The profile of a combination, made and appended by `append` when it is met first.
    fn profile(
        &mut self,
        sources: &Sources,
        at_ms: i64,
        append: &mut impl FnMut(&[u64]) -> Result<u64>,
    ) -> Result<u64> {
        let active = |until: &Option<i64>| until.is_none_or(|t| at_ms < t);
        let trial = sources.trial.filter(|t| at_ms < t.1);
        let addons: Vec<(usize, Option<i64>, u32)> = sources
            .addons
            .iter()
            .filter(|(_, q, until)| *q > 0 && active(until))
            .map(|(a, q, _)| (*a, None, *q))
            .collect();
        let combination: Combination = (
            sources.plan,
            trial.map(|t| t.0),
            addons.iter().map(|(a, _, q)| (*a, *q)).collect(),
        );
        if let Some(place) = self.profiles.0.get(&combination) {
            return Ok(*place);
        }
        let base = Sources {
            plan: sources.plan,
            trial: trial.map(|t| (t.0, i64::MAX)),
            addons: addons
                .into_iter()
                .map(|(a, until, q)| (a, q, until))
                .collect(),
            overrides: Vec::new(),
        };
        let place = append(&entry::profile(&self.catalog, |f| {
            base.resolve(&self.catalog, f, at_ms)
        }))?;
        self.profiles.0.insert(combination, place);
        Ok(place)
    }

    /// The phases of a customer from `now_ms` on.
    fn phases(
        &mut self,
        sources: &Sources,
        now_ms: i64,
        append: &mut impl FnMut(&[u64]) -> Result<u64>,
    ) -> Result<Vec<Phase>> {
        let mut boundaries = sources.boundaries();
        boundaries.retain(|t| *t > now_ms);
        boundaries.truncate(row::PHASES_MAX - 1);
        let mut phases = Vec::with_capacity(boundaries.len() + 1);
        let mut from = now_ms;
        for until_ms in boundaries.into_iter().map(Some).chain([None]) {
            let profile = self.profile(sources, from, append)?;
            let mut features: Vec<usize> = sources.overrides.iter().map(|o| o.0).collect();
            features.sort_unstable();
            features.dedup();
            let differs: Vec<_> = features
                .into_iter()
                .map(|f| (f, sources.resolve(&self.catalog, f, from)))
                .collect();
            let overlay = (!differs.is_empty()).then(|| entry::overlay(&self.catalog, &differs));
            phases.push(Phase {
                until_ms,
                profile,
                overlay,
            });
            from = until_ms.unwrap_or(from);
        }
        Ok(phases)
    }
}
