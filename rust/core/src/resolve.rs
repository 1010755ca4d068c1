//! The one resolver: which setting a customer has of a feature at an instant, and why.
//!
//! Strongest first: override, trial, add-ons, plan version, catalog default.
//!
//! * An active override decides alone; of several, the one put last.
//! * A switch or a credit feature is on where any source turns it on.
//! * For one number, several sources: the most generous wins, and what add-ons add (per unit of their quantity)
//!   is added to it.
//! * A text or boolean value comes from the strongest source that has one.
//! * The default speaks only where nobody else does.
//!
//! Rows are made from this and `explain` shows it, so they can't disagree.

use crate::catalog::{AddonSetting, Catalog, Feature, Form, Kind, Setting};
use crate::customer::Customer;
use crate::error::{Error, Result};

/// Where a setting came from. The numbers are stored in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Source {
    Override = 1,
    Trial = 2,
    Addon = 3,
    Plan = 4,
    Default = 5,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Override => "override",
            Source::Trial => "trial",
            Source::Addon => "addon",
            Source::Plan => "plan",
            Source::Default => "default",
        }
    }

    pub(crate) fn from_u8(value: u8) -> Option<Source> {
        [
            Source::Override,
            Source::Trial,
            Source::Addon,
            Source::Plan,
            Source::Default,
        ]
        .into_iter()
        .find(|s| *s as u8 == value)
    }
}

/// A customer whose names have been found in the catalog.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Index into `Catalog::plans`.
    pub plan: Option<usize>,
    /// Plan index and end.
    pub trial: Option<(usize, i64)>,
    /// Add-on index, quantity, end.
    pub addons: Vec<(usize, u32, Option<i64>)>,
    /// Feature index, setting, start, end; in the order they were put.
    pub overrides: Vec<(usize, Setting, Option<i64>, Option<i64>)>,
}

/// One source that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    pub source: Source,
    /// The plan as "name@version", the add-on's name, or empty.
    pub name: String,
    pub setting: Setting,
    /// An add-on that adds to a number: the setting is what it adds in all.
    pub adds: bool,
    pub starts_ms: Option<i64>,
    pub ends_ms: Option<i64>,
    /// Whether it counts at the instant asked about.
    pub active: bool,
    /// Whether the answer comes from it.
    pub won: bool,
}

/// A setting and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub setting: Setting,
    pub source: Source,
}

impl Sources {
    /// Looks the customer's names up, and refuses what the catalog does not allow.
    pub fn of(catalog: &Catalog, customer: &Customer<'_>) -> Result<Sources> {
        let no = |what: String| Error::Invalid(format!("customer {:?}: {what}", customer.id));
        let plan_of = |name: &str, version: Option<u32>| {
            catalog.plan(name, version).ok_or_else(|| {
                no(match version {
                    Some(v) => format!("the catalog has no plan {name:?} at version {v}"),
                    None => format!("the catalog has no plan {name:?}"),
                })
            })
        };
        let plan = customer
            .plan
            .map(|(name, version)| plan_of(name, version))
            .transpose()?;
        let trial = match &customer.trial {
            None => None,
            Some(t) => Some((plan_of(t.plan, t.version)?, t.until_ms)),
        };
        let mut addons = Vec::with_capacity(customer.addons.len());
        for held in &customer.addons {
            let index = catalog
                .addon(held.name)
                .ok_or_else(|| no(format!("the catalog has no add-on {:?}", held.name)))?;
            let addon = &catalog.addons[index];
            if addon.max_quantity.is_some_and(|max| held.quantity > max) {
                return Err(no(format!(
                    "add-on {:?}: quantity {} is more than allowed",
                    held.name, held.quantity
                )));
            }
            if !addon.plans.is_empty()
                && !customer
                    .plan
                    .is_some_and(|(p, _)| addon.plans.iter().any(|a| a == p))
            {
                return Err(no(format!(
                    "add-on {:?} can't be added to this customer's plan",
                    held.name
                )));
            }
            addons.push((index, held.quantity, held.until_ms));
        }
        let mut overrides = Vec::with_capacity(customer.overrides.len());
        for o in &customer.overrides {
            let index = catalog
                .feature(o.feature)
                .ok_or_else(|| no(format!("the catalog has no feature {:?}", o.feature)))?;
            let feature = &catalog.features[index];
            if !fits(feature.kind, &o.setting) {
                return Err(no(format!(
                    "an override of {:?} can't be {}: it is a {}",
                    o.feature,
                    describe(&o.setting),
                    feature.kind.as_str()
                )));
            }
            overrides.push((index, o.setting.clone(), o.starts_ms, o.ends_ms));
        }
        Ok(Sources {
            plan,
            trial,
            addons,
            overrides,
        })
    }

    /// The instants at which any setting may change, ascending.
    pub fn boundaries(&self) -> Vec<i64> {
        let mut at: Vec<i64> = self.trial.iter().map(|t| t.1).collect();
        at.extend(self.addons.iter().filter_map(|a| a.2));
        at.extend(self.overrides.iter().flat_map(|o| [o.2, o.3]).flatten());
        at.sort_unstable();
        at.dedup();
        at
    }

    /// Every source considered for one feature, strongest first, with the winners marked.
    pub fn consider(&self, catalog: &Catalog, feature: usize, at_ms: i64) -> Vec<Considered> {
        let kind = catalog.features[feature].kind;
        let mut all = Vec::new();
        // The override put last is the strongest.
        for (f, setting, starts_ms, ends_ms) in self.overrides.iter().rev() {
            if *f == feature {
                all.push(Considered {
                    source: Source::Override,
                    name: String::new(),
                    setting: setting.clone(),
                    adds: false,
                    starts_ms: *starts_ms,
                    ends_ms: *ends_ms,
                    active: starts_ms.is_none_or(|t| at_ms >= t)
                        && ends_ms.is_none_or(|t| at_ms < t),
                    won: false,
                });
            }
        }
        let mut from_plan = |source, plan: usize, ends_ms: Option<i64>| {
            let plan = &catalog.plans[plan];
            if let Some((_, setting)) = plan.entitlements.iter().find(|(f, _)| *f == feature) {
                all.push(Considered {
                    source,
                    name: format!("{}@{}", plan.name, plan.version),
                    setting: setting.clone(),
                    adds: false,
                    starts_ms: None,
                    ends_ms,
                    active: ends_ms.is_none_or(|t| at_ms < t),
                    won: false,
                });
            }
        };
        if let Some((plan, until_ms)) = self.trial {
            from_plan(Source::Trial, plan, Some(until_ms));
        }
        if let Some(plan) = self.plan {
            from_plan(Source::Plan, plan, None);
        }
        for (addon, quantity, until_ms) in &self.addons {
            let addon = &catalog.addons[*addon];
            if *quantity == 0 {
                continue;
            }
            if let Some((_, setting)) = addon.entitlements.iter().find(|(f, _)| *f == feature) {
                let (setting, adds) = match setting {
                    AddonSetting::Add(n) => (
                        Setting::Number(n.saturating_mul(i64::from(*quantity))),
                        true,
                    ),
                    AddonSetting::Set(s) => (s.clone(), false),
                };
                all.push(Considered {
                    source: Source::Addon,
                    name: addon.name.clone(),
                    setting,
                    adds,
                    starts_ms: None,
                    ends_ms: *until_ms,
                    active: until_ms.is_none_or(|t| at_ms < t),
                    won: false,
                });
            }
        }
        all.push(Considered {
            source: Source::Default,
            name: String::new(),
            setting: catalog.features[feature].default.clone(),
            adds: false,
            starts_ms: None,
            ends_ms: None,
            active: true,
            won: false,
        });
        all.sort_by_key(|c| c.source); // stable: keeps the order within a source
        mark_winners(kind, &mut all);
        all
    }

    /// What the customer has of one feature at an instant.
    pub fn resolve(&self, catalog: &Catalog, feature: usize, at_ms: i64) -> Resolved {
        settle(
            &catalog.features[feature],
            &self.consider(catalog, feature, at_ms),
        )
    }
}

/// Marks where the answer comes from.
fn mark_winners(kind: Kind, all: &mut [Considered]) {
    if let Some(first) = all
        .iter_mut()
        .find(|c| c.active && c.source == Source::Override)
    {
        first.won = true;
        return;
    }
    let base = |c: &Considered| {
        c.active && !c.adds && !matches!(c.source, Source::Override | Source::Default)
    };
    let any_base = all.iter().any(base);
    // Default speaks only where nobody else does.
    let counts = |c: &Considered| {
        if any_base {
            base(c)
        } else {
            c.source == Source::Default
        }
    };
    let winner = match kind.form() {
        Form::OnOff => all
            .iter()
            .position(|c| counts(c) && c.setting == Setting::On)
            .or_else(|| all.iter().position(counts)),
        Form::Bound => most_generous(all, counts),
        Form::Value => {
            let numbers = all
                .iter()
                .filter(|c| counts(c))
                .all(|c| matches!(c.setting, Setting::Number(_)));
            if numbers {
                most_generous(all, counts)
            } else {
                all.iter().position(counts)
            }
        }
    };
    if let Some(i) = winner {
        all[i].won = true;
    }
    for c in all.iter_mut() {
        c.won |= c.active && c.adds;
    }
}

/// The first of the largest.
fn most_generous(all: &[Considered], counts: impl Fn(&Considered) -> bool) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (i, c) in all.iter().enumerate() {
        if counts(c) && best.is_none_or(|b| amount(&c.setting) > amount(&all[b].setting)) {
            best = Some(i);
        }
    }
    best
}

/// How generous a number is; `None` below all, unlimited above all.
fn amount(setting: &Setting) -> i128 {
    match setting {
        Setting::Unlimited | Setting::On => i128::MAX,
        Setting::Number(n) => i128::from(*n),
        _ => 0,
    }
}

/// The answer from the marked sources.
fn settle(feature: &Feature, all: &[Considered]) -> Resolved {
    let base = all.iter().find(|c| c.won && !c.adds);
    let (mut setting, mut source) = match base {
        Some(c) => (c.setting.clone(), c.source),
        None => (feature.default.clone(), Source::Default),
    };
    if source != Source::Override {
        let added = all
            .iter()
            .filter(|c| c.won && c.adds)
            .fold(0i64, |sum, c| match c.setting {
                Setting::Number(n) => sum.saturating_add(n),
                _ => sum,
            });
        if added != 0 {
            let number = match &setting {
                Setting::Number(n) => Some(*n),
                Setting::Off => Some(0),
                _ => None,
            };
            if let Some(n) = number {
                setting = Setting::Number(n.saturating_add(added));
                source = Source::Addon;
            }
        }
    }
    Resolved { setting, source }
}

/// Whether a feature of that kind can have that setting.
pub(crate) fn fits(kind: Kind, setting: &Setting) -> bool {
    match kind.form() {
        Form::OnOff => matches!(setting, Setting::On | Setting::Off),
        Form::Bound => match setting {
            Setting::Number(n) => *n >= 0,
            Setting::Unlimited | Setting::Off => true,
            _ => false,
        },
        Form::Value => matches!(
            setting,
            Setting::Number(_) | Setting::Text(_) | Setting::Bool(_) | Setting::Off
        ),
    }
}

fn describe(setting: &Setting) -> String {
    match setting {
        Setting::Off => "off".into(),
        Setting::On => "on".into(),
        Setting::Unlimited => "unlimited".into(),
        Setting::Number(n) => n.to_string(),
        Setting::Text(t) => format!("{t:?}"),
        Setting::Bool(b) => b.to_string(),
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
