//! What the models share: bounded exploration that counts, and the outcomes that must have been met.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fastcheck_core::Corrupt;
use fastcheck_core::parts::{self, HeapRegion, Region, Words};

/// Words whose every access may be a switch to another thread.
///
/// Loom only tries another order of two accesses where it takes them to depend on each other, and for that it remembers
/// the last access to each atomic alone: a thread that loads a word before it stores hides its store from a load that
/// another thread made earlier. Here each access first touches one atomic that all share, so each is a switch
/// point. The touch is relaxed and adds no ordering that the code under test does not have by itself.
pub struct Racing {
    words: HeapRegion,
    turn: parts::AtomicU64,
}

impl Racing {
    pub fn new(words: usize) -> Racing {
        Racing {
            words: HeapRegion::new(words),
            turn: parts::AtomicU64::new(0),
        }
    }
}

impl Words for Racing {
    fn words(&self) -> usize {
        self.words.words()
    }

    fn load(&self, index: usize, ordering: parts::Ordering) -> Result<u64, Corrupt> {
        Ok(self.word(index)?.load(ordering))
    }
}

impl Region for Racing {
    fn word(&self, index: usize) -> Result<&parts::AtomicU64, Corrupt> {
        // Relaxed: see above.
        self.turn.fetch_add(0, parts::Ordering::Relaxed);
        self.words.word(index)
    }
}

/// Explores all executions with at most `preemptions` switches away from a thread that could go on.
pub fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(move || {
        // Relaxed: a tally, read after the exploration. Not loom's: it must outlive each execution.
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    // Relaxed: as above.
    let executions = executions.load(Ordering::Relaxed);
    println!("{executions} executions, at most {preemptions} preemptions each");
}

/// How often each outcome was met. A race that never happened proves nothing.
#[derive(Clone, Default)]
pub struct Outcomes(Arc<Mutex<BTreeMap<String, u64>>>);

impl Outcomes {
    pub fn new() -> Outcomes {
        Outcomes::default()
    }

    pub fn met(&self, outcome: impl Into<String>) {
        *self.0.lock().unwrap().entry(outcome.into()).or_default() += 1;
    }

    /// Every one of these was met.
    pub fn must_hold(&self, outcomes: &[&str]) {
        let met = self.0.lock().unwrap();
        println!("{met:?}");
        for outcome in outcomes {
            assert!(met.contains_key(*outcome), "never met {outcome:?}: {met:?}");
        }
    }
}
