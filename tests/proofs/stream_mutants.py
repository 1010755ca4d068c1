#!/usr/bin/env python3
"""The same for the stream: breaks hub and host in named ways, and asserts that the named tests notice.

python -m proofs.stream_mutants             all of them (some minutes)
python -m proofs.stream_mutants NAME…       those whose name contains one of the words
python -m proofs.stream_mutants --list
"""

from __future__ import annotations

import sys

from proofs.ledger_mutants import Mutant, main

SIMULATION = "tests/proofs/test_simulate_stream.py"
FRAMES, CHANGES = "tests/unit/test_frames.py", "tests/hub/test_changes.py"
PROTOCOL, REPLICA, DEMAND = (
    "host/following/protocol.py",
    "host/following/replica.py",
    "host/following/demand.py",
)
SESSION, RING = "hub/stream/session.py", "hub/stream/ring.py"

MUTANTS = [
    # The host's side of the conversation.
    Mutant("a gap is gone over", PROTOCOL, "if at.seq != before.seq + 1:", "if False:", SIMULATION),
    Mutant("changes of another epoch are taken", PROTOCOL, "if at.epoch != before.epoch:", "if False:", "tests/unit/test_stream_protocol.py"),
    Mutant("what is visible is not compared with the digest", PROTOCOL, "if self._whole and have.digest != expected.digest:", "if False:", SIMULATION),
    Mutant("a heartbeat compares nothing", PROTOCOL, "if self._announced and self._announced[0].seq == visible.seq and self._at.epoch == visible.epoch:", "if False:", "tests/unit/test_stream_protocol.py"),
    Mutant("pieces may come in any order", PROTOCOL, "if piece.offset != self._received or not piece.data:", "if not piece.data:", "tests/unit/test_stream_protocol.py"),
    Mutant("a snapshot counts before it is whole", PROTOCOL, "if self._received != full.snapshot_bytes:", "if False:", "tests/unit/test_stream_protocol.py"),
    Mutant("records of an unfinished change are kept", PROTOCOL, "self._records, self._records_bytes = [], 0\n        if catalog", "if catalog", "tests/unit/test_stream_protocol.py"),
    # What it makes of arena and checkpoint.
    Mutant("the arena goes back to the checkpoint's changes", REPLICA, "return owner.epoch == at.epoch and owner.seq > at.seq", "return False", SIMULATION),
    Mutant("an arena of another epoch is gone on from", REPLICA, "if not owner.adopted or owner.epoch != stored.epoch:", "if not owner.adopted:", "tests/host/test_replica.py"),
    # On demand.
    Mutant("an answer from ahead is taken at once", DEMAND, "if answer.seq > self._position:", "if False:", "tests/unit/test_demand.py"),
    Mutant("a change that passed by does not count against an answer", DEMAND, "else self._passed_numbers.get(named.number, 0) <= answer.seq", "else True", SIMULATION),
    Mutant("a key that was created stays missing", DEMAND, "self._missing.pop(key, None)", "pass", "tests/unit/test_demand.py"),
    # The hub's side.
    Mutant("a host of another epoch gets changes", SESSION, "if have.epoch != ring.epoch:", "if False:", "tests/unit/test_session.py"),
    Mutant("a host ahead of the ledger is left so", SESSION, "if have.seq > ring.seq:", "if False:", "tests/unit/test_session.py"),
    Mutant("the log is sent with a gap", SESSION, "if first_kept > self.seq + 1 or not changes or [one.seq for one in changes] != list(numbers):", "if not changes:", "tests/unit/test_session.py"),
    Mutant("a heartbeat names the ledger's place and not the stream's", SESSION, "beat = Heartbeat(now_ms, self._epoch, self.seq, self._digest)", "beat = Heartbeat(now_ms, self._epoch, self._ring.seq, self._ring.digest)", "tests/unit/test_session.py"),
    Mutant("a joined run that could be longer is kept", RING, "self._runs = {begin: run for begin, run in self._runs.items() if run.seq != self.seq}", "pass", "tests/unit/test_ring.py"),
    Mutant("the ring takes changes out of order", RING, "if change.seq != self.seq + 1:", "if False:", "tests/unit/test_ring.py"),
    # The change log.
    Mutant("the digest forgets what was there before", "hub/store/digests.py", "(before - summed(b\"\".join(old)) + summed(new)) % MODULUS", "(before + summed(new)) % MODULUS", CHANGES),
    Mutant("a catalog is not logged", "hub/use_cases/catalog.py", "log_catalog(statements, now, seq, request.filename, request.source)", "pass", CHANGES),
    Mutant("a digest that is behind is believed", "hub/store/log_changes.py", "if state.digest_seq == seq - 1:", "if True:", CHANGES),
    # Bounds.
    Mutant("keys are taken without a bound", "wire/frames.py", "if len(value) > KEYS_PER_WANT_MAX:", "if False:", FRAMES),
]  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], MUTANTS))
