"""The one conversion between the rows of grants and the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastcheck.hub.store.tables import grants
from fastcheck.ledger.model import NOTHING_KEPT, Cost, Grant, GrantKind, Holding, Rollover, RolloverAt
from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit
from fastcheck.wire.packing import pack, unpack

COLUMNS = [
    grants.c[name]
    for name in (
        "number",
        "pool",
        "id",
        "amount",
        "priority",
        "effective_at",
        "expires_at",
        "kind",
        "created_at",
        "voided_at",
        "reason",
        "source",
        "cost",
        "currency",
        "terms",
        "remaining",
        "granted",
        "burned",
        "expired",
        "voided",
        "parked",
        "refilled_at",
        "rolled",
        "allowed",
        "used",
    )
]
"""What is read of a grant, in the order that `stored_grant` expects."""


@dataclass(frozen=True)
class StoredGrant:
    """A grant's row."""

    customer: int
    """The customer's number."""
    pool: str
    holding: Holding


def stored_grant(row: Sequence[Any]) -> StoredGrant:
    """A row of `COLUMNS` as the model has it."""
    recurrence, rollover, lasts = _terms(row[14])
    grant = Grant(
        row[2],
        row[3],
        priority=row[4],
        effective_at=row[5],
        expires_at=row[6],
        kind=GrantKind(row[7]),
        created_at=row[8],
        voided_at=row[9],
        reason=row[10],
        source=row[11],
        recurrence=recurrence,
        rollover=rollover,
        lasts=lasts,
        cost=None if row[12] is None else Cost(row[12], row[13]),
    )
    return StoredGrant(row[0], row[1], Holding(grant, *row[15:25]))


def grant_row(number: int, pool: str, one: Holding) -> dict[str, Any]:
    """A holding as it is written, the author aside."""
    grant = one.grant
    return {
        "number": number,
        "pool": pool,
        "id": grant.id,
        "amount": grant.amount,
        "priority": grant.priority,
        "effective_at": grant.effective_at,
        "expires_at": grant.expires_at,
        "kind": grant.kind.value,
        "created_at": grant.created_at,
        "voided_at": grant.voided_at,
        "reason": grant.reason,
        "source": grant.source,
        "cost": None if grant.cost is None else grant.cost.amount,
        "currency": None if grant.cost is None else grant.cost.currency,
        "terms": _packed_terms(grant),
        "remaining": one.remaining,
        "granted": one.granted,
        "burned": one.burned,
        "expired": one.expired,
        "voided": one.voided,
        "parked": one.parked,
        "refilled_at": one.refilled_at,
        "rolled": one.rolled,
        "allowed": one.allowed,
        "used": one.used,
    }


def _terms(packed: bytes | None) -> tuple[Recurrence | None, Rollover, Span | None]:
    if packed is None:
        return None, NOTHING_KEPT, None
    every, (least, most, percent, once, acts), lasts = unpack(packed)
    return (
        None if every is None else Recurrence(Span(every[0], Unit(every[1])), Anchor(every[2]), *every[3:]),
        Rollover(least, most, percent, once, RolloverAt(acts)),
        None if lasts is None else Span(lasts[0], Unit(lasts[1])),
    )


def _packed_terms(grant: Grant) -> bytes | None:
    every, kept, lasts = grant.recurrence, grant.rollover, grant.lasts
    if every is None and kept == NOTHING_KEPT and lasts is None:
        return None
    return pack(
        (
            None
            if every is None
            else (every.every.count, every.every.unit.value, every.anchor.value, every.anchor_at, every.zone),
            (kept.min, kept.max, kept.percent, kept.once, kept.at.value),
            None if lasts is None else (lasts.count, lasts.unit.value),
        )
    )
