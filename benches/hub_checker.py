"""A worker that attaches to a host's directory and looks: at when an answer changes, or at how long checks
take.

    python -m benches.hub_checker DIRECTORY CUSTOMER flips|times

`flips`: looks every 50 µs at `check(CUSTOMER, "export")`; on end of input prints [[instant ns, answer]…].
`times`: for each line of input (seconds) checks for so long, and prints percentiles of a single check's
ns."""

from __future__ import annotations

import json
import sys
import threading
import time

import numpy as np

from fastcheck import Entitlements

LOOK_S = 50e-6
PERCENTILES = (50, 99, 99.9)


def flips(ents: Entitlements, customer: str) -> None:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    found: list[tuple[int, bool]] = []
    last = ents.check(customer, "export")
    while not ended.is_set():
        now = ents.check(customer, "export")
        if now is not last:
            found.append((time.monotonic_ns(), now))
            last = now
        time.sleep(LOOK_S)
    print(json.dumps(found), flush=True)


def times(ents: Entitlements, customer: str) -> None:
    check, clock = ents.check, time.perf_counter_ns
    for line in sys.stdin:
        end = clock() + int(float(line) * 1e9)
        taken: list[int] = []
        now = clock()
        while now < end:
            check(customer, "export")
            after = clock()
            taken.append(after - now)
            now = after
        found = np.percentile(np.array(taken), PERCENTILES)
        print(json.dumps({"ns": [float(one) for one in found], "checks": len(taken)}), flush=True)


def main() -> None:
    directory, customer, what = sys.argv[1:]
    with Entitlements.attach(directory) as ents:
        print(json.dumps({"ready": ents.check(customer, "export")}), flush=True)
        {"flips": flips, "times": times}[what](ents, customer)


if __name__ == "__main__":
    main()
