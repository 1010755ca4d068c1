"""Arenas to measure on: the quickstart's catalog and any number of customers, made with the native module."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]

from fastcheck import _fastcheck as native

QUICKSTART = Path(__file__).parent.parent / "examples" / "quickstart" / "catalog.yaml"
QUANTITIES = b"""\
fastcheck: 1
pools:
  ai_credits: {scale: 6, policy: hard}
features:
  gpt-4o: {kind: credit, pool: ai_credits, rates: {input: 0.000003, cached: 0.000001, output: 0.000015}}
plans:
  pro: {features: {gpt-4o: true}}
"""
PLENTY = 2**46
"""Units lent where a benchmark must not run out; a lease holds up to 2^47."""

SPENDER = "acme"
"""The customer that has credits. Plan pro, as every second one of the others."""


class Leases:
    """The spender's leases of ai_credits: one after the other, each with plenty."""

    def __init__(self, owner: native.Owner) -> None:
        self.owner = owner
        self.last = 0
        self.next()

    def next(self, units: int = PLENTY) -> tuple[int, str, int, int, int, int, bool] | None:
        """Closes the lease and opens another; returns the closed one's totals."""
        totals = self.owner.close_cell(1, "ai_credits", self.last) if self.last else None
        self.last += 1
        self.owner.open_cell(1, "ai_credits", self.last, units, None, True)
        return totals


class Arena(NamedTuple):
    directory: str
    owner: native.Owner
    checker: Any
    """A `Checker`; as `Any`, because statements of benchmarks are text."""
    leases: Leases
    names: list[str]
    """All customers but the spender; those at even places are on the plan free, the others on pro."""


def name_of(index: int) -> str:
    return f"cust_{index:06d}"


def record(number: int, name: str, plan: str) -> bytes:
    """A customer as the hub sends it. docs/wire.md"""
    packed: bytes = msgpack.packb([number, name, 0, plan, 1, 0, [], [], [], None])
    return packed


def snapshot(customers: int) -> list[bytes]:
    """The records of so many customers, in chunks as a stream brings them."""
    chunks, chunk = [], 10_000
    for start in range(0, customers, chunk):
        several = range(start, min(start + chunk, customers))
        chunks.append(b"".join(record(i + 2, name_of(i), "pro" if i % 2 else "free") for i in several))
    return chunks


def refuse(customer: str, pool: str) -> bool:
    """For checkers that must never have to ask the owner."""
    raise AssertionError(f"the benchmark asked for a lease of {pool} for {customer}")


def now_ms() -> int:
    return int(time.time() * 1000)


def open_owner(directory: str, catalog: bytes | None = None) -> native.Owner:
    text = QUICKSTART.read_bytes() if catalog is None else catalog
    return native.Owner(directory, native.Catalog.parse(text, "catalog.yaml"), now_ms())


@contextmanager
def arena(customers: int, catalog: bytes | None = None) -> Iterator[Arena]:
    """An arena in a directory of its own, with a spender who has plenty of everything."""
    with TemporaryDirectory(prefix="fastcheck-bench-") as directory:
        owner = open_owner(directory, catalog)
        spender = record(1, SPENDER, "pro")
        owner.load([spender, *snapshot(customers)] if catalog is None else [spender], 1, now_ms())
        leases = Leases(owner)
        checker = native.Checker(directory, refuse)
        names = [name_of(i) for i in range(customers)] if catalog is None else []
        try:
            yield Arena(directory, owner, checker, leases, names)
        finally:
            checker._close()
            owner.close()
