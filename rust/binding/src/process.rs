//! What the operating system says of processes and boots: facts that the core takes as arguments.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use fastcheck_core::{Environment, Holder, hash_bytes};

/// When a process started, in clock ticks since boot; zero if there is no such process.
pub fn started(pid: u32) -> u64 {
    let Ok(stat) = std::fs::read(format!("/proc/{pid}/stat")) else {
        return 0;
    };
    // The command name may hold anything but ends at the last parenthesis; field 22 is the 20th after it.
    let Some(end) = stat.iter().rposition(|b| *b == b')') else {
        return 0;
    };
    let fields = String::from_utf8_lossy(&stat[end + 1..]);
    let mut fields = fields.split_ascii_whitespace();
    // A zombie has died; its parent just has not looked yet.
    if fields.next() == Some("Z") {
        return 0;
    }
    fields.nth(18).and_then(|f| f.parse().ok()).unwrap_or(0)
}

/// Remembers, during one sweep, which processes live.
#[derive(Default)]
pub struct Alive {
    seen: HashMap<u32, u64>,
}

impl Alive {
    /// Whether process `pid` lives and, where `start` is known, is the one that started then.
    pub fn is(&mut self, pid: u32, start: u64) -> bool {
        let found = *self.seen.entry(pid).or_insert_with(|| started(pid));
        found != 0 && (start == 0 || found == start)
    }
}

/// This process, once known; zero after a fork, until asked again.
static PID: AtomicU32 = AtomicU32::new(0);
static STARTED: AtomicU64 = AtomicU64::new(0);

extern "C" fn forked() {
    // Relaxed: the child has one thread. A store is all that a child of a threaded process may do here.
    PID.store(0, Ordering::Relaxed);
}

/// Has forks noticed: asking the kernel for the pid at each reservation costs more than the reservation.
pub fn watch_forks() {
    // SAFETY: the handler only stores to an atomic.
    unsafe { libc::pthread_atfork(None, None, Some(forked)) };
}

/// This process as the holder of reservations.
pub fn holder() -> Holder {
    // Acquire: pairs with the Release below, so that the start time belongs to the pid.
    let mut pid = PID.load(Ordering::Acquire);
    if pid == 0 {
        pid = std::process::id();
        // Relaxed: published by the Release store.
        STARTED.store(started(pid), Ordering::Relaxed);
        PID.store(pid, Ordering::Release);
    }
    // Relaxed: see above.
    Holder {
        pid,
        started: STARTED.load(Ordering::Relaxed),
    }
}

/// Hash of the kernel's boot id.
pub fn boot() -> u64 {
    hash_bytes(&std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default())
}

pub fn environment(now_ms: u64) -> Environment {
    let mut random = [0u8; 8];
    // Only names the arena and keys its hash; the clock and the pid are a poor substitute but a working one.
    if rustix::rand::getrandom(&mut random[..], rustix::rand::GetRandomFlags::empty()).is_err() {
        random = (now_ms ^ (u64::from(std::process::id()) << 40)).to_le_bytes();
    }
    Environment {
        boot: boot(),
        random: u64::from_le_bytes(random),
        pid: std::process::id(),
        now_ms,
        steady_ms: crate::time::steady_ms(),
    }
}
