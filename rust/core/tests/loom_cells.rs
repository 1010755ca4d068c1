//! Burn, reserve, settle, sweep, raise, close and open on one cell, under every order of memory that the language
//! allows (within the bounds below).
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fastcheck-core --release --test 'loom_*'`
//!
//! Each model counts its executions and asserts that the interesting outcomes were all met; see `docs/guarantees.md`
//! for the figures. Deaths are the business of `crash_steps.rs`.

#![cfg(loom)]

mod loom_support;

use std::sync::Arc;

use fastcheck_core::parts::{Burn, Cell, Reserve, Segment, Totals, identity, segment_words};
use fastcheck_core::{Ask, Hold, Holder, LateReturn, Lease, NO_INSTANT, Settle};
use loom::thread;
use loom_support::{Outcomes, Racing, explore};

const NUMBER: u32 = 9;
const HOLDS: usize = 5;

struct World(Segment<Racing>);

impl World {
    /// One cell with lease 1 of `granted` units, after `history` on it.
    fn new(granted: u64, history: impl FnOnce(&World)) -> Arc<World> {
        loom::stop_exploring();
        let region = Racing::new(segment_words(1, HOLDS));
        let world = World(Segment::format(region, 1, 0, 1, HOLDS).unwrap());
        world.open(1, granted);
        history(&world);
        loom::explore();
        Arc::new(world)
    }

    fn cell(&self) -> Cell<'_, Racing> {
        self.0.cell(0).unwrap()
    }

    fn open(&self, lease: u32, granted: u64) {
        let lease = Lease {
            number: NUMBER,
            lease,
            pool: 7,
            granted,
            valid_until_ms: NO_INSTANT,
            full: false,
        };
        self.cell().open(&self.0.holds().unwrap(), &lease).unwrap();
    }

    fn close(&self) -> Totals {
        self.cell().close().unwrap().unwrap()
    }

    fn totals(&self) -> Totals {
        self.cell().totals().unwrap().unwrap()
    }

    fn burn(&self, lease: u32, units: u64) -> Burn {
        self.cell()
            .burn(identity(NUMBER, lease), units, || 0)
            .unwrap()
    }

    fn reserve(&self, lease: u32, amount: u64) -> Option<Hold> {
        let ask = Ask {
            lease: identity(NUMBER, lease),
            pool: 7,
            amount,
            ends_at_ms: 10,
            holder: Holder { pid: 1, started: 1 },
            near: 0,
        };
        match self
            .0
            .holds()
            .unwrap()
            .reserve(&self.cell(), &ask, || 0)
            .unwrap()
        {
            Reserve::Held(hold) => Some(hold),
            Reserve::Denied(_) => None,
            Reserve::NoSlot => panic!("there are slots enough"),
        }
    }

    fn commit(&self, hold: Hold, used: u64) -> Settle {
        self.0.holds().unwrap().commit(hold, used).unwrap()
    }

    fn release(&self, hold: Hold) -> Settle {
        self.0.holds().unwrap().release(hold).unwrap()
    }

    /// Sweeps with all holders alive; books what is late. Returns how many holds were ended and what came late.
    fn sweep(&self, now_ms: u64) -> (usize, u64) {
        let mut late: Vec<LateReturn> = Vec::new();
        let holds = self.0.holds().unwrap();
        let ended = holds.sweep(now_ms, |_, _| true, &mut late).unwrap();
        for l in &late {
            holds.booked(l).unwrap();
        }
        (ended, late.iter().map(|l| l.freed).sum())
    }
}

/// Runs in another thread of the model.
fn spawn<T: 'static>(
    world: &Arc<World>,
    work: impl FnOnce(&World) -> T + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    thread::spawn(move || work(&world))
}

fn units(burn: Burn, cost: u64) -> u64 {
    if burn == Burn::Done { cost } else { 0 }
}

fn name(burn: Burn) -> &'static str {
    match burn {
        Burn::Done => "done",
        Burn::Short { .. } => "short",
        Burn::Gone => "gone",
    }
}

#[test]
fn two_burns_never_take_more_than_there_is() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(2, move || {
        let world = World::new(3, |_| ());
        let a = spawn(&world, |w| w.burn(1, 2));
        let b = spawn(&world, |w| w.burn(1, 2));
        let c = world.burn(1, 1);
        let (a, b) = (a.join().unwrap(), b.join().unwrap());
        let spent = units(a, 2) + units(b, 2) + units(c, 1);
        assert_eq!(world.totals().spent, spent);
        assert!(spent <= 3);
        tally.met(format!("{} {} {}", name(a), name(b), name(c)));
    });
    seen.must_hold(&["done short done", "short done done"]);
}

#[test]
fn final_totals_hold_every_burn_and_no_later_lease_is_burned_by_an_old_decision() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(3, move || {
        // The next lease lends the same again: a decision against the old one would fit it.
        let world = World::new(2, |_| ());
        let burns = spawn(&world, |w| (w.burn(1, 1), w.burn(1, 1)));
        let closed = world.close();
        world.open(2, 2);
        let (a, b) = burns.join().unwrap();
        assert!(closed.closed);
        assert_eq!(closed.spent, units(a, 1) + units(b, 1));
        let fresh = world.totals();
        assert_eq!((fresh.lease, fresh.spent, fresh.returned), (2, 0, 0));
        tally.met(format!("{} {}", name(a), name(b)));
    });
    seen.must_hold(&["done done", "done gone", "gone gone"]);
}

#[test]
fn a_raise_is_seen_or_denied_but_never_overspent() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(2, move || {
        let world = World::new(1, |_| ());
        let a = spawn(&world, |w| w.burn(1, 1));
        let b = spawn(&world, |w| w.burn(1, 1));
        assert!(world.cell().raise(identity(NUMBER, 1), 2, true).unwrap());
        let (a, b) = (a.join().unwrap(), b.join().unwrap());
        for burn in [a, b] {
            // Once it is said that there is no more to be had, it is true.
            assert!(
                !matches!(burn, Burn::Short { full: true, .. }),
                "two units for two burns"
            );
        }
        assert_eq!(world.totals().spent, units(a, 1) + units(b, 1));
        tally.met(format!("{} {}", name(a), name(b)));
    });
    seen.must_hold(&["done done", "done short", "short done"]);
}

#[test]
fn two_reservations_and_a_burn_never_take_more_than_there_is() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(2, move || {
        let world = World::new(3, |_| ());
        let a = spawn(&world, |w| w.reserve(1, 2));
        let b = spawn(&world, |w| w.burn(1, 1));
        let c = world.reserve(1, 2);
        let (a, b) = (a.join().unwrap(), b.join().unwrap());
        let held = 2 * (u64::from(a.is_some()) + u64::from(c.is_some()));
        assert_eq!(world.totals().spent, held + units(b, 1));
        assert!(held <= 2);
        // What is held comes back whole.
        for hold in [a, c].into_iter().flatten() {
            assert_eq!(world.release(hold), Settle::Done);
        }
        let totals = world.totals();
        assert_eq!(totals.spent - totals.returned, units(b, 1));
        tally.met(format!("{} {} {}", a.is_some(), name(b), c.is_some()));
    });
    seen.must_hold(&["true done false", "false done true"]);
}

#[test]
fn a_commit_and_the_sweep_have_one_winner() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(3, move || {
        let mut held = None;
        let world = World::new(5, |w| held = w.reserve(1, 4));
        let hold = held.unwrap();
        let commit = spawn(&world, move |w| w.commit(hold, 1));
        let (ended, late) = world.sweep(10);
        let commit = commit.join().unwrap();
        let kept = match commit {
            Settle::Done => 1,
            Settle::Gone => 0,
            Settle::Late => panic!("the lease is open"),
        };
        assert_eq!(ended, usize::from(commit == Settle::Gone));
        let totals = world.totals();
        assert_eq!((totals.spent, totals.returned, late), (4, 4 - kept, 0));
        tally.met(format!("{commit:?}"));
    });
    seen.must_hold(&["Done", "Gone"]);
}

#[test]
fn what_comes_back_while_a_lease_closes_is_counted_once() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(2, move || {
        let mut held = None;
        let world = World::new(5, |w| held = w.reserve(1, 4));
        let hold = held.unwrap();
        let release = spawn(&world, move |w| w.release(hold));
        let burn = spawn(&world, |w| w.burn(1, 3));
        let closed = world.close();
        world.open(2, 5);
        let (release, burn) = (release.join().unwrap(), burn.join().unwrap());
        let (_, late) = world.sweep(0);
        assert_eq!(
            closed.returned + late,
            4,
            "in the totals or late, never both or neither"
        );
        assert_eq!(late, if release == Settle::Late { 4 } else { 0 });
        assert_eq!(closed.spent, 4 + units(burn, 3));
        assert!(closed.spent <= 5 + closed.returned);
        let fresh = world.totals();
        assert_eq!((fresh.lease, fresh.spent, fresh.returned), (2, 0, 0));
        tally.met(format!("{release:?} {}", name(burn)));
    });
    seen.must_hold(&[
        "Done done",
        "Done short",
        "Done gone",
        "Late short",
        "Late gone",
    ]);
}

/// Both cell words carry a tag of slot 1 when it begins. One settler sleeps on that; the other one overwrites the tag,
/// so that slot 1 is taken for the same cell again.
#[test]
fn a_settler_with_a_stale_word_does_not_settle_for_another() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(2, move || {
        let mut held = (None, None);
        let world = World::new(20, |w| {
            let first = w.reserve(1, 1).unwrap();
            w.commit(first, 0);
            held = (w.reserve(1, 2), w.reserve(1, 3));
            // Slot 1's tag is still in `returned`; in `word` it is that of the last reservation.
        });
        let (a, b) = (held.0.unwrap(), held.1.unwrap());
        let slow = spawn(&world, move |w| w.release(a));
        let release = world.release(b);
        let again = world.reserve(1, 4).unwrap();
        let reused = again.slot == 1;
        let commit = world.commit(again, 1);
        assert_eq!(
            (slow.join().unwrap(), release, commit),
            (Settle::Done, Settle::Done, Settle::Done)
        );
        let totals = world.totals();
        assert_eq!(totals.spent - totals.returned, 1, "{totals:?}");
        assert_eq!(world.sweep(u64::MAX), (0, 0), "no slot is left in use");
        tally.met(format!("slot 1 used again: {reused}"));
    });
    seen.must_hold(&["slot 1 used again: true"]);
}

/// The tag of a reservation is overwritten by another before it says that it is held.
#[test]
fn two_reservations_pass_each_other_on() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(2, move || {
        let world = World::new(9, |_| ());
        let a = spawn(&world, |w| w.reserve(1, 2).unwrap());
        let hold = world.reserve(1, 3).unwrap();
        let mine = world.commit(hold, 1);
        let theirs = world.commit(a.join().unwrap(), 1);
        assert_eq!((mine, theirs), (Settle::Done, Settle::Done));
        let totals = world.totals();
        assert_eq!((totals.spent, totals.returned), (5, 3));
        tally.met(format!("slot {}", hold.slot));
    });
    seen.must_hold(&["slot 1", "slot 2"]);
}

/// What a process did before its burn is visible to whoever reads the total with the burn in it.
#[test]
fn burns_publish_what_came_before() {
    use loom::sync::atomic::{AtomicU64, Ordering};
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(3, move || {
        let world = World::new(2, |_| ());
        let journal = Arc::new(AtomicU64::new(0));
        let written = Arc::clone(&journal);
        let a = spawn(&world, move |w| {
            // Relaxed: published by the burn.
            written.store(1, Ordering::Relaxed);
            w.burn(1, 1)
        });
        if world.totals().spent == 1 {
            // Relaxed: ordered by the Acquire in `totals`.
            assert_eq!(
                journal.load(Ordering::Relaxed),
                1,
                "a burn was seen without its record"
            );
            tally.met("burned");
        } else {
            tally.met("not yet");
        }
        assert_eq!(a.join().unwrap(), Burn::Done);
    });
    seen.must_hold(&["burned", "not yet"]);
}

/// A spender that knows the next lease's name finds it closed or complete.
#[test]
fn a_lease_is_found_whole_or_not_at_all() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(3, move || {
        let world = World::new(9, |w| {
            assert_eq!(w.burn(1, 4), Burn::Done);
            w.close();
        });
        let a = spawn(&world, |w| w.burn(2, 3));
        world.open(2, 3);
        let a = a.join().unwrap();
        assert!(
            matches!(a, Burn::Done | Burn::Gone),
            "a lease of three units was seen as {a:?}"
        );
        assert_eq!(world.totals().spent, units(a, 3));
        tally.met(name(a));
    });
    seen.must_hold(&["done", "gone"]);
}

#[test]
fn an_observer_never_sees_more_returned_than_spent() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(3, move || {
        let world = World::new(9, |_| ());
        let a = spawn(&world, |w| {
            let hold = w.reserve(1, 4).unwrap();
            w.release(hold)
        });
        let t = world.totals();
        assert!(t.returned <= t.spent, "{t:?}");
        tally.met(format!("{} {}", t.spent, t.returned));
        a.join().unwrap();
    });
    seen.must_hold(&["0 0", "4 0", "4 4"]);
}
