"""Seeds of the simulation of hubs and hosts, and that its faults happen."""

from __future__ import annotations

from collections import Counter

from models.stream_world.run import run

SEEDS = 100
MUST_HAPPEN = (
    "backup or restore", "connection cut", "cut", "drift", "host killed", "hub killed", "hub told full",
    "hub told nack", "killed inside a call", "lost", "noise", "power failure", "refusals",
    "swapped", "twice", "updates applied",
)  # fmt: skip


def test_every_state_a_host_shows_is_one_the_ledger_was_in_and_all_become_current() -> None:
    total: Counter[str] = Counter()
    for seed in range(SEEDS):
        total.update(run(seed))
    assert [what for what in MUST_HAPPEN if total[what] == 0] == []
