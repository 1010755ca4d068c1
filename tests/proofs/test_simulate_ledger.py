"""FAULTS 20, 21: the simulation of `simulate_ledger`, in as many seeds as a test has time for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from fastcheck.hub.service.lending import Lending
from fastcheck.hub.store.statements import Statements
from fastcheck.wire.by import ANYBODY
from fastcheck.wire.operations.grants import MakeGrant
from models.simulate_ledger import LEDGER_SEEDS, Ledger, difference
from rig.serving import Service

SEEDS = 200


def test_faults_between_host_and_ledger_change_no_balance() -> None:
    faults: Counter[str] = Counter()
    for first in range(0, SEEDS, LEDGER_SEEDS):
        ledger = Ledger()
        problems = [difference(ledger, seed, faults) for seed in range(first, first + LEDGER_SEEDS)]
        ledger.store.close()
        assert [one for one in problems if one] == []
    kinds = ("crash", "lost answer", "repetition", "late repetition", "lost settlement", "late settlement")
    assert all(faults[kind] > 20 for kind in kinds), faults


@pytest.mark.parametrize("seed", [323, 1369, 3242, 3267, 3648, 7047])
def test_seeds_that_found_something(seed: int) -> None:
    """A grant repeated under its key let the lease be closed and lent anew: what came back later came back to
    other grants."""
    assert difference(Ledger(), seed, Counter()) == ""


SEEN: Counter[str] = Counter()
_give_back = Lending.give_back
_run = Service.run
_put_leases = Statements.put_leases


def forgetful(lending: Lending, key: str, *args: Any, **known: Any) -> Any:
    """Takes each return for a new one."""
    SEEN[key] += 1
    return _give_back(lending, f"{key}-{SEEN[key]}", *args, **known)


def keyless(service: Service, request: Any, *args: Any, **known: Any) -> Any:
    """Takes each grant for a new one."""
    if isinstance(request, MakeGrant):
        SEEN[str(request.id)] += 1
        again = SEEN[str(request.id)] > 1
        request = replace(request, id=f"{request.id}-{SEEN[str(request.id)]}") if again else request
        args = (ANYBODY, *args[1:])  # Nor does it look at the key.
    return _run(service, request, *args, **known)


def unfolded(statements: Statements, changed: Any) -> None:
    """Forgets what the grants show already."""
    _put_leases(statements, [replace(one, folded=0) for one in changed])


def play(seeds: int) -> None:
    """Raises at the first that goes wrong."""
    ledger = Ledger()
    try:
        for seed in range(seeds):
            assert difference(ledger, seed, Counter()) == ""
    finally:
        ledger.store.close()


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [(Lending, "give_back", forgetful), (Service, "run", keyless), (Statements, "put_leases", unfolded)],
)
def test_a_ledger_that_books_twice_is_found_out(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, broken: Any
) -> None:
    SEEN.clear()
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(AssertionError):
        play(100)
