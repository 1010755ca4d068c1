"""Hubs and hosts under loss, repetition, reordering, noise, partitions, kills, power failures, drift and
restored backups: every state that a host ever shows is one that the ledger was in, and in peace all become
current. `make prove` runs the campaign; `test_simulate_stream.py` runs a hundred seeds.

    python -m proofs.simulate_stream [--seeds N] [--from SEED]"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from models.stream_world.run import run

SEEDS = 10_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many (default {SEEDS})")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed (default 0)")
    asked = parser.parse_args()
    begun = time.monotonic()
    total: Counter[str] = Counter()
    wrong = 0
    for seed in range(asked.first, asked.first + asked.seeds):
        try:
            total.update(run(seed))
        except AssertionError as error:
            wrong += 1
            print(error, flush=True)
            if wrong == 10:
                break
        if sys.stderr.isatty() and seed % 50 == 0:
            print(f"\r{seed - asked.first} seeds, {wrong} wrong", end="", file=sys.stderr)
    for what, count in sorted(total.items()):
        print(f"{count:12,}  {what}")
    print(f"{asked.seeds} seeds, {wrong} wrong, {time.monotonic() - begun:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
