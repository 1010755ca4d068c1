"""Accounts whose next change has come though nobody looked at them."""

from __future__ import annotations

from sqlalchemy import bindparam, exists, select, true

from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import accounts, leases

_lent = exists().where(
    leases.c.number == accounts.c.number, leases.c.pool == accounts.c.pool, leases.c.open == true()
)
_DUE = (
    select(accounts.c.number, accounts.c.pool)
    .where(accounts.c.next_change_at <= bindparam("until"), ~_lent)
    .order_by(accounts.c.next_change_at, accounts.c.number, accounts.c.pool)
    .limit(bindparam("count"))
)
_STILL_DUE = select(accounts.c.number).where(
    accounts.c.number == bindparam("of"),
    accounts.c.pool == bindparam("name"),
    accounts.c.next_change_at <= bindparam("until"),
    ~_lent,
)


class Due(Subject):
    """Accounts to be brought to now."""

    def accounts_due(self, until: int, limit: int) -> list[tuple[int, str]]:
        """(customer number, pool) of accounts that time alone changed by an instant (inclusive), the longest
        waiting first. Those with an open lease are left out: they change when it ends."""
        found = self._db.execute(_DUE, {"until": until, "count": limit})
        return [(number, pool) for number, pool in found]

    def is_due(self, number: int, pool: str, until: int) -> bool:
        """Whether one account is still so."""
        key = {"of": number, "name": pool, "until": until}
        return self._db.execute(_STILL_DUE, key).first() is not None
