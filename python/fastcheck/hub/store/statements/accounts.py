"""Accounts and grants, and the one conversion between their rows and the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update

from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.grant_rows import COLUMNS, StoredGrant, grant_row, stored_grant
from fastcheck.hub.store.statements.history import History
from fastcheck.hub.store.statements.subject import chunks
from fastcheck.hub.store.tables import accounts, grants
from fastcheck.ledger.model import Account, Holding, Movement

AccountKey = tuple[int, str]
"""(customer number, pool)."""


class ChangedAccount(NamedTuple):
    """An account as it was read, and as it shall be."""

    number: int
    pool: str
    before: Account | None
    after: Account
    next_change_at: int | None = None
    """When time alone changes it; None: never, or nobody needs to look."""

    def moved(self) -> tuple[Movement, ...]:
        """What moved between the two."""
        return self.after.moved[0 if self.before is None else len(self.before.moved) :]


_POOLS = select(accounts.c.pool).where(accounts.c.number == bindparam("of")).order_by(accounts.c.pool)
_ACCOUNT = select(accounts.c.overage, accounts.c.written_off, accounts.c.as_of).where(
    accounts.c.number == bindparam("of"), accounts.c.pool == bindparam("name")
)
_GRANTS = (
    select(*COLUMNS)
    .where(grants.c.number == bindparam("of"), grants.c.pool == bindparam("name"))
    .order_by(grants.c.created_at, grants.c.id)
)
_ACCOUNTS = select(
    accounts.c.number, accounts.c.pool, accounts.c.overage, accounts.c.written_off, accounts.c.as_of
).where(
    accounts.c.number.in_(bindparam("numbers", expanding=True)),
    accounts.c.pool.in_(bindparam("pools", expanding=True)),
)
_GRANTS_OF_ALL = (
    select(*COLUMNS)
    .where(
        grants.c.number.in_(bindparam("numbers", expanding=True)),
        grants.c.pool.in_(bindparam("pools", expanding=True)),
    )
    .order_by(grants.c.created_at, grants.c.id)
)
_GRANT = select(*COLUMNS).where(grants.c.id == bindparam("key"))
_PUT_ACCOUNT = Upsert(accounts)
_NEXT_CHANGE = (
    update(accounts)
    .where(accounts.c.number == bindparam("of"), accounts.c.pool == bindparam("name"))
    .values(next_change_at=bindparam("next"))
)
_NEW_GRANTS = insert(grants)
"""Without a word on conflicts: an id that somebody else has just made must not be written over."""
_CHANGED_GRANTS = (
    update(grants)
    .where(grants.c.id == bindparam("of_id"))
    .values({one.name: bindparam(one.name) for one in [*COLUMNS, grants.c.changed_at] if one.name != "id"})
)


class Accounts(History):
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

    def accounts(self, keys: Iterable[AccountKey]) -> dict[AccountKey, Account]:
        """Those of many accounts that were ever written, in few statements."""
        wanted = set(keys)
        found: dict[AccountKey, tuple[int, int, int]] = {}
        held: dict[AccountKey, list[Holding]] = {}
        pools = sorted({pool for _, pool in wanted})
        for part in chunks(sorted({number for number, _ in wanted})):
            asked = {"numbers": part, "pools": pools}
            for number, pool, *sums in self._db.execute(_ACCOUNTS, asked):
                if (number, pool) in wanted:
                    found[number, pool] = (sums[0], sums[1], sums[2])
            for row in self._db.execute(_GRANTS_OF_ALL, asked):
                one = stored_grant(row)
                held.setdefault((one.customer, one.pool), []).append(one.holding)
        return {key: Account(tuple(held.get(key, ())), *sums) for key, sums in found.items()}

    def put_accounts(self, changed: Sequence[ChangedAccount], author: str, now: int) -> None:
        """Writes what changed of accounts, each named once, and what moved; keeps what they were. `author` is
        noted for new grants. Few statements, however many accounts."""
        new: list[dict[str, Any]] = []
        known: list[dict[str, Any]] = []
        for one in changed:
            before = {} if one.before is None else {held.id: held for held in one.before.holdings}
            for held in one.after.holdings:
                old = before.get(held.id)
                if old is None:
                    new.append({**grant_row(one.number, one.pool, held), "author": author})
                elif old != held:
                    row = grant_row(one.number, one.pool, held)
                    known.append({**row, "of_id": row.pop("id")})
        sums = [one for one in changed if _sums_differ(one)]
        self._keep_grants([row["of_id"] for row in known], now)
        self._keep_accounts([(one.number, one.pool) for one in sums if one.before is not None], now)
        self._many(_NEW_GRANTS, [{**row, "changed_at": now} for row in new])
        self._many(_CHANGED_GRANTS, [{**row, "changed_at": now} for row in known])
        self._many(_PUT_ACCOUNT.on(self._db), [{**_account_row(one), "changed_at": now} for one in sums])
        # A change of grants alone is none of the account's row, but may move the instant of the next one.
        self._many(
            _NEXT_CHANGE,
            [
                {"of": one.number, "name": one.pool, "next": one.next_change_at}
                for one in changed
                if not _sums_differ(one)
                and one.before is not None
                and one.before.holdings != one.after.holdings
            ],
        )
        self._put_postings(((one.number, one.pool, one.moved()) for one in changed), now)

    def grant(self, id: str) -> StoredGrant | None:
        """One grant, as it was last written."""
        row = self._db.execute(_GRANT, {"key": id}).first()
        return None if row is None else stored_grant(row)


def _sums_differ(one: ChangedAccount) -> bool:
    before, after = one.before, one.after
    return before is None or (before.overage, before.written_off, before.as_of) != (
        after.overage,
        after.written_off,
        after.as_of,
    )


def _account_row(one: ChangedAccount) -> dict[str, Any]:
    return {
        "number": one.number,
        "pool": one.pool,
        "overage": one.after.overage,
        "written_off": one.after.written_off,
        "as_of": one.after.as_of,
        "next_change_at": one.next_change_at,
    }
