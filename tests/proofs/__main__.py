"""`make prove`: every campaign, one after the other, or those that are named.

    python -m proofs [NAME…]

A sample of most of them runs with the tests. A campaign whose tool is not installed is left out; the end of
the output says so."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
SEEDS = "10000"
GAPS = ("apart", "full", "once-steady", "same-lasts", "lines-stay", "no-delete")
"""What histories of grants go round: what the law does not say yet (`proofs.test_law`)."""
FUZZ_S = os.environ.get("FUZZ_SECONDS", "600")
FUZZ_TARGETS = ("catalog", "snapshot", "checkpoint", "arena")


@dataclass(frozen=True)
class Campaign:
    name: str
    what: str
    commands: tuple[tuple[str, ...], ...]
    needs: str = ""
    """The tool that must be installed."""
    there: Callable[[], object] = lambda: True


CAMPAIGNS = (
    Campaign(
        "examples",
        "the tests with random examples, twenty times as many, and with longer runs",
        ((PYTHON, "-m", "pytest", "-n", "2", "--dist", "worksteal"),),
    ),
    Campaign("mutants", "the core, broken in named ways", ((PYTHON, "-m", "proofs.mutants"),)),
    Campaign("ledger_mutants", "the ledger, broken", ((PYTHON, "-m", "proofs.ledger_mutants"),)),
    Campaign("grants_mutants", "where grants come from, broken", ((PYTHON, "-m", "proofs.grants_mutants"),)),
    Campaign("stream_mutants", "hub and host, broken", ((PYTHON, "-m", "proofs.stream_mutants"),)),
    Campaign("kill_sweep", "SIGKILL at every instruction", ((PYTHON, "-m", "proofs.kill_sweep"),)),
    Campaign(
        "simulate_ledger",
        f"{SEEDS} seeds of the ledger under lost, late and repeated messages",
        ((PYTHON, "-m", "models.simulate_ledger", "--seeds", SEEDS),),
    ),
    Campaign(
        "grant_histories",
        f"{SEEDS} random histories of grants, on the product and on the model of the law",
        ((PYTHON, "-m", "models.grant_histories", "--histories", SEEDS, "--tame", *GAPS),),
    ),
    Campaign(
        "simulate_stream",
        f"{SEEDS} seeds of hubs and hosts under loss, noise, kills, partitions and backups",
        ((PYTHON, "-m", "proofs.simulate_stream", "--seeds", SEEDS),),
    ),
    Campaign(
        "fuzz_frames",
        f"what reads the other side's bytes, fuzzed for {FUZZ_S} s",
        ((PYTHON, "fuzz/frames.py", f"-max_total_time={FUZZ_S}"),),
        "atheris (pip install atheris)",
        lambda: importlib.util.find_spec("atheris"),
    ),
    Campaign(
        "fuzz",
        f"catalog, snapshot, checkpoint and arena, fuzzed for {FUZZ_S} s each",
        tuple(
            ("cargo", "+nightly", "fuzz", "run", "--fuzz-dir", "fuzz", one, "--", f"-max_total_time={FUZZ_S}")
            for one in FUZZ_TARGETS
        ),
        "cargo-fuzz and a nightly toolchain",
        lambda: shutil.which("cargo-fuzz"),
    ),
)


def holds(campaign: Campaign) -> bool:
    """Runs it; whether it found nothing."""
    environment = {**os.environ, "FASTCHECK_PROVE": "1"}
    return all(subprocess.run(one, cwd=ROOT, env=environment).returncode == 0 for one in campaign.commands)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m proofs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(one.name for one in CAMPAIGNS))
    names = parser.parse_args().names
    unknown = set(names) - {one.name for one in CAMPAIGNS}
    if unknown:
        parser.error(f"there is no campaign {', '.join(sorted(unknown))}: see --help")
    told = []
    failed = False
    for campaign in CAMPAIGNS:
        if names and campaign.name not in names:
            continue
        if not campaign.there():
            told.append(f"{campaign.name:16} left out: it needs {campaign.needs}")
            failed |= campaign.name in names
            continue
        print(f"== {campaign.name}: {campaign.what}", flush=True)
        began = time.monotonic()
        held = holds(campaign)
        failed |= not held
        told.append(f"{campaign.name:16} {'holds' if held else 'FAILED'} ({time.monotonic() - began:.0f} s)")
    print("\n".join(told))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
