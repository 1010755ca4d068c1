//! Decisions over plain words on the heap: against the resolver, against each other, against sums said the obvious way.

use proptest::prelude::*;

use crate::amount::{Amount, Refused, cost_of};
use crate::batch::{burn_numbers, check_numbers};
use crate::catalog::{Catalog, Form, Kind, Rate, Setting, Staleness, WhenStale};
use crate::cell::{Lease, NO_INSTANT, TOTAL_MAX, Totals};
use crate::check::{self, Answer, Cells, Clock, Found, Freshness};
use crate::decide::{burn, check, decide, limit, value};
use crate::entry::{self, Value};
use crate::generation::{Capacity, Generation, Plan};
use crate::hold::{Ask, Holder, Settle};
use crate::key::{Key, hash_bytes};
use crate::region::HeapRegion;
use crate::reserve::{burn_up_to, reserve};
use crate::resolve::Sources;
use crate::row::{self, Phase, Ref, RowKind};
use crate::segment::{self, Segment};
use crate::step::{Asked, Step};
use crate::testing::{self, At, CREDITS, FEATURES, NOW_MS, Record};

const SEED: u64 = 12_345;
const CELLS: usize = 4;
const LEASE: u32 = 3;
/// The feature that burns credits, and its place.
const MODEL: &str = "model";
const MODEL_AT: usize = 5;

/// Rows of some customers and a few cells, nothing of it in a file.
struct World {
    rows: Generation<HeapRegion>,
    cells: Segment<HeapRegion>,
}

impl World {
    /// Each customer with a lease of so many credits; `None`: with none.
    fn new(catalog: &Catalog, customers: &[(Record, Option<u64>)], on_demand: bool) -> World {
        let none = Sources::default();
        let defaults = entry::profile(catalog, |f| none.resolve(catalog, f, NOW_MS));
        let capacity = Capacity {
            slots: 64,
            numbers: 64,
            heap_words: 1 << 14,
        };
        let mut plan = Plan::new(catalog, SEED, capacity).unwrap();
        if on_demand {
            plan = plan.on_demand();
        }
        let region = HeapRegion::new(plan.words());
        let rows = Generation::format(region, plan, 1, 1, 1, &defaults).unwrap();
        let region = HeapRegion::new(segment::words(CELLS, 16));
        let cells = Segment::format(region, 1, 0, CELLS, 16).unwrap();
        let world = World { rows, cells };
        for (cell, (record, granted)) in customers.iter().enumerate() {
            world.put(catalog, record, cell as u32, *granted);
        }
        world
    }

    fn put(&self, catalog: &Catalog, record: &Record, cell: u32, granted: Option<u64>) {
        let pool = credits(catalog);
        let mut refs = Vec::new();
        if let Some(granted) = granted {
            let lease = Lease {
                number: record.number,
                lease: LEASE,
                pool: hash_bytes(CREDITS.as_bytes()),
                granted,
                valid_until_ms: NO_INSTANT,
                full: true,
            };
            let opened = self.cells.cell(cell as usize).unwrap();
            opened.open(&self.cells.holds().unwrap(), &lease).unwrap();
            refs.push(Ref {
                pool,
                cell,
                lease: LEASE,
            });
        }
        let sources = record.sources(catalog);
        let profile = entry::profile(catalog, |f| sources.resolve(catalog, f, NOW_MS));
        let phase = Phase {
            until_ms: None,
            profile: self.rows.append(&profile).unwrap(),
            overlay: None,
        };
        let key = Key::new(record.id.as_bytes()).unwrap();
        let (kind, number) = (RowKind::Customer, record.number);
        let words = row::encode(kind, number, key, 0, &refs, self.rows.pools(), &[phase]).unwrap();
        let place = self.rows.append(&words).unwrap();
        self.rows.publish_number(number, place).unwrap();
        self.rows.publish(key, place).unwrap();
    }

    fn find(&self, customer: &str, feature: &str) -> Option<Found> {
        let (customer, feature) = (customer.as_bytes(), feature.as_bytes());
        check::find(&self.rows, customer, feature, &At(NOW_MS)).unwrap()
    }

    fn totals(&self) -> Vec<Option<Totals>> {
        let cells = 0..CELLS;
        cells
            .map(|i| self.cells.cell(i).unwrap().totals().unwrap())
            .collect()
    }
}

/// The place of the pool of credits.
fn credits(catalog: &Catalog) -> usize {
    catalog
        .pools
        .iter()
        .position(|p| p.name == CREDITS)
        .unwrap()
}

fn one(granted: Option<u64>) -> World {
    let acme = Record::plain(1, "acme", 1);
    World::new(&testing::plain_catalog(), &[(acme, granted)], false)
}

fn done<T>(step: Step<T>) -> T {
    match step {
        Step::Done(done) => done,
        _ => panic!("the owner would be asked"),
    }
}

proptest! {
    /// Of every feature of every customer, what the resolver says.
    #[test]
    fn values_limits_and_answers_are_the_resolvers(
        catalog in testing::catalog(),
        record in testing::record(1),
    ) {
        let world = World::new(&catalog, &[(record.clone(), None)], false);
        let sources = record.sources(&catalog);
        for (feature, (name, kind)) in FEATURES.iter().enumerate() {
            let found = world.find(&record.id, name);
            let resolved = sources.resolve(&catalog, feature, NOW_MS);
            let (allowed, expected) = testing::expected(*kind, &resolved);
            let shown = match kind.form() {
                Form::OnOff => Value::Bool(allowed),
                _ => expected.clone(),
            };
            let said = done(value(&world.rows, found.as_ref()).unwrap());
            prop_assert_eq!(said, (shown, Answer::Allowed));
            let bound = limit(&world.rows, found.as_ref());
            match (kind.has_bound(), expected) {
                (true, Value::Unlimited) => {
                    prop_assert_eq!(done(bound.unwrap()).0, None);
                }
                (true, Value::Number(n)) => {
                    prop_assert_eq!(done(bound.unwrap()).0, Some(n));
                }
                _ => prop_assert_eq!(bound, Err(Refused::NoLimit(Some(*kind)))),
            }
            let now = At(NOW_MS);
            let decided = decide(&world.rows, &world.cells, found.as_ref(), None, &now).unwrap();
            let answer = check(&world.rows, &world.cells, found.as_ref(), &now).unwrap();
            prop_assert_eq!(decided.answer().answer, answer.answer());
            prop_assert_eq!(decided.answer().source, Some(resolved.source));
            // What is countable and not unlimited takes a lease, of which there is none.
            let countable = matches!(kind, Kind::Meter | Kind::Credit);
            let decides = countable && resolved.setting != Setting::Unlimited;
            let expected = match (allowed, decides) {
                (false, _) => Answer::NotEntitled,
                (true, false) => Answer::Allowed,
                (true, true) => Answer::NoLease,
            };
            prop_assert_eq!(answer.answer(), expected);
        }
    }

    /// A decision says what a burn then does, changes nothing itself, and a reservation answers likewise.
    #[test]
    fn a_decision_is_what_the_burn_comes_to(
        granted in 0u64..200,
        amounts in prop::collection::vec(0u64..40, 1..12),
    ) {
        let world = one(Some(granted));
        let now = At(NOW_MS);
        let found = world.find("acme", MODEL);
        let (g, cells, found) = (&world.rows, &world.cells, found.as_ref());
        let mut left = granted;
        for amount in amounts {
            let amount = Amount::Plain(amount);
            let before = world.totals();
            let decided = done(decide(g, cells, found, Some(&amount), &now).unwrap());
            prop_assert_eq!(world.totals(), before, "a decision is without effect");
            prop_assert_eq!(decided.remaining, Some(left));

            let ask = Ask {
                lease: 0,
                pool: 0,
                amount: 0,
                ends_at_ms: u64::MAX,
                holder: Holder { pid: 1, started: 1 },
                near: 0,
            };
            let reserved = done(reserve(g, cells, found, &amount, &ask, &now).unwrap());
            prop_assert_eq!((reserved.answer, reserved.cost), (decided.answer, decided.cost));
            prop_assert_eq!(reserved.held.is_some(), decided.answer.allowed());
            if let Some(held) = reserved.held {
                let holds = cells.segment(held.segment).unwrap().holds().unwrap();
                prop_assert_eq!(holds.release(held.hold), Ok(Settle::Done));
            }

            let (answer, cost) = done(burn(g, cells, found, &amount, &now).unwrap());
            prop_assert_eq!((answer, cost), (decided.answer, decided.cost));
            prop_assert_eq!(answer.allowed(), cost <= left);
            if answer.allowed() {
                left -= cost;
            }
        }
    }

    /// Costs are sums of rate times amount, or refused where a call may not burn that many.
    #[test]
    fn a_cost_is_the_sum_of_its_quantities(
        rates in prop::collection::vec(0u64..1 << 50, 0..4),
        unit in prop::option::of(0u64..1 << 50),
        named in prop::collection::vec((0usize..5, 0u64..1 << 10), 1..5),
        plain in 0u64..1 << 10,
    ) {
        let mut catalog = testing::plain_catalog();
        let quantity = |i: usize| format!("quantity {i}");
        catalog.features[MODEL_AT].rates = unit
            .iter()
            .map(|cost| (String::new(), *cost))
            .chain(rates.iter().enumerate().map(|(i, cost)| (quantity(i), *cost)))
            .map(|(quantity, cost)| Rate { quantity, cost })
            .collect();
        let world = World::new(&catalog, &[(Record::plain(1, "acme", 1), None)], false);
        let found = world.find("acme", MODEL).unwrap();
        let bounded = |cost: u128| match u64::try_from(cost) {
            Ok(cost) if cost <= TOTAL_MAX => Ok(cost),
            _ => Err(Refused::TooLarge),
        };

        let cost = cost_of(&world.rows, &found, &Amount::Plain(plain));
        match unit {
            Some(unit) => prop_assert_eq!(cost, bounded(u128::from(unit) * u128::from(plain))),
            None => prop_assert!(
                matches!(cost, Err(Refused::Unnamed { .. })),
                "units of a feature that has none"
            ),
        }

        let names: Vec<String> = named.iter().map(|(i, _)| quantity(*i)).collect();
        let given: Vec<(&[u8], u64)> = names
            .iter()
            .zip(&named)
            .map(|(name, (_, n))| (name.as_bytes(), *n))
            .collect();
        let cost = cost_of(&world.rows, &found, &Amount::Named(&given));
        // In order: an unknown name is told where it stands, a sum that is too large as soon as it is.
        let mut expected = Ok(0u128);
        for (i, n) in &named {
            expected = expected.and_then(|sum| match rates.get(*i) {
                None => Err(quantity(*i)),
                Some(_) if sum > u128::from(TOTAL_MAX) => Ok(sum),
                Some(cost) => Ok(sum + u128::from(*cost) * u128::from(*n)),
            });
            if matches!(expected, Ok(sum) if sum > u128::from(TOTAL_MAX)) {
                break;
            }
        }
        match (expected, cost) {
            (Ok(sum), cost) => prop_assert_eq!(cost, bounded(sum)),
            (Err(name), Err(Refused::NoQuantity { name: told, .. })) => {
                prop_assert_eq!(told, name);
            }
            (expected, cost) => prop_assert!(false, "{expected:?}, not {cost:?}"),
        }
    }

    /// A batch burns as one after the other does.
    #[test]
    fn a_batch_burns_as_one_after_the_other(
        granted in prop::collection::vec(prop::option::of(0u64..60), 3),
        asked in prop::collection::vec((1u32..6, 0u64..12), 0..40),
    ) {
        let customers: Vec<_> = granted
            .into_iter()
            .zip(1..)
            .map(|(granted, n)| (Record::plain(n, &format!("customer-{n}"), 1), granted))
            .collect();
        let catalog = testing::plain_catalog();
        let make = || World::new(&catalog, &customers, false);
        let (together, single, now) = (make(), make(), At(NOW_MS));
        let (numbers, amounts): (Vec<u32>, Vec<u64>) = asked.into_iter().unzip();
        let mut answers = Vec::new();
        let (rows, cells) = (&together.rows, &together.cells);
        burn_numbers(rows, cells, MODEL_AT, &numbers, &amounts, &now, |i, answer| {
            assert_eq!(i, answers.len(), "in order");
            answers.push(answer);
        })
        .unwrap();
        for (i, (number, amount)) in numbers.iter().zip(&amounts).enumerate() {
            let found = single.find(&format!("customer-{number}"), MODEL);
            let amount = Amount::Plain(*amount);
            let step = burn(&single.rows, &single.cells, found.as_ref(), &amount, &now).unwrap();
            prop_assert_eq!(answers[i], step.answer().0);
        }
        prop_assert_eq!(together.totals(), single.totals());

        let mut checked = Vec::new();
        let number = |i: usize| numbers[i];
        check_numbers(rows, cells, MODEL_AT, numbers.len(), number, &now, |_, a| checked.push(a))
            .unwrap();
        for (i, number) in numbers.iter().enumerate() {
            let found = single.find(&format!("customer-{number}"), MODEL);
            let step = check(&single.rows, &single.cells, found.as_ref(), &now).unwrap();
            prop_assert_eq!(checked[i], step.answer());
        }
    }

    /// What was used beyond a reservation is burned as far as there is.
    #[test]
    fn what_was_used_beyond_is_burned_as_far_as_there_is(granted in 0u64..50, most in 0u64..80) {
        let world = one(Some(granted));
        let found = world.find("acme", MODEL);
        let mut taken = 0;
        let (g, cells, now) = (&world.rows, &world.cells, At(NOW_MS));
        // All has been lent, so the owner is not asked.
        done(burn_up_to(g, cells, found.as_ref(), most, &mut taken, &now).unwrap());
        prop_assert_eq!(taken, most.min(granted));
        prop_assert_eq!(world.totals()[0].unwrap().spent, taken);
    }
}

#[test]
fn what_is_refused_burns_nothing_of_a_batch() {
    let world = one(Some(100));
    let now = At(NOW_MS);
    let (rows, cells) = (&world.rows, &world.cells);
    let never = |_, _| panic!("no customer is asked about");
    let amounts = [1, TOTAL_MAX];
    let refused = burn_numbers(rows, cells, MODEL_AT, &[1, 1], &amounts, &now, never);
    assert_eq!(refused, Err(Refused::TooLarge));
    let refused = burn_numbers(rows, cells, 0, &[1], &[1], &now, never);
    assert_eq!(refused, Err(Refused::NotCountable(Some(Kind::Switch))));
    assert_eq!(world.totals()[0].unwrap().spent, 0);
}

#[test]
fn every_refusal_says_what_to_do() {
    let known = || "input, output".to_owned();
    for (refused, says) in [
        (Refused::NotCountable(Some(Kind::Limit)), "is a limit"),
        (Refused::NotCountable(None), "is a feature"),
        (Refused::TooLarge, "split it"),
        (Refused::Unnamed { known: known() }, "some of input, output"),
        (
            Refused::NoQuantity {
                name: "in".into(),
                known: known(),
            },
            "no quantity \"in\": it has input, output",
        ),
        (
            Refused::NoQuantity {
                name: "in".into(),
                known: String::new(),
            },
            "give an int",
        ),
        (
            Refused::NoLimit(Some(Kind::Switch)),
            "ask check() or value()",
        ),
        (Refused::NoSlot, "commit or release some"),
        (Refused::from(crate::error::Corrupt), "damaged"),
    ] {
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

#[test]
fn an_unknown_feature_is_an_answer_and_no_error() {
    let world = one(None);
    let (g, cells, now) = (&world.rows, &world.cells, At(NOW_MS));
    assert!(world.find("acme", "no such feature").is_none());
    let amount = Amount::Plain(1);
    let decided = decide(g, cells, None, Some(&amount), &now).unwrap();
    assert_eq!(done(decided).answer, Answer::UnknownFeature);
    let burned = burn(g, cells, None, &amount, &now).unwrap();
    assert_eq!(done(burned), (Answer::UnknownFeature, 0));
    assert_eq!(
        done(check(g, cells, None, &now).unwrap()),
        Answer::UnknownFeature
    );
    assert_eq!(
        done(value(g, None).unwrap()),
        (Value::None, Answer::UnknownFeature)
    );
    assert_eq!(
        done(limit(g, None).unwrap()),
        (Some(0), Answer::UnknownFeature)
    );
}

#[test]
fn a_customer_who_is_not_here_is_fetched_only_where_some_of_many_are() {
    let catalog = testing::plain_catalog();
    let amount = Amount::Plain(1);
    for on_demand in [false, true] {
        let world = World::new(&catalog, &[], on_demand);
        let (g, cells, now) = (&world.rows, &world.cells, At(NOW_MS));
        // A name that no arena can hold is nobody's, wherever it is asked about.
        for (name, fetched) in [("nobody", on_demand), ("", false)] {
            let is_fetched = |asks: bool| assert_eq!(asks, fetched, "{name:?} {on_demand}");
            for (feature, _) in FEATURES {
                let found = world.find(name, feature);
                let found = found.as_ref();
                is_fetched(matches!(
                    decide(g, cells, found, None, &now).unwrap(),
                    Step::Fetch(_)
                ));
                is_fetched(matches!(
                    check(g, cells, found, &now).unwrap(),
                    Step::Fetch(_)
                ));
                let said = value(g, found).unwrap();
                is_fetched(matches!(said, Step::Fetch(_)));
                assert_eq!(said.answer().1, Answer::UnknownCustomer);
            }
            let burned = burn(g, cells, world.find(name, MODEL).as_ref(), &amount, &now).unwrap();
            is_fetched(matches!(burned, Step::Fetch(_)));
            assert_eq!(burned.answer().0, Answer::UnknownCustomer);
        }
    }
}

#[test]
fn the_owner_is_asked_once_for_the_customer_and_twice_for_leases() {
    let mut asked = Asked::default();
    let (fetch, touch) = (
        Step::Fetch(()),
        Step::Touch {
            pool: 1,
            instead: (),
        },
    );
    assert!(!asked.again(&Step::Done(())));
    assert!(asked.again(&fetch));
    assert!(!asked.again(&fetch));
    assert!(asked.again(&touch));
    assert!(asked.again(&touch));
    assert!(!asked.again(&touch));
    assert!(!asked.again(&touch));
}

/// A host that has not heard from its hub for so long.
struct Unheard(u64);

impl Clock for Unheard {
    fn now_ms(&self) -> u64 {
        NOW_MS as u64
    }
}

impl Freshness for Unheard {
    fn unheard_ms(&self) -> u64 {
        self.0
    }
}

#[test]
fn what_is_too_old_is_answered_as_the_feature_says() {
    let bound = 1_000;
    for (when_stale, answer) in [
        (WhenStale::Keep, None),
        (WhenStale::Deny, Some(Answer::Stale)),
        (WhenStale::Allow, Some(Answer::AllowedStale)),
    ] {
        let mut catalog = testing::plain_catalog();
        for feature in &mut catalog.features {
            feature.staleness = Staleness {
                when_stale,
                max_staleness_ms: Some(bound),
            };
        }
        let (pro, free) = (Record::plain(1, "pro", 1), Record::plain(2, "free", 0));
        let world = World::new(&catalog, &[(pro, Some(30)), (free, Some(30))], true);
        let (g, cells) = (&world.rows, &world.cells);
        for (customer, kept) in [
            ("pro", Answer::Allowed),
            ("free", Answer::NotEntitled),
            ("nobody", Answer::UnknownCustomer),
        ] {
            let found = world.find(customer, MODEL);
            let found = found.as_ref();
            for (unheard, expected) in [(bound, kept), (bound + 1, answer.unwrap_or(kept))] {
                let now = Unheard(unheard);
                let decided = decide(g, cells, found, Some(&Amount::Plain(1)), &now).unwrap();
                let said = decided.answer();
                assert_eq!(said.answer, expected, "{customer} {when_stale:?} {unheard}");
                assert_eq!(check(g, cells, found, &now).unwrap().answer(), expected);
                // What is too old is no reason to ask for a customer, and says what is left all the same.
                let fetched = customer == "nobody" && !expected.is_stale();
                assert_eq!(matches!(decided, Step::Fetch(_)), fetched);
                let leased = customer == "pro" || (customer == "free" && expected.is_stale());
                assert_eq!(said.remaining, leased.then_some(30));
            }
        }
        // "Allow" lets a customer without the feature spend what is lent, and makes no credits for one without a lease.
        let now = Unheard(bound + 1);
        let burned = |customer| {
            let found = world.find(customer, MODEL);
            let step = burn(g, cells, found.as_ref(), &Amount::Plain(1), &now).unwrap();
            step.answer().0
        };
        let (denied, spends) = (
            answer == Some(Answer::Stale),
            answer == Some(Answer::AllowedStale),
        );
        let stale_or = |answer| if denied { Answer::Stale } else { answer };
        assert_eq!(burned("pro"), stale_or(Answer::Allowed));
        let free = if spends {
            Answer::Allowed
        } else {
            Answer::NotEntitled
        };
        assert_eq!(burned("free"), stale_or(free));
        assert_eq!(burned("nobody"), stale_or(Answer::UnknownCustomer));
    }
}

#[test]
fn a_short_lease_that_is_not_all_there_is_asks_the_owner() {
    let catalog = testing::plain_catalog();
    let acme = Record::plain(1, "acme", 1);
    let world = World::new(&catalog, &[(acme, Some(4))], false);
    let cell = world.cells.cell(0).unwrap();
    let identity = crate::cell::identity(1, LEASE);
    assert!(cell.raise(identity, 4, false).unwrap());
    let (g, cells, now) = (&world.rows, &world.cells, At(NOW_MS));
    let found = world.find("acme", MODEL);
    let found = found.as_ref();
    let pool = credits(&catalog);
    let asks = |pool_asked: Option<usize>| assert_eq!(pool_asked, Some(pool));
    let of = |step: Step<Answer>| match step {
        Step::Touch { pool, instead } => {
            assert_eq!(instead, Answer::NoLease);
            Some(pool)
        }
        _ => None,
    };
    // Three credits a unit: one is covered, two are not.
    let amount = Amount::Plain(2);
    match decide(g, cells, found, Some(&amount), &now).unwrap() {
        Step::Touch { pool, instead } => {
            asks(Some(pool));
            assert_eq!(
                (instead.answer, instead.remaining),
                (Answer::NoLease, Some(4))
            );
        }
        other => panic!("{other:?}"),
    }
    match burn(g, cells, found, &amount, &now).unwrap() {
        Step::Touch { pool, instead } => {
            asks(Some(pool));
            assert_eq!(instead, (Answer::NoLease, 6));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(of(check(g, cells, found, &now).unwrap()), None);
    let mut taken = 0;
    let step = burn_up_to(g, cells, found, 6, &mut taken, &now).unwrap();
    assert!(matches!(step, Step::Touch { pool: p, .. } if p == pool));
    assert_eq!(taken, 4);
    asks(of(check(g, cells, found, &now).unwrap()));
}
