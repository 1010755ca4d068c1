"""Accounts and grants, and the one conversion between their rows and the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select

from ....ledger.model import Account, Grant, GrantKind, Rollover
from ....ledger.periods import Anchor, Recurrence, Span, Unit
from ....wire import pack, unpack
from ..tables import accounts, grants
from .conflict import Upsert
from .subject import Subject

_columns = [column for column in grants.columns if column.name != "author"]
_POOLS = select(accounts.c.pool).where(accounts.c.number == bindparam("of")).order_by(accounts.c.pool)
_ACCOUNT = select(accounts.c.overage, accounts.c.written_off, accounts.c.as_of).where(
    accounts.c.number == bindparam("of"), accounts.c.pool == bindparam("name")
)
_GRANTS = (
    select(*_columns)
    .where(grants.c.number == bindparam("of"), grants.c.pool == bindparam("name"))
    .order_by(grants.c.created_at, grants.c.id)
)
_GRANT = select(*_columns).where(grants.c.id == bindparam("key"))
_PUT_ACCOUNT = Upsert(accounts)
_PUT_GRANTS = Upsert(grants, keep=("author",))


class Accounts(Subject):
    """What customers have in pools."""

    def pools_of(self, number: int) -> list[str]:
        """The pools in which a customer has an account."""
        return list(self._db.execute(_POOLS, {"of": number}).scalars())

    def account(self, number: int, pool: str) -> Account | None:
        """What a customer has in a pool, as it was last written."""
        key = {"of": number, "name": pool}
        row = self._db.execute(_ACCOUNT, key).first()
        if row is None:
            return None
        return Account(tuple(_grant(one) for one in self._db.execute(_GRANTS, key)), *row)

    def put_account(
        self, number: int, pool: str, before: Account | None, after: Account, author: str
    ) -> None:
        """Writes what changed of an account; `author` is noted for new grants."""
        known = {} if before is None else {grant.id: grant for grant in before.grants}
        self._many(
            _PUT_GRANTS.on(self._db),
            [
                {**_grant_row(grant), "author": author}
                for grant in after.grants
                if known.get(grant.id) != grant
            ],
        )
        if before is None or (before.overage, before.written_off, before.as_of) != (
            after.overage, after.written_off, after.as_of,
        ):  # fmt: skip
            self._db.execute(
                _PUT_ACCOUNT.on(self._db),
                {
                    "number": number, "pool": pool, "overage": after.overage,
                    "written_off": after.written_off, "as_of": after.as_of,
                },
            )  # fmt: skip

    def grant(self, id: str) -> Grant | None:
        """One grant, as it was last written."""
        row = self._db.execute(_GRANT, {"key": id}).first()
        return None if row is None else _grant(row)


def _grant(row: Sequence[Any]) -> Grant:
    terms = None if row[12] is None else unpack(row[12])
    recurrence, rollover, lasts = None, Rollover(), None
    if terms is not None:
        every, rolled, lasting = terms
        recurrence = Recurrence(Span(every[0], Unit(every[1])), Anchor(every[2]), every[3])
        rollover = Rollover(*rolled)
        lasts = None if lasting is None else Span(lasting[0], Unit(lasting[1]))
    parts = [*row[:8], GrantKind(row[8]), *row[9:12], recurrence, rollover, lasts, *row[13:20]]
    return Grant(*parts)


def _grant_row(grant: Grant) -> dict[str, Any]:
    terms = None
    if grant.recurrence is not None:
        every, lasts = grant.recurrence, grant.lasts
        terms = pack((
            (every.every.count, every.every.unit.value, every.anchor.value, every.anchor_at),
            (grant.rollover.min, grant.rollover.max),
            None if lasts is None else (lasts.count, lasts.unit.value),
        ))  # fmt: skip
    return {
        "id": grant.id, "number": grant.customer, "pool": grant.pool, "amount": grant.amount,
        "remaining": grant.remaining, "priority": grant.priority, "effective_at": grant.effective_at,
        "expires_at": grant.expires_at, "kind": grant.kind.value, "created_at": grant.created_at,
        "reason": grant.reason, "source": grant.source, "terms": terms, "refilled_at": grant.refilled_at,
        "granted": grant.granted, "burned": grant.burned, "expired": grant.expired, "voided": grant.voided,
        "parked": grant.parked, "voided_at": grant.voided_at,
    }  # fmt: skip
