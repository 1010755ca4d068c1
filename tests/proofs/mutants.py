#!/usr/bin/env python3
"""Breaks the core on purpose, one named change at a time, and asserts that the named test notices.

Each mutant is applied to a copy of the Rust workspace. A mutant that survives, or whose text is no longer found, fails the
run: a proof that cannot fail proves nothing.

    python -m proofs.mutants             all of them (some minutes)
    python -m proofs.mutants NAME…       those whose name contains one of the words
    python -m proofs.mutants --list
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = Path("rust/core/src")
# A mutant may loop or wait for ever; that counts as noticed.
TIMEOUT_S = 240


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    # The test target and the test in it that must fail.
    target: str
    test: str
    # Which of the places where `old` stands: from 0.
    nth: int = 0


CRASH = "crash_steps"
CELLS = "loom_cells"
CURRENT = "loom_current"

MUTANTS = [
    # hold: the evidence of a debit and of a return
    Mutant(
        "skip pass_on_debit",
        "hold.rs",
        "self.pass_on_debit(cell, word)?;",
        "",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "skip pass_on_return",
        "hold.rs",
        "self.pass_on_return(&cell, returned)?;",
        "",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "a late passer-on speaks",
        "hold.rs",
        "word.load(Ordering::Relaxed) != value",
        "false",
        CRASH,
        "a_spender_overtaken_at_any_step",
    ),
    Mutant(
        "a late passer-on speaks (memory order)",
        "hold.rs",
        "word.load(Ordering::Relaxed) != value",
        "false",
        CELLS,
        "a_settler_with_a_stale_word",
    ),
    Mutant(
        "claim ignores the tags",
        "hold.rs",
        "if in_word == slot as u64 || in_returned == slot as u64 {",
        "if false {",
        CRASH,
        "a_spender_overtaken_at_any_step",
    ),
    Mutant(
        "claim ignores the tag of returned",
        "hold.rs",
        "if in_word == slot as u64 || in_returned == slot as u64 {",
        "if in_word == slot as u64 {",
        CRASH,
        "a_spender_overtaken_at_any_step",
    ),
    Mutant(
        "debit before intent",
        "hold.rs",
        "self.state(slot)?.store(intent, Ordering::Release);",
        "",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "no tag with the debit",
        "hold.rs",
        "cell::with_tag(word + amount, slot as u64)",
        "word + amount",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "no tag with the return",
        "hold.rs",
        "cell::with_tag(total, slot as u64)",
        "cell::with_tag(total, 0)",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "an expired hold frees what a commit wrote",
        "hold.rs",
        "self.finish(record, expired, record.amount, late)?;",
        "self.finish(record, expired, record.freed, late)?;",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "give back again after a kill",
        "hold.rs",
        "if tag == slot as u64 {",
        "if false {",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "give back into a closed lease",
        "hold.rs",
        "if returned & CLOSED != 0 || !cell.is(lease)? {",
        "if false {",
        CELLS,
        "what_comes_back_while_a_lease_closes",
    ),
    Mutant(
        "late is not told again",
        "hold.rs",
        "LATE_FREED => late.push(record.late(seen, record.freed)),",
        "LATE_FREED => self.free(slot, seen)?,",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "commit does not compete with the sweep",
        "hold.rs",
        ".compare_exchange(hold.stamp, settling, Ordering::AcqRel, Ordering::Relaxed)\n            .is_err()",
        ".compare_exchange(hold.stamp, settling, Ordering::AcqRel, Ordering::Relaxed)\n            .is_err() && false",
        CELLS,
        "a_commit_and_the_sweep_have_one_winner",
    ),
    Mutant(
        "an intent of the dead counts as debited",
        "hold.rs",
        "if cell::tag(cell.word()?.load(Ordering::Acquire)) == slot as u64 {",
        "if true {",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    # cell: one step, no lease's decision in the next, final totals
    Mutant(
        "reopen at the same total",
        "cell.rs",
        "let spent = total(word) + 1;",
        "let spent = total(word);",
        CELLS,
        "final_totals_hold_every_burn",
    ),
    Mutant(
        "returned reopens at the same total",
        "cell.rs",
        "let given_back = total(returned) + 1;",
        "let given_back = total(returned);",
        CRASH,
        "a_spender_overtaken_at_any_step",
    ),
    Mutant(
        "the word's exchange is relaxed",
        "cell.rs",
        "word + cost,\n            Ordering::AcqRel,\n            Ordering::Acquire,",
        "word + cost,\n            Ordering::Relaxed,\n            Ordering::Relaxed,",
        CELLS,
        "burns_publish_what_came_before",
    ),
    Mutant(
        "a burn does not look for closed",
        "cell.rs",
        "if word & CLOSED != 0 || !self.is(expected)? {",
        "if !self.is(expected)? {",
        CELLS,
        "final_totals_hold_every_burn",
    ),
    Mutant(
        "a burn does not look for whose lease it is",
        "cell.rs",
        "if word & CLOSED != 0 || !self.is(expected)? {",
        "if word & CLOSED != 0 {",
        CELLS,
        "final_totals_hold_every_burn",
    ),
    Mutant(
        "close forgets to freeze",
        "cell.rs",
        "self.returned()?.fetch_or(CLOSED, Ordering::AcqRel);\n        Ok(self.totals()?)",
        "Ok(self.totals()?)",
        CELLS,
        "what_comes_back_while_a_lease_closes",
    ),
    Mutant(
        "open publishes relaxed",
        "cell.rs",
        "self.word()?.store(spent, Ordering::Release);",
        "self.word()?.store(spent, Ordering::Relaxed);",
        CELLS,
        "a_lease_is_found_whole_or_not_at_all",
    ),
    Mutant(
        "granted before limits",
        "cell.rs",
        "let limits = self.at(4)?.load(Ordering::Acquire);\n",
        "let limits = self.at(4)?.load(Ordering::Relaxed);\n",
        CELLS,
        "a_raise_is_seen_or_denied",
    ),
    Mutant(
        "full is said before the total",
        "cell.rs",
        "if target > self.at(1)?.load(Ordering::Relaxed) {",
        "self.at(4)?.store(limits | u64::from(full), Ordering::Release);\n        if target > self.at(1)?.load(Ordering::Relaxed) {",
        CELLS,
        "a_raise_is_seen_or_denied",
    ),
    Mutant(
        "identity stays while the cell opens",
        "cell.rs",
        "self.at(3)?.store(0, Ordering::Release);",
        "",
        CRASH,
        "an_owner_killed_or_overtaken",
    ),
    Mutant(
        "recover does not freeze",
        "cell.rs",
        "self.returned()?.fetch_or(CLOSED, Ordering::AcqRel);\n        }\n        Ok(self.totals()?)",
        "}\n        Ok(self.totals()?)",
        CRASH,
        "an_owner_killed_or_overtaken",
    ),
    Mutant(
        "open forgets the tag of word",
        "cell.rs",
        "holds.pass_on_debit(self, word)?;",
        "",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "open forgets the tag of returned",
        "cell.rs",
        "holds.pass_on_return(self, returned)?;",
        "",
        CRASH,
        "a_spender_killed_at_any_step",
    ),
    Mutant(
        "totals read the word first",
        "cell.rs",
        "let returned = self.returned()?.load(Ordering::Acquire);\n        // Acquire: pairs with the spenders' Release, and with `open`.\n        let word = self.word()?.load(Ordering::Acquire);",
        "let word = self.word()?.load(Ordering::Acquire);\n        let returned = self.returned()?.load(Ordering::Acquire);",
        CELLS,
        "an_observer_never_sees_more_returned_than_spent",
    ),
    # current, generation: read old or new, never freed under a reader
    Mutant(
        "the collector only loads",
        "current.rs",
        "p.0.fetch_add(0, Ordering::AcqRel) == 0",
        "p.0.load(Ordering::Acquire) == 0",
        CURRENT,
        "a_pinned_value_is_not_dropped",
    ),
    Mutant(
        "the collector does not look",
        "current.rs",
        "p.0.fetch_add(0, Ordering::AcqRel) == 0",
        "{ let _ = p; true }",
        CURRENT,
        "a_pinned_value_is_not_dropped",
    ),
    Mutant(
        "unpin is relaxed",
        "current.rs",
        ".fetch_sub(1, Ordering::Release)",
        ".fetch_sub(1, Ordering::Relaxed)",
        CURRENT,
        "a_pinned_value_is_not_dropped",
    ),
    Mutant(
        "the swap is relaxed",
        "current.rs",
        "self.pointer.swap(fresh, Ordering::AcqRel)",
        "self.pointer.swap(fresh, Ordering::Relaxed)",
        CURRENT,
        "a_value_replaced_twice",
    ),
    Mutant(
        "a slot is published relaxed",
        "generation/write.rs",
        ".store(self.slots_at + i, word, Ordering::Release)?;",
        ".store(self.slots_at + i, word, Ordering::Relaxed)?;",
        CURRENT,
        "a_reader_finds_no_row",
    ),
    Mutant(
        "a slot is read relaxed",
        "generation/read.rs",
        "self.region.load(slot, Ordering::Acquire)",
        "self.region.load(slot, Ordering::Relaxed)",
        CURRENT,
        "a_reader_finds_no_row",
    ),
    Mutant(
        "the generation is announced relaxed",
        "control.rs",
        "self.region.store(field as usize, value, Ordering::Release)",
        "self.region.store(field as usize, value, Ordering::Relaxed)",
        CURRENT,
        "a_reader_that_remaps",
    ),
]


def command(mutant: Mutant) -> tuple[list[str], dict[str, str]]:
    env = dict(os.environ, RUST_BACKTRACE="0")
    loom = mutant.target.startswith("loom_")
    env["CARGO_TARGET_DIR"] = str(ROOT / "target" / ("mutants-loom" if loom else "mutants"))
    if loom:
        env["RUSTFLAGS"] = "--cfg loom"
    return [
        "cargo",
        "test",
        "-q",
        "-p",
        "fastcheck-core",
        "--profile",
        "quick",
        "--test",
        mutant.target,
        "--",
        mutant.test,
    ], env


def run(mutant: Mutant, copy: Path) -> tuple[int, str]:
    argv, env = command(mutant)
    try:
        done = subprocess.run(argv, cwd=copy, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return 1, "panicked: no end"
    return done.returncode, done.stdout + done.stderr


def mutate(text: str, mutant: Mutant) -> str:
    parts = text.split(mutant.old)
    if len(parts) < mutant.nth + 2:
        sys.exit(f"{mutant.name}: its text is no longer in {mutant.file}")
    head, tail = mutant.old.join(parts[: mutant.nth + 1]), mutant.old.join(parts[mutant.nth + 1 :])
    return head + mutant.new + tail


def main(words: list[str]) -> int:
    chosen = [m for m in MUTANTS if not words or any(w in m.name for w in words)]
    if words == ["--list"]:
        print("\n".join(f"{m.name}: {m.target} {m.test}" for m in MUTANTS))
        return 0
    survivors = 0
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for name in ("Cargo.toml", "Cargo.lock", "rust"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name)
            else:
                shutil.copy(source, copy / name)
        # The build of a former run may hold its last mutant, and cargo goes by the time of the files.
        for path in (copy / "rust").rglob("*.rs"):
            path.touch()
        # Unchanged, every named test passes and exists: else "it failed" would mean nothing.
        for target, test in sorted({(m.target, m.test) for m in chosen}):
            code, output = run(Mutant("", "", "", "", target, test), copy)
            if code or " 1 passed" not in output:
                print(output)
                sys.exit(f"{target} {test} does not pass without a mutant")
        for i, mutant in enumerate(chosen, 1):
            path = copy / SRC / mutant.file
            good = path.read_text()
            path.write_text(mutate(good, mutant))
            started = time.monotonic()
            code, output = run(mutant, copy)
            path.write_text(good)
            if "error[" in output or "could not compile" in output:
                verdict = "DOES NOT COMPILE"
            else:
                verdict = "killed" if code else "SURVIVED"
            survivors += verdict != "killed"
            print(
                f"[{i}/{len(chosen)}] {verdict:8} {mutant.name} ({time.monotonic() - started:.0f} s)",
                flush=True,
            )
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
