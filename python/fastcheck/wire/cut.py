"""The moment as of which an export reads the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from fastcheck.wire.answers import travels

POSTINGS_PER_SUM = 100_000
"""Postings that one request adds up."""


@travels
@dataclass(frozen=True)
class Cut:
    """The moment as of which the ledger is read. What is booked later is not seen."""

    since: int
    until: int
    """Exclusive."""
    at: int
    """When everything due had been booked."""
    place: int
    """Of the last posting."""
    record: int
    """Of the last usage record."""
    pools: tuple[tuple[str, int], ...]
    """(name, scale)."""
    features: tuple[tuple[str, str], ...]
    """(feature, the pool it spends)."""
