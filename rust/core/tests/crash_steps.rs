//! Kill at every step, without processes: a process dies, or is overtaken, before each single access to shared words.
//!
//! [`Stepped`] is a region that counts accesses. At the n-th one it lets others run (who may die at their m-th access
//! themselves) and then either goes on or unwinds, which leaves the words as a SIGKILL would. At the end the owner
//! sweeps with everybody dead, and the totals of every lease must equal, to the unit, what was really consumed: nobody
//! is charged for a reservation, nothing is freed twice, no slot stays in use.
//!
//! What is explored: every (n, m) for all pairs below. What is not: more than two interruptions in one run, and
//! reorderings of memory, which `loom_cells.rs` is for.

#![cfg(not(loom))]

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use fastcheck_core::catalog::Catalog;
use fastcheck_core::parts::{
    self, AtomicU64, Burn, Capacity, Generation, HeapRegion, Ordering, Phase, Plan, Region,
    Reserve, SEGMENT_HEADER_WORDS, Segment, Totals, Words, encode_row, identity, segment_words,
};
use fastcheck_core::{Ask, Corrupt, Hold, Holder, Key, Lease, NO_INSTANT, RowKind, Settle};

/// What unwinds where a process is killed.
struct Killed;

/// What happens before the access at which `left` reaches zero.
struct Interruption {
    left: u64,
    happens: Box<dyn FnOnce() -> bool>,
}

/// The interruption that is due for each process that runs; the last one is the one that runs now.
#[derive(Default)]
struct Script {
    running: RefCell<Vec<Option<Interruption>>>,
}

impl Script {
    fn step(&self) {
        let due = {
            let mut running = self.running.borrow_mut();
            match running.last_mut() {
                Some(slot @ Some(_)) => {
                    let i = slot.as_mut().expect("just matched");
                    if i.left == 0 {
                        slot.take()
                    } else {
                        i.left -= 1;
                        None
                    }
                }
                _ => None,
            }
        };
        if let Some(i) = due
            && (i.happens)()
        {
            resume_unwind(Box::new(Killed));
        }
    }

    /// Runs `process`; before its access number `at`, `happens` runs and says whether the process dies there.
    /// `None`: it died. The flag: the interruption happened.
    fn run<T>(
        &self,
        at: Option<u64>,
        happens: impl FnOnce() -> bool + 'static,
        process: impl FnOnce() -> T,
    ) -> (Option<T>, bool) {
        let interruption = at.map(|left| Interruption {
            left,
            happens: Box::new(happens),
        });
        let planned = interruption.is_some();
        self.running.borrow_mut().push(interruption);
        let result = catch_unwind(AssertUnwindSafe(process));
        let left = self.running.borrow_mut().pop().expect("pushed above");
        let happened = planned && left.is_none();
        match result {
            Ok(value) => (Some(value), happened),
            Err(panic) if panic.is::<Killed>() => (None, happened),
            Err(panic) => resume_unwind(panic),
        }
    }
}

struct Stepped {
    words: HeapRegion,
    script: Rc<Script>,
}

impl Words for Stepped {
    fn words(&self) -> usize {
        self.words.words()
    }

    fn load(&self, index: usize, ordering: Ordering) -> Result<u64, Corrupt> {
        self.script.step();
        self.words.load(index, ordering)
    }
}

impl Region for Stepped {
    fn word(&self, index: usize) -> Result<&AtomicU64, Corrupt> {
        self.script.step();
        self.words.word(index)
    }
}

const HOLDS: usize = 5;
const GRANTED: u64 = 100;
const CUSTOMER: u32 = 9;
const POOL: u64 = 77;
/// Holds end here; a sweep "late" comes after it.
const ENDS_AT_MS: u64 = 1_000;

fn lease_of(lease: u32) -> Lease {
    Lease {
        number: CUSTOMER,
        lease,
        pool: POOL,
        granted: GRANTED,
        valid_until_ms: NO_INSTANT,
        full: false,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Burn(u64),
    /// Reserves and keeps it: lives with a hold, or dies with it.
    Reserve(u64),
    /// Reserves `.0` and keeps `.1` of it.
    Commit(u64, u64),
    Release(u64),
    /// The owner sweeps, before the holds end or after.
    Sweep {
        late: bool,
    },
    /// The owner closes the lease and opens the next one.
    Renew,
    /// The owner raises what is lent.
    Raise,
}

impl Act {
    fn is_owners(self) -> bool {
        matches!(self, Act::Sweep { .. } | Act::Renew | Act::Raise)
    }
}

/// How far a spender is: what its death at this step means.
#[derive(Clone, Copy)]
enum Stage {
    Undecided,
    /// Settling: keeps `used` once the slot has left "held".
    Settling {
        hold: Hold,
        used: u64,
    },
}

struct World {
    segment: Segment<Stepped>,
    script: Rc<Script>,
    dead: RefCell<HashSet<u32>>,
    /// The lease that is open, as far as the books say.
    lease: Cell<u32>,
    granted: RefCell<HashMap<u32, u64>>,
    /// What was really consumed, by lease.
    consumed: RefCell<HashMap<u32, u64>>,
    /// Final totals of closed leases, and what came back late.
    closed: RefCell<HashMap<u32, Totals>>,
    late: RefCell<HashMap<u32, u64>>,
    /// Uses of slots whose late return is booked.
    booked: RefCell<HashSet<(usize, u64)>>,
    stages: RefCell<HashMap<u32, (u32, Stage)>>,
}

impl World {
    fn new() -> Rc<World> {
        let script = Rc::new(Script::default());
        let region = Stepped {
            words: HeapRegion::new(segment_words(2, HOLDS)),
            script: Rc::clone(&script),
        };
        let segment = Segment::format(region, 1, 0, 2, HOLDS).unwrap();
        let world = Rc::new(World {
            segment,
            script,
            dead: RefCell::default(),
            lease: Cell::new(1),
            granted: RefCell::new(HashMap::from([(1, GRANTED)])),
            consumed: RefCell::default(),
            closed: RefCell::default(),
            late: RefCell::default(),
            booked: RefCell::default(),
            stages: RefCell::default(),
        });
        world
            .cell()
            .open(&world.segment.holds().unwrap(), &lease_of(1))
            .unwrap();
        world
    }

    fn cell(&self) -> parts::Cell<'_, Stepped> {
        self.segment.cell(0).unwrap()
    }

    fn consume(&self, lease: u32, units: u64) {
        *self.consumed.borrow_mut().entry(lease).or_default() += units;
    }

    /// The state of a slot, without counting as an access.
    fn state(&self, slot: usize) -> u64 {
        self.script.running.borrow_mut().push(None);
        let at = SEGMENT_HEADER_WORDS + slot * fastcheck_core::parts::HOLD_WORDS;
        let word = self.segment.raw().load(at, Ordering::Relaxed).unwrap();
        self.script.running.borrow_mut().pop();
        word & 0xf
    }

    /// A spender was killed: what had it consumed? Asked at the very step at which it stopped for good.
    fn bury(&self, pid: u32) {
        self.dead.borrow_mut().insert(pid);
        if let Some((lease, Stage::Settling { hold, used })) = self.stages.borrow_mut().remove(&pid)
        {
            const HELD: u64 = 3;
            // The owner may have expired the hold before the holder came to settle it.
            const EXPIRED: [u64; 3] = [6, 8, 10];
            let state = self.state(hold.slot);
            if state != HELD && !EXPIRED.contains(&state) {
                self.consume(lease, used);
            }
        }
    }

    fn sweep(&self, now_ms: u64, all_dead: bool) {
        let mut late = Vec::new();
        let holds = self.segment.holds().unwrap();
        let alive = |pid, _started| !all_dead && !self.dead.borrow().contains(&pid);
        holds.sweep(now_ms, alive, &mut late).unwrap();
        for l in late {
            // The ledger books each use of a slot once, however often it is told.
            if self.booked.borrow_mut().insert((l.slot, l.stamp())) {
                *self.late.borrow_mut().entry(l.lease as u32).or_default() += l.freed;
            }
            holds.booked(&l).unwrap();
        }
    }

    /// The owner closes the open lease and opens the next. Also what a successor does whose predecessor was killed at it.
    fn renew(&self) {
        let cell = self.cell();
        cell.recover().unwrap();
        let open = self.lease.get();
        match cell.totals().unwrap() {
            Some(t) if t.lease == open => {
                let totals = cell.close().unwrap().unwrap();
                assert!(totals.closed);
                let known = self.closed.borrow_mut().insert(open, totals);
                assert!(
                    known.is_none_or(|k| k == totals),
                    "final totals moved: {known:?} {totals:?}"
                );
            }
            // Killed while it opened the next one: nothing was ever spent of that.
            Some(t) => {
                assert_eq!(
                    (t.lease, t.spent, t.returned, t.closed),
                    (open + 1, 0, 0, true)
                );
                assert_eq!(t.granted, GRANTED);
            }
            None => {}
        }
        assert!(self.closed.borrow().contains_key(&open), "totals were lost");
        cell.open(&self.segment.holds().unwrap(), &lease_of(open + 1))
            .unwrap();
        self.granted.borrow_mut().insert(open + 1, GRANTED);
        self.lease.set(open + 1);
    }

    fn act(&self, pid: u32, act: Act) {
        let lease = self.lease.get();
        let identity = identity(CUSTOMER, lease);
        let stage = |s| {
            self.stages.borrow_mut().insert(pid, (lease, s));
        };
        let reserve = |amount| {
            stage(Stage::Undecided);
            let ask = Ask {
                lease: identity,
                pool: POOL,
                amount,
                ends_at_ms: ENDS_AT_MS,
                holder: Holder {
                    pid,
                    started: u64::from(pid),
                },
                near: 0,
            };
            let holds = self.segment.holds().unwrap();
            match holds.reserve(&self.cell(), &ask, || 0).unwrap() {
                Reserve::Held(hold) => Some(hold),
                Reserve::Denied(_) | Reserve::NoSlot => None,
            }
        };
        match act {
            Act::Burn(n) => {
                if self.cell().burn(identity, n, || 0).unwrap() == Burn::Done {
                    self.consume(lease, n);
                }
            }
            Act::Reserve(n) => drop(reserve(n)),
            Act::Commit(n, used) => {
                if let Some(hold) = reserve(n) {
                    stage(Stage::Settling { hold, used });
                    match self.segment.holds().unwrap().commit(hold, used).unwrap() {
                        Settle::Done | Settle::Late => self.consume(lease, used),
                        Settle::Gone => {}
                    }
                }
            }
            Act::Release(n) => {
                if let Some(hold) = reserve(n) {
                    self.segment.holds().unwrap().release(hold).unwrap();
                }
            }
            Act::Sweep { late } => self.sweep(if late { ENDS_AT_MS } else { 0 }, false),
            Act::Renew => self.renew(),
            Act::Raise => {
                if self.cell().raise(identity, GRANTED + 50, true).unwrap() {
                    self.granted.borrow_mut().insert(lease, GRANTED + 50);
                }
            }
        }
        self.stages.borrow_mut().remove(&pid);
    }

    /// Everybody is dead; the owner cleans up, and the books must close.
    fn audit(self: &Rc<World>, what: &str, seen: &mut Seen) {
        self.cell().recover().unwrap();
        self.sweep(0, true);
        self.sweep(0, true);
        for slot in 1..HOLDS {
            assert_eq!(self.state(slot), 0, "{what}: slot {slot} is still in use");
        }
        let open = self.cell().totals().unwrap();
        let mut leases = self.closed.borrow().clone();
        if let Some(t) = open {
            leases.insert(t.lease, t);
        }
        for (lease, t) in leases {
            let late = self.late.borrow().get(&lease).copied().unwrap_or(0);
            let consumed = self.consumed.borrow().get(&lease).copied().unwrap_or(0);
            let granted = self
                .granted
                .borrow()
                .get(&lease)
                .copied()
                .unwrap_or(GRANTED);
            assert_eq!(
                t.spent - t.returned - late,
                consumed,
                "{what}: lease {lease}: {t:?}, late {late}"
            );
            assert!(
                t.spent <= granted + t.returned,
                "{what}: more spent than granted: {t:?}"
            );
            seen.late += u64::from(late > 0);
            seen.returned += u64::from(t.returned > 0);
            seen.consumed += u64::from(consumed > 0);
        }
        // And all that is left can be spent: nothing is stranded.
        if let Some(t) = open.filter(|t| !t.closed) {
            let left = t.granted + t.returned - t.spent;
            let identity = identity(CUSTOMER, t.lease);
            assert_eq!(
                self.cell().burn_up_to(identity, 1 << 40, || 0),
                Ok(left),
                "{what}"
            );
        }
    }
}

/// Outcomes met, so that a run in which nothing happened does not count as a proof.
#[derive(Debug, Default)]
struct Seen {
    runs: u64,
    killed: u64,
    overtaken: u64,
    both_killed: u64,
    late: u64,
    returned: u64,
    consumed: u64,
}

const FIRST: u32 = 1;
const OWNER: u32 = 100;

/// `first` is interrupted before its access `n`; then all of `others` run, of which number `i` is killed before its access
/// `m`; then `first` dies or goes on. Returns whether both interruptions happened.
fn explore(
    history: bool,
    first: Act,
    n: u64,
    others: &[Act],
    kill: Option<(usize, u64)>,
    dies: bool,
    seen: &mut Seen,
) -> (bool, bool) {
    let world = World::new();
    // With a return in the cell's history, both tags name a slot; without one, neither does.
    if history {
        world.act(50, Act::Commit(7, 3));
    }
    let second = Rc::new(Cell::new(false));
    let happens = {
        let (world, second, others) = (Rc::clone(&world), Rc::clone(&second), others.to_vec());
        move || {
            if dies && !first.is_owners() {
                world.bury(FIRST);
            }
            for (i, act) in others.iter().enumerate() {
                let pid = if act.is_owners() { OWNER } else { 2 + i as u32 };
                let at = kill.filter(|k| k.0 == i).map(|k| k.1);
                let (done, happened) = {
                    let bury = Rc::clone(&world);
                    let act = *act;
                    world.script.run(
                        at,
                        move || {
                            if !act.is_owners() {
                                bury.bury(pid);
                            }
                            true
                        },
                        || world.act(pid, act),
                    )
                };
                assert_eq!(done.is_none(), happened);
                second.set(second.get() | happened);
                // A successor carries on where the owner was killed.
                if done.is_none() && *act == Act::Renew {
                    world.renew();
                }
            }
            dies
        }
    };
    let pid = if first.is_owners() { OWNER } else { FIRST };
    let (done, happened) = world.script.run(Some(n), happens, || world.act(pid, first));
    if done.is_none() && first == Act::Renew {
        world.renew();
    }
    let what = format!(
        "history: {history}, {first:?} at {n} (dies: {dies}), then {others:?}, kill {kill:?}"
    );
    world.audit(&what, seen);
    seen.runs += 1;
    seen.killed += u64::from(done.is_none());
    seen.overtaken += u64::from(happened && done.is_some() && !others.is_empty());
    seen.both_killed += u64::from(done.is_none() && second.get());
    (happened, second.get())
}

/// All steps of `first`, and for each all steps of each of `others`.
fn explore_all(first: Act, others: &[Act], dies: bool, seen: &mut Seen) {
    for history in [true, false] {
        for n in 0.. {
            let (happened, _) = explore(history, first, n, others, None, dies, seen);
            if !happened {
                break;
            }
            for i in 0..others.len() {
                for m in 0.. {
                    if !explore(history, first, n, others, Some((i, m)), dies, seen).1 {
                        break;
                    }
                }
            }
            assert!(n < 10_000, "a step count without end");
        }
    }
}

const SPENDERS: [Act; 6] = [
    Act::Burn(5),
    Act::Reserve(20),
    Act::Commit(20, 20),
    Act::Commit(20, 6),
    Act::Commit(20, 0),
    Act::Release(20),
];

/// What overtakes: spenders that overwrite the tags, the sweep, the end of the lease.
const OVERTAKERS: [&[Act]; 12] = [
    &[],
    &[Act::Burn(5)],
    &[Act::Burn(100)],
    &[Act::Reserve(30)],
    &[Act::Commit(30, 10)],
    &[Act::Release(30), Act::Commit(40, 40)],
    &[Act::Sweep { late: false }],
    &[Act::Sweep { late: true }],
    &[
        Act::Commit(30, 10),
        Act::Sweep { late: true },
        Act::Release(1),
    ],
    &[Act::Renew],
    &[Act::Renew, Act::Commit(30, 10), Act::Sweep { late: true }],
    &[Act::Raise, Act::Reserve(60), Act::Burn(40)],
];

#[test]
fn a_spender_killed_at_any_step_is_neither_charged_nor_freed_twice() {
    let mut seen = Seen::default();
    for first in SPENDERS {
        for others in OVERTAKERS {
            explore_all(first, others, true, &mut seen);
        }
    }
    println!("{seen:?}");
    assert!(seen.killed > 1_000 && seen.both_killed > 1_000, "{seen:?}");
    assert!(
        seen.late > 100 && seen.returned > 100 && seen.consumed > 100,
        "{seen:?}"
    );
}

#[test]
fn a_spender_overtaken_at_any_step_decides_as_if_alone() {
    let mut seen = Seen::default();
    for first in SPENDERS {
        for others in OVERTAKERS {
            explore_all(first, others, false, &mut seen);
        }
    }
    println!("{seen:?}");
    assert!(seen.overtaken > 1_000, "{seen:?}");
    assert!(
        seen.late > 100 && seen.returned > 100 && seen.consumed > 100,
        "{seen:?}"
    );
}

#[test]
fn an_owner_killed_or_overtaken_at_any_step_is_carried_on_by_the_next() {
    let mut seen = Seen::default();
    for first in [Act::Renew, Act::Raise, Act::Sweep { late: true }] {
        for others in [
            &[] as &[Act],
            &[Act::Burn(5)],
            &[Act::Commit(30, 10)],
            &[Act::Release(30), Act::Commit(40, 40)],
            &[Act::Reserve(60)],
        ] {
            for dies in [true, false] {
                explore_all(first, others, dies, &mut seen);
            }
        }
    }
    println!("{seen:?}");
    assert!(seen.killed > 100 && seen.overtaken > 100, "{seen:?}");
}

/// The sweep is killed at every step and swept again, over holds that were left at every step.
#[test]
fn a_sweep_killed_at_any_step_is_finished_by_the_next() {
    let mut seen = Seen::default();
    for first in SPENDERS {
        for others in [
            &[Act::Sweep { late: false }, Act::Sweep { late: true }] as &[Act],
            &[Act::Renew, Act::Sweep { late: true }],
            &[
                Act::Sweep { late: true },
                Act::Commit(30, 10),
                Act::Sweep { late: true },
            ],
        ] {
            explore_all(first, others, true, &mut seen);
        }
    }
    println!("{seen:?}");
    assert!(seen.both_killed > 1_000 && seen.late > 100, "{seen:?}");
}

/// A writer killed at any access leaves the old row or the new one, whole; the next writer goes on, and what the dead one
/// left half-written is never found.
#[test]
fn a_writer_killed_at_any_step_leaves_the_old_row_or_the_new_one() {
    let key = Key::new(b"acme").unwrap();
    let put = |g: &Generation<Stepped>, record| {
        let phase = Phase {
            until_ms: None,
            profile: 1,
            overlay: None,
        };
        let words = encode_row(RowKind::Customer, 1, key, record, &[], 0, &[phase]).unwrap();
        let place = g.append(&words).unwrap();
        g.publish_number(1, place).unwrap();
        g.publish(key, place).unwrap();
    };
    let found = |g: &Generation<Stepped>| {
        let row = g.customer(key).unwrap()?;
        let parts = row
            .parts(g.region(), 0)
            .expect("a row that is found is whole");
        assert_eq!(parts.key, b"acme");
        Some(parts.record)
    };
    let (mut old, mut new) = (0, 0);
    // The first row of a key, and one that takes another's place.
    for before in [None, Some(7)] {
        for n in 0.. {
            let script = Rc::new(Script::default());
            let capacity = Capacity {
                slots: 4,
                numbers: 4,
                heap_words: 64,
            };
            let plan = Plan::new(&Catalog::default(), 1, capacity).unwrap();
            let region = Stepped {
                words: HeapRegion::new(plan.words()),
                script: Rc::clone(&script),
            };
            let g = Generation::format(region, plan, 1, 1, 1, &[1]).unwrap();
            if let Some(record) = before {
                put(&g, record);
            }
            let (done, happened) = script.run(Some(n), || true, || put(&g, 8));
            let now = found(&g);
            assert!(now == before || now == Some(8), "killed at {n}: {now:?}");
            if !happened {
                assert_eq!((done.is_some(), now), (true, Some(8)));
                break;
            }
            old += u64::from(now == before);
            new += u64::from(now == Some(8));
            put(&g, 9);
            assert_eq!(
                found(&g),
                Some(9),
                "the next writer goes on after a kill at {n}"
            );
        }
    }
    assert!(old > 10 && new > 0, "{old} {new}");
}
