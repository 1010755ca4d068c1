//! The clock that checks are given: the system's, or one that tests set by hand.

use std::sync::atomic::{AtomicU64, Ordering};

use fastcheck_core::{Clock, Field, Freshness, View};

#[derive(Debug)]
pub enum Time {
    System,
    Manual(AtomicU64),
}

impl Clock for Time {
    #[inline(always)]
    fn now_ms(&self) -> u64 {
        match self {
            Time::System => read(libc::CLOCK_REALTIME),
            // Relaxed: a number that a test has set before.
            Time::Manual(at) => at.load(Ordering::Relaxed),
        }
    }
}

impl Time {
    /// Milliseconds that no one sets and that go on while the machine sleeps: what a reservation's end is measured by.
    pub fn steady_ms(&self) -> u64 {
        match self {
            Time::System => steady_ms(),
            Time::Manual(_) => self.now_ms(),
        }
    }
}

/// The clock of one answer: the checker's time, and what the arena says of its own age.
pub struct Moment<'a> {
    pub time: &'a Time,
    pub view: &'a View,
}

impl Clock for Moment<'_> {
    #[inline(always)]
    fn now_ms(&self) -> u64 {
        self.time.now_ms()
    }
}

impl Freshness for Moment<'_> {
    fn unheard_ms(&self) -> u64 {
        match self.view.control().get(Field::FreshSteadyMs) {
            // Nothing was heard since the machine started, or the page is damaged.
            Ok(0) | Err(_) => u64::MAX,
            Ok(heard_at) => self.time.steady_ms().saturating_sub(heard_at),
        }
    }
}

pub fn steady_ms() -> u64 {
    read(libc::CLOCK_BOOTTIME)
}

/// The C library's call rather than one of our own making: it knows where the kernel's fast path is missing, as under valgrind.
fn read(clock: libc::clockid_t) -> u64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `t` is a live timespec; both clocks exist on every Linux this runs on, so the call does not fail (and if it did,
    // time would stand at zero, where nothing expires).
    unsafe { libc::clock_gettime(clock, &mut t) };
    t.tv_sec as u64 * 1000 + t.tv_nsec as u64 / 1_000_000
}
