"""Instructions of the hot calls inside the native module, counted by valgrind: one figure on any machine.

All calls are made a few times in a process under callgrind; then one of them N times more. What that adds, by
N, is what one call takes. Only instructions of the native module's own object file count: CPython's are not
ours.

`python -m benches.instructions` fails where a call takes more than `benches/instructions.json` says, with a
small tolerance for other compilers; `--update` rewrites the file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

EXPECTED = Path(__file__).parent / "instructions.json"
TOLERANCE = 0.05
BY_TEXT = {"decide": 0.15}
"""Calls that look names up by their text take a probe more or less: each arena has a hash seed of its own."""
CALLS = 50_000
"""So many that the hash seed of the arena, another one in every run, does not show."""
MODULE = "_fastcheck."

STATEMENTS = {
    "floor": "checker._floor('acme', 'export')",
    "check, true": "checker.check('acme', 'export')",
    "check, false": "checker.check('cust_000000', 'export')",
    "check, another string each time": "checker.check(next(names), 'export')",
    "check of a balance": "checker.check('acme', 'gpt-4o')",
    "consume": "checker.consume('acme', 'gpt-4o')",
    "consume 12": "checker.consume('acme', 'gpt-4o', 12)",
    "handle.check": "export.check()",
    "handle.consume": "credits.consume()",
    "decide": "checker.decide('acme', 'gpt-4o', 12)",
    "reserve + commit": "checker.reserve('acme', 'gpt-4o', 12).commit(7)",
}

SCRIPT = """\
from itertools import cycle
from benches.arena import arena
with arena(300) as made:
    checker = made.checker
    export, credits = checker.handle('acme', 'export'), checker.handle('acme', 'gpt-4o')
    names = cycle(made.names)
    for _ in range(10):
        {everything}
    for _ in range({calls}):
        {statement}
"""


def count(statement: str, calls: int, directory: Path) -> int:
    """Instructions inside the native module of a process that executes the statement so often."""
    directory.mkdir()
    out, script = directory / "callgrind.out", directory / "script.py"
    everything = "; ".join(STATEMENTS.values())
    script.write_text(SCRIPT.format(everything=everything, statement=statement, calls=calls))
    command = [
        "valgrind",
        "--tool=callgrind",
        f"--callgrind-out-file={out}",
        "--",
        sys.executable,
        str(script),
    ]
    here = Path(__file__).parent.parent
    environment = {
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(here),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"valgrind failed on {statement!r}:\n{done.stderr[-2000:]}")
    return inside(out.read_text().splitlines())


def inside(lines: Iterable[str]) -> int:
    """The self cost of all functions of the native module in a callgrind file.

    `ob=` names the object of the functions that follow, often as a number that was given a name once. A line
    of numbers is a cost; the one right after `calls=` is the cost of what was called, counted elsewhere.
    """
    names: dict[str, str] = {}
    total, ours, called = 0, False, False
    for line in lines:
        if line.startswith(("ob=", "cob=")):
            number, _, name = line.partition("=")[2].partition(" ")
            if name:
                names[number] = name
            if line.startswith("ob="):
                ours = MODULE in Path(names.get(number, number)).name
        elif line.startswith("calls="):
            called = True
        elif line[:1].isdigit() or line[:1] in "+-*":
            if not called and ours:
                total += sum(map(int, line.split()[1:2]))  # Zero is left out.
            called = False
    return total


def measure() -> dict[str, int]:
    """Instructions per call of every statement."""
    with (
        TemporaryDirectory(prefix="fastcheck-bench-") as directory,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        first = pool.submit(count, "pass", CALLS, Path(directory) / "none")
        runs = {
            what: pool.submit(count, statement, CALLS, Path(directory) / str(i))
            for i, (what, statement) in enumerate(STATEMENTS.items())
        }
        none = first.result()
        return {what: round((run.result() - none) / CALLS) for what, run in runs.items()}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help=f"write what was counted to {EXPECTED.name}")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print(
            "skipped: instructions are counted by valgrind, which is not installed (apt-get install valgrind)"
        )
        return 0
    found = measure()
    if options.update:
        EXPECTED.write_text(json.dumps(found, indent=2) + "\n")
    expected: dict[str, int] = json.loads(EXPECTED.read_text())
    worse = []
    print(f"{'instructions per call, in the native module':48}{'counted':>8}{'expected':>10}")
    for what, counted in found.items():
        bound = expected.get(what)
        bad = bound is None or counted > bound * (1 + BY_TEXT.get(what, TOLERANCE))
        print(f"{what:48}{counted:>8}{bound if bound is not None else '-':>10}{'  MORE' if bad else ''}")
        if bad:
            worse.append(what)
    if worse:
        print(f"\n{', '.join(worse)}: more instructions than {EXPECTED.name} allows (+{TOLERANCE:.0%}).")
        print("If that is meant, say why in the commit and run: python -m benches.instructions --update")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
