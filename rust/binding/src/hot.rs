//! The hottest methods as bare C functions, attached to their classes as method descriptors.
//!
//! PyO3's own trampolines cost one to three nanoseconds more, and a check has about nine. What they do is done here by
//! hand: the descriptor guarantees the type of `self`, and the arguments are borrowed.
//!
//! Panics: the slow ways run inside `guarded`, so a panic is caught, counted and becomes a denial. The fast ways of `check`,
//! `consume` and the handles come before it and are not guarded: they look names up, load words and burn by functions of the
//! core that index nothing, unwrap nothing and check their sums. A panic there would end the process.

mod burns;
mod checks;
mod handles;
mod holds;
mod methods;
mod seam;

pub use methods::{install, install_handle, install_reservation};
pub use seam::guarded;
