//! The hottest methods as bare C functions, attached to their classes as method descriptors.
//!
//! PyO3's own trampolines cost one to three nanoseconds more, and a check has about nine. What they do is done here by
//! hand: the descriptor guarantees the type of `self`, and the arguments are borrowed.
//!
//! Panics: the fast way, which answers from what was found before, has nothing that panics (`check_fast` and `Till` of the core
//! say so), and is not guarded. All the rest runs inside `guarded`: a panic is caught, counted and becomes a denial.

mod burns;
mod checks;
mod handles;
mod holds;
mod methods;
mod seam;

pub use methods::{install, install_handle, install_reservation};
pub use seam::guarded;
