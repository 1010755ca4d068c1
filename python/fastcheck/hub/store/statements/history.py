"""What accounts and grants were, and every movement between. Rows of the past are copied by the database from
those about to be written over, so nobody has to carry them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import BigInteger, bindparam, insert, select, tuple_

from fastcheck.hub.store.statements.grant_rows import COLUMNS, StoredGrant, stored_grant
from fastcheck.hub.store.statements.subject import Subject, chunks
from fastcheck.hub.store.tables import accounts, accounts_past, grants, grants_past, postings
from fastcheck.ledger.model import Account, Movement
from fastcheck.ledger.postings import LedgerAccount, Posting
from fastcheck.ledger.postings import postings as double_entry

_until = bindparam("until", type_=BigInteger)


_KEEP_GRANTS = insert(grants_past).from_select(
    [*(column.name for column in COLUMNS), "from_at", "until_at"],
    select(*COLUMNS, grants.c.changed_at, _until).where(
        grants.c.id.in_(bindparam("ids", expanding=True)), grants.c.changed_at < _until
    ),
)
_KEEP_ACCOUNTS = insert(accounts_past).from_select(
    ["number", "pool", "overage", "written_off", "as_of", "from_at", "until_at"],
    select(
        accounts.c.number, accounts.c.pool, accounts.c.overage, accounts.c.written_off, accounts.c.as_of,
        accounts.c.changed_at, _until,
    ).where(
        tuple_(accounts.c.number, accounts.c.pool).in_(bindparam("keys", expanding=True)),
        accounts.c.changed_at < _until,
    ),
)  # fmt: skip
_at = bindparam("at", type_=BigInteger)
_sums = ("overage", "written_off", "as_of")
_ACCOUNT_NOW = select(*(accounts.c[name] for name in _sums)).where(
    accounts.c.number == bindparam("of"), accounts.c.pool == bindparam("name"), accounts.c.changed_at <= _at
)
_ACCOUNT_PAST = (
    select(*(accounts_past.c[name] for name in _sums))
    .where(
        accounts_past.c.number == bindparam("of"),
        accounts_past.c.pool == bindparam("name"),
        accounts_past.c.until_at > _at,
        accounts_past.c.from_at <= _at,
    )
    .order_by(accounts_past.c.until_at)
    .limit(1)
)
_GRANTS_NOW = select(*COLUMNS).where(
    grants.c.number == bindparam("of"), grants.c.pool == bindparam("name"), grants.c.changed_at <= _at
)
_GRANTS_PAST = select(*(grants_past.c[column.name] for column in COLUMNS)).where(
    grants_past.c.number == bindparam("of"),
    grants_past.c.pool == bindparam("name"),
    grants_past.c.until_at > _at,
    grants_past.c.from_at <= _at,
)
_PUT_POSTINGS = insert(postings)
_POSTINGS = (
    select(postings.c.at, postings.c.grant, postings.c.source, postings.c.target, postings.c.units)
    .where(postings.c.number == bindparam("of"), postings.c.pool == bindparam("name"))
    .order_by(postings.c.place)
)


class History(Subject):
    """The past of accounts, and their postings."""

    def _keep_grants(self, ids: Sequence[str], now: int) -> None:
        """Keeps what these grants are before they are written over."""
        for part in chunks(ids):
            self._db.execute(_KEEP_GRANTS, {"ids": part, "until": now})

    def _keep_accounts(self, keys: Sequence[tuple[int, str]], now: int) -> None:
        """Keeps what these accounts are before they are written over."""
        for part in chunks(keys):
            self._db.execute(_KEEP_ACCOUNTS, {"keys": part, "until": now})

    def account_at(self, number: int, pool: str, at: int) -> Account | None:
        """An account as it was last written at an instant; None before it was."""
        key = {"of": number, "name": pool, "at": at}
        row = self._db.execute(_ACCOUNT_NOW, key).first() or self._db.execute(_ACCOUNT_PAST, key).first()
        if row is None:
            return None
        found: list[StoredGrant] = [
            stored_grant(one)
            for query in (_GRANTS_NOW, _GRANTS_PAST)
            for one in self._db.execute(query, key).all()  # One by one costs as much as the conversion.
        ]
        held = [one.holding for one in found]
        held.sort(key=lambda one: (one.grant.created_at, one.grant.id))
        return Account(tuple(held), row[0], row[1], row[2])

    def postings(self, number: int, pool: str) -> list[Posting]:
        """Every movement of an account, in the order in which they were booked."""
        return [
            Posting(row[0], row[1], LedgerAccount(row[2]), LedgerAccount(row[3]), row[4])
            for row in self._db.execute(_POSTINGS, {"of": number, "name": pool})
        ]

    def _put_postings(self, moved: Iterable[tuple[int, str, Sequence[Movement]]], now: int) -> None:
        """Writes what moved in accounts: (customer number, pool, movements)."""
        self._many(
            _PUT_POSTINGS,
            [
                {
                    "number": number,
                    "pool": pool,
                    "at": one.at,
                    "booked_at": now,
                    "grant": one.grant,
                    "source": one.source.value,
                    "target": one.target.value,
                    "units": one.units,
                }
                for number, pool, movements in moved
                for one in double_entry(movements)
            ],
        )
