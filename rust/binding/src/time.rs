//! The clock that checks are given: the system's, or one that tests set by hand.

use std::sync::atomic::{AtomicU64, Ordering};

use fastcheck_core::check::Clock;
use rustix::time::{ClockId, clock_gettime};

#[derive(Debug)]
pub enum Time {
    System,
    Manual(AtomicU64),
}

impl Clock for Time {
    #[inline(always)]
    fn now_ms(&self) -> u64 {
        match self {
            Time::System => read(ClockId::Realtime),
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

pub fn steady_ms() -> u64 {
    read(ClockId::Boottime)
}

fn read(clock: ClockId) -> u64 {
    let t = clock_gettime(clock);
    t.tv_sec as u64 * 1000 + t.tv_nsec as u64 / 1_000_000
}
