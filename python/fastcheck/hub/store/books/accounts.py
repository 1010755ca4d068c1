"""Accounts and grants, and the one conversion between their rows and the model."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from ....ledger.model import Account
from ..tables import accounts, grants
from .conflict import Upsert
from .grant_rows import COLUMNS, StoredGrant, grant_row, stored_grant
from .subject import Subject

_POOLS = select(accounts.c.pool).where(accounts.c.number == bindparam("of")).order_by(accounts.c.pool)
_ACCOUNT = select(accounts.c.overage, accounts.c.written_off, accounts.c.as_of).where(
    accounts.c.number == bindparam("of"), accounts.c.pool == bindparam("name")
)
_GRANTS = (
    select(*COLUMNS)
    .where(grants.c.number == bindparam("of"), grants.c.pool == bindparam("name"))
    .order_by(grants.c.created_at, grants.c.id)
)
_GRANT = select(*COLUMNS).where(grants.c.id == bindparam("key"))
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
        rows = self._db.execute(_GRANTS, key)
        return Account(tuple(stored_grant(one).holding for one in rows), *row)

    def put_account(
        self, number: int, pool: str, before: Account | None, after: Account, author: str
    ) -> None:
        """Writes what changed of an account; `author` is noted for new grants."""
        known = {} if before is None else {one.id: one for one in before.holdings}
        self._many(
            _PUT_GRANTS.on(self._db),
            [
                {**grant_row(number, pool, one), "author": author}
                for one in after.holdings
                if known.get(one.id) != one
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

    def grant(self, id: str) -> StoredGrant | None:
        """One grant, as it was last written."""
        row = self._db.execute(_GRANT, {"key": id}).first()
        return None if row is None else stored_grant(row)
