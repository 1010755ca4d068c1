#!/usr/bin/env python3
"""Breaks the ledger on purpose, one named change at a time, and asserts that the named tests notice.

Each mutant is applied to a copy of the package. One that survives, or whose text is no longer found, fails the run.

    python -m proofs.ledger_mutants             all of them (some minutes)
    python -m proofs.ledger_mutants NAME…       those whose name contains one of the words
    python -m proofs.ledger_mutants --list
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
TIMEOUT_S = 240
"""A mutant may loop or wait for ever; that counts as noticed."""


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    tests: str
    """What pytest is asked for."""


BURN, LAWS = "tests/unit/test_ledger_burn.py", "tests/unit/test_ledger_burndown.py"
SERVICE, HISTORY, ONCE = (
    "tests/hub/test_hub_service.py",
    "tests/hub/test_hub_history.py",
    "tests/hub/test_hub_once.py",
)
SUITE = "tests/store/test_store_suite.py"
ACCOUNTS, CORE = "hub/use_cases/accounts.py", "hub/service/core.py"
STEADY, DIRECTORY_CLOCK, REPAIR = (
    "tests/unit/test_steady.py",
    "tests/unit/test_directory_clock.py",
    "tests/hub/test_hub_clock.py",
)

MUTANTS = [
    # The arithmetic.
    Mutant("a rollover has no upper bound", "ledger/model.py", "min(self.max, max(self.min,", "max(self.max, max(self.min,", BURN),
    Mutant("the 31st becomes the 1st of the next month", "ledger/periods.py", "min(day, _month_length(year, month))", "day", "tests/unit/test_ledger_periods.py"),
    Mutant("units come back to a grant that never gave them", "ledger/burning.py", "min(units, slot.burned, slot.allowed - slot.remaining)", "min(units, slot.allowed)", BURN + " tests/unit/test_ledger_postings.py"),
    Mutant("giving back does not lower what is owed", "ledger/burning.py", "lowered = min(self.overage, units)", "lowered = 0", LAWS),
    Mutant("a burn is posted to what expired", "ledger/postings.py", "MovementKind.BURN: (_GRANT, _USED)", "MovementKind.BURN: (_GRANT, LedgerAccount.EXPIRED)", "tests/unit/test_ledger_postings.py"),
    Mutant("paid overage is posted as use", "ledger/postings.py", "MovementKind.PAY_OVERAGE: (_GRANT, _OVERAGE)", "MovementKind.PAY_OVERAGE: (_GRANT, _USED)", "tests/unit/test_ledger_postings.py"),
    # Settlement.
    Mutant("the last total counts, not the greatest", ACCOUNTS, "spent=max(lease.spent, one.spent)", "spent=one.spent", SERVICE),
    Mutant("what came back is forgotten", ACCOUNTS, "returned=max(lease.returned, min(one.returned, one.spent))", "returned=lease.returned", SERVICE),
    Mutant("a lease gives back more than it spent", ACCOUNTS, "min(one.returned, one.spent)", "one.returned", SUITE + " -k no_more_than_it_spent"),
    Mutant("folding counts everything again", ACCOUNTS, "use(account, rules, one.net - one.folded, at)", "use(account, rules, one.net, at)", SERVICE),
    Mutant("an open lease's use is not in the balance", ACCOUNTS, "account = use(Account() if stored is None else stored, pool.rules, used)", "pass", SERVICE),
    Mutant("totals near zero are kept once a minute", ACCOUNTS, "if near or self.now", "if self.now", HISTORY),
    Mutant("nobody looks at what expires", ACCOUNTS, "known is None or known.private", "True", "tests/hub/test_hub_turn.py"),
    # Idempotency keys.
    Mutant("a key may have another body", CORE, "if known[0] != hashlib.sha256(body).digest():", "if False:", ONCE),
    Mutant("a key is not stored", CORE, "call.statements.put_answer(key, call.now, digest, pack(write(case.kept(done.answer), of)))", "pass", ONCE),
    Mutant("a hub keeps the catalog it began with", CORE, "if number != known.number:", "if not known.number:", SUITE + " -k takes_the_catalog"),
    # The past.
    Mutant("what a customer was is not kept", "hub/store/statements/customers.py", "self._db.execute(_KEEP_PAST, {\"numbers\": numbers, \"until\": until})", "pass", HISTORY),
    Mutant("what a grant was is not kept", "hub/store/statements/accounts.py", "self._keep_grants([row[\"of_id\"] for row in known], now)", "pass", HISTORY),
    Mutant("what an account was is not kept", "hub/store/statements/accounts.py", "self._keep_accounts(", "(lambda keys, at: None)(", SUITE + " -k any_instant"),
    Mutant("the past ends an instant late", "hub/store/statements/history.py", "grants_past.c.until_at > _at", "grants_past.c.until_at >= _at", SUITE + " -k any_instant"),
    Mutant("the past uses today's catalog", CORE, "past = PastStatements(call.statements.connection, instant)", "return replace(call, statements=PastStatements(call.statements.connection, instant), now=instant)\n        past = None", HISTORY),
    Mutant("movements are posted twice", "hub/store/statements/accounts.py", "self.after.moved[0 if self.before is None else len(self.before.moved) :]", "self.after.moved", SUITE + " -k every_kind_of_change"),
    # Several hubs.
    Mutant("customers are not locked", "hub/store/statements/customers.py", ".with_for_update()", "", SUITE + " -k 'held_in_any_order or exact_sums or every_kind_of_change'"),
    # Money that is held or bounded.
    Mutant("what is reserved may be spent", "hub/use_cases/claims.py", "return self.lent + sum(one.units for one in self.held)", "return self.lent", "tests/hub/test_hub_spending.py"),
    Mutant("a cap counts nothing", "hub/use_cases/claims.py", "spent=max(0, before + units)", "spent=0", "tests/hub/test_hub_spending.py"),
    Mutant("what is lent does not count towards a cap", "hub/use_cases/claims.py", "(self.lent if cap.key is None else 0)", "0", "tests/hub/test_hub_spending.py"),
    # The clock.
    Mutant("a step ahead is believed at once", "steady.py", "if step > STEP_MS:", "if False:", STEADY),
    Mutant("a step is first seen at each reading", "steady.py", "abs(offset - self.doubt.offset) > STEP_MS", "True", STEADY),
    Mutant("another step does not begin anew", "steady.py", "abs(offset - self.doubt.offset) > STEP_MS", "False", STEADY),
    Mutant("a restart believes the step", "steady.py", "self.offset, self.doubt = seen.offset, seen.doubt", "pass", STEADY),
    Mutant("a start behind what was seen says nothing", "steady.py", "if now < seen.newest - SLACK_MS:", "if False:", STEADY),
    Mutant("the file of the clock is written once", "directory/clock.py", "if always or kept is None or seen.misses(kept) or seen.newest - kept.newest >= KEEP_MS:", "if kept is None:", DIRECTORY_CLOCK),
    Mutant("a repair does not replay use", "ledger/repair.py", "if _USED in (posting.source, posting.target):", "if False:", REPAIR + " -k grants_and_voids"),
    Mutant("a repair forgets when grants were made", "ledger/repair.py", "elif id in made and _goes(posting, _ISSUED, _GRANT):", "elif False:", REPAIR + " -k the_law"),
    Mutant("a repair forgets when grants were voided", "ledger/repair.py", "id in voided and last_void[id] == place:", "False:", REPAIR + " -k the_law"),
    Mutant("a grant of the wrong time begins in the wrong time", "ledger/repair.py", "if made_at > at:", "if False:", REPAIR + " -k grants_and_voids"),
    Mutant("what a wrong clock did is not undone in the books", "ledger/repair.py", "(-1, [one.posting for one in undone])", "(-1, [])", REPAIR + " -k moment_of_another"),
    Mutant("a later repair begins where an earlier one did", "hub/store/statements/clock.py", "self._db.execute(_PUT_MARK.on(self._db), {\"key\": _marked(key), \"value\": place})", "pass", REPAIR + " -k second_wrong"),
    Mutant("the past keeps what the wrong clock wrote", "hub/store/statements/clock.py", "self._db.execute(_FORGET_GRANT, asked)", "pass", REPAIR + " -k past_says"),
    Mutant("a repair takes a clock that is wrong", "hub/use_cases/clock.py", "if not at <= call.now <= at + RIGHT_MS:", "if False:", REPAIR + " -k right_first"),
    Mutant("caps wait for the wrong time", "hub/use_cases/clock.py", "if one.window_at > at:", "if False:", REPAIR + " -k caps_count"),
    Mutant("the service does not confirm", CORE, "self.clock.confirm()", "pass", REPAIR + " -k confirmed_step"),
]  # fmt: skip


def survives(mutant: Mutant) -> str | None:
    """Why a mutant is not dead; None where it is."""
    with tempfile.TemporaryDirectory(prefix="fastcheck-mutant-") as directory:
        copy = Path(directory)
        shutil.copytree(ROOT / "python", copy / "python", ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / "python" / "fastcheck" / mutant.file
        text = path.read_text()
        if mutant.old not in text:
            return f"{mutant.file} has no {mutant.old!r}"
        path.write_text(text.replace(mutant.old, mutant.new, 1))
        environment = {**os.environ, "PYTHONPATH": str(copy / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("FASTCHECK_PROVE", None)  # What `make test` does notices it.
        command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {mutant.tests}"
        try:
            done = subprocess.run(
                command,
                shell=True,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return None
        if done.returncode == 1:
            return None
        return (
            "no test noticed"
            if done.returncode == 0
            else f"pytest said {done.returncode}: {done.stdout[-300:]}"
        )


def main(arguments: list[str], mutants: list[Mutant] = MUTANTS) -> int:
    """Runs those that are asked for; how many lived, as an exit code."""
    wanted = [one for one in mutants if not arguments or any(word in one.name for word in arguments)]
    if arguments == ["--list"]:
        print("\n".join(one.name for one in mutants))
        return 0
    alive = 0
    for mutant in wanted:
        began = time.monotonic()
        why = survives(mutant)
        alive += why is not None
        print(
            f"{'ALIVE' if why else 'dead ':5} {time.monotonic() - began:5.0f} s  {mutant.name}{': ' + why if why else ''}",
            flush=True,
        )
    print(f"{len(wanted) - alive} of {len(wanted)} mutants are dead")
    return 1 if alive or not wanted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
