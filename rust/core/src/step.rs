//! One attempt to answer, and how often the owner is asked before an answer stands.

use crate::check::{Answer, Found};

/// What one attempt to answer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<T> {
    Done(T),
    /// The owner has to be asked for a lease of the pool with that index; then try again. The answer if that fails.
    Touch {
        pool: usize,
        instead: T,
    },
    /// The owner has to be asked for the customer; then try again. The answer if that finds no such customer.
    Fetch(T),
}

impl<T> Step<T> {
    /// The answer if nothing more is asked.
    #[inline]
    pub fn answer(self) -> T {
        match self {
            Step::Done(answer)
            | Step::Fetch(answer)
            | Step::Touch {
                instead: answer, ..
            } => answer,
        }
    }
}

impl Found {
    /// Whom to ask before `answer`, said as `told`, stands.
    #[inline]
    pub(crate) fn step<T>(&self, answer: Answer, told: T) -> Step<T> {
        if answer == Answer::NoLease {
            Step::Touch {
                pool: self.entry.pool(),
                instead: told,
            }
        } else if self.fetchable && !answer.is_stale() {
            Step::Fetch(told)
        } else {
            Step::Done(told)
        }
    }
}

/// How often one call asks for leases before it gives up.
const TOUCHES_MAX: u32 = 2;

/// How often one call has asked the owner.
#[derive(Debug, Default)]
pub struct Asked {
    fetched: bool,
    touches: u32,
}

impl Asked {
    /// Whether the owner is asked after this attempt: for the customer once, for leases a few times.
    #[inline]
    pub fn again<T>(&mut self, step: &Step<T>) -> bool {
        match step {
            Step::Done(_) => false,
            Step::Fetch(_) => !std::mem::replace(&mut self.fetched, true),
            Step::Touch { .. } => {
                self.touches += 1;
                self.touches <= TOUCHES_MAX
            }
        }
    }
}
