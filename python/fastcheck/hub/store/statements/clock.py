"""What a wrong clock did: accounts beyond an instant, what they were before, and what was posted since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    tuple_,
    union_all,
    update,
)

from fastcheck.hub.store.statements.accounts import AccountKey
from fastcheck.hub.store.statements.conflict import Upsert
from fastcheck.hub.store.statements.finance import sums_of, whole
from fastcheck.hub.store.statements.grant_rows import COLUMNS, stored_grant
from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import (
    accounts,
    accounts_past,
    audit,
    catalogs,
    customers,
    customers_past,
    grants,
    grants_past,
    meta,
    moves,
    postings,
    reservations,
    top_ups,
)
from fastcheck.ledger.postings import LedgerAccount, Posting
from fastcheck.ledger.repair import Booked, Version

NAMED_MAX = 1_000
"""Customers and moves that a repair names."""


def _last(instant: ColumnElement[int], order: ColumnElement[int]) -> ScalarSelect[Any]:
    return select(instant).order_by(order.desc()).limit(1).scalar_subquery()


_NEWEST = select(
    func.coalesce(_last(postings.c.booked_at, postings.c.place), 0),
    func.coalesce(_last(audit.c.at, audit.c.number), 0),
    func.coalesce(_last(catalogs.c.at, catalogs.c.number), 0),
)
_BEYOND = (
    select(accounts.c.number, accounts.c.pool)
    .where(
        tuple_(accounts.c.number, accounts.c.pool) > tuple_(bindparam("of"), bindparam("name")),
        accounts.c.as_of > bindparam("at"),
    )
    .order_by(accounts.c.number, accounts.c.pool)
    .limit(bindparam("count"))
)


def _is(table: Table) -> ColumnElement[bool]:
    """Rows of one account."""
    return and_(table.c.number == bindparam("of"), table.c.pool == bindparam("name"))


_MARK = select(meta.c.value).where(meta.c.key == bindparam("key"))
_PUT_MARK = Upsert(meta)
_LAST_PLACE = select(func.coalesce(func.max(postings.c.place), 0)).where(_is(postings))
_CUT = select(func.min(postings.c.place)).where(
    _is(postings),
    postings.c.place > bindparam("mark"),
    or_(postings.c.booked_at > bindparam("at"), postings.c.at > bindparam("at")),
)
_FLOWS = (
    select(postings.c.grant, postings.c.source, postings.c.target, *sums_of(postings.c.units))
    .where(_is(postings), postings.c.place < bindparam("cut"))
    .group_by(postings.c.grant, postings.c.source, postings.c.target)
)
_SINCE = (
    select(
        postings.c.at,
        postings.c.grant,
        postings.c.source,
        postings.c.target,
        postings.c.units,
        postings.c.booked_at,
    )
    .where(_is(postings), postings.c.place >= bindparam("cut"))
    .order_by(postings.c.place)
)
_STOOD = select(func.max(accounts_past.c.as_of)).where(
    _is(accounts_past), accounts_past.c.as_of <= bindparam("at")
)
_RECORD_CHANGES = union_all(
    select(customers_past.c.from_at.label("at")).where(customers_past.c.number == bindparam("of")),
    select(customers.c.changed_at).where(customers.c.number == bindparam("of")),
).order_by("at")
_VERSIONS = union_all(
    select(*COLUMNS, grants.c.changed_at, null()).where(_is(grants)),
    select(
        *(grants_past.c[one.name] for one in COLUMNS), grants_past.c.from_at, grants_past.c.until_at
    ).where(_is(grants_past)),
)
_PUT_POSTINGS = insert(postings)

# The past, as if the clock had never been wrong: nothing is known of between.
_FORGET_ACCOUNTS = delete(accounts_past).where(
    _is(accounts_past),
    or_(accounts_past.c.as_of > bindparam("at"), accounts_past.c.from_at >= bindparam("now")),
)
_LAST_GOOD = select(func.max(accounts_past.c.until_at)).where(_is(accounts_past))
_LENGTHEN_ACCOUNT = (
    update(accounts_past)
    .where(_is(accounts_past), accounts_past.c.until_at == bindparam("until"))
    .values(until_at=bindparam("now"))
)
_of_grant = and_(_is(grants_past), grants_past.c.id == bindparam("grant"))
_FORGET_GRANT = delete(grants_past).where(
    _of_grant, grants_past.c.from_at >= bindparam("since"), grants_past.c.until_at != bindparam("until")
)
_LENGTHEN_GRANT = (
    update(grants_past)
    .where(_of_grant, grants_past.c.until_at == bindparam("until"))
    .values(until_at=bindparam("now"))
)
_CHANGED_NOW = [
    update(table).where(_is(table), table.c.changed_at > bindparam("now")).values(changed_at=bindparam("now"))
    for table in (accounts, grants)
]
_DELAYED = (
    update(reservations)
    .where(_is(reservations), reservations.c.state == "open", reservations.c.created_at > bindparam("at"))
    .values(
        expires_at=reservations.c.expires_at - reservations.c.created_at + bindparam("at"),
        created_at=bindparam("at"),
    )
)
_SPENT_BY = select(reservations.c.sub_key, *sums_of(reservations.c.spent)).where(
    _is(reservations), reservations.c.state == "committed", reservations.c.created_at >= bindparam("since")
).group_by(reservations.c.sub_key)  # fmt: skip
_USED_SINCE = select(postings.c.source, *sums_of(postings.c.units)).where(
    _is(postings),
    or_(postings.c.source == LedgerAccount.USED.value, postings.c.target == LedgerAccount.USED.value),
    postings.c.at >= bindparam("since"),
    postings.c.at <= bindparam("at"),
).group_by(postings.c.source)  # fmt: skip
_TOP_UPS = [
    update(top_ups).where(_is(top_ups), top_ups.c.month > bindparam("at")).values(month=bindparam("month")),
    update(top_ups).where(_is(top_ups), top_ups.c.due_at > bindparam("at")).values(due_at=bindparam("at")),
]
_MOVES_AHEAD = (
    select(moves.c.id)
    .where(moves.c.done_at.is_not(None), moves.c.at > bindparam("at"))
    .order_by(moves.c.at, moves.c.id)
    .limit(NAMED_MAX)
)
_CHANGED_AHEAD = (
    select(customers.c.id)
    .where(customers.c.changed_at > bindparam("at"))
    .order_by(customers.c.number)
    .limit(NAMED_MAX)
)
_RECORDS = [
    delete(customers_past).where(customers_past.c.from_at > bindparam("now")),
    update(customers_past)
    .where(customers_past.c.until_at > bindparam("now"))
    .values(until_at=bindparam("now")),
    update(customers).where(customers.c.changed_at > bindparam("now")).values(changed_at=bindparam("now")),
    update(catalogs).where(catalogs.c.at > bindparam("now")).values(at=bindparam("now")),
]


class ClockRows(Subject):
    """What a repair of the clock reads and writes."""

    def newest_instant(self) -> int:
        """The newest instant that the ledger lately saw, by what was written last; 0 where it saw nothing."""
        return max(int(one) for one in self._db.execute(_NEWEST).one())

    def accounts_beyond(self, number: int, pool: str, at: int, limit: int) -> list[AccountKey]:
        """The next accounts that stand at an instant after `at`."""
        asked = {"of": number, "name": pool, "at": at, "count": limit}
        return [(row[0], row[1]) for row in self._db.execute(_BEYOND, asked)]

    def posted_around(self, key: AccountKey, at: int) -> tuple[list[Posting], list[Booked]]:
        """(flows until an account was moved beyond `at`, those of one way and grant added up; what was posted
        since). What an earlier repair set right is before."""
        account = {"of": key[0], "name": key[1]}
        mark = self._db.execute(_MARK, {"key": _marked(key)}).scalar() or 0
        cut = self._db.execute(_CUT, {**account, "mark": mark, "at": at}).scalar()
        if cut is None:
            cut = self._db.execute(_LAST_PLACE, account).scalar_one() + 1
        flows = [
            Posting(0, row[0], LedgerAccount(row[1]), LedgerAccount(row[2]), whole(row[3], row[4]))
            for row in self._db.execute(_FLOWS, {**account, "cut": cut})
        ]
        since = [
            Booked(Posting(row[0], row[1], LedgerAccount(row[2]), LedgerAccount(row[3]), row[4]), row[5])
            for row in self._db.execute(_SINCE, {**account, "cut": cut})
        ]
        return flows, since

    def record_changes(self, number: int) -> list[int]:
        """The instants at which a customer's record was changed."""
        return list(self._db.execute(_RECORD_CHANGES, {"of": number}).scalars())

    def stood_at(self, key: AccountKey, at: int) -> int | None:
        """The last instant until `at` at which an account was known to stand; None: it was first written
        beyond."""
        found = self._db.execute(_STOOD, {"of": key[0], "name": key[1], "at": at}).scalar()
        return None if found is None else int(found)

    def versions(self, key: AccountKey) -> dict[str, list[Version]]:
        """Each grant of an account as it is and as it was."""
        found: dict[str, list[Version]] = {}
        for row in self._db.execute(_VERSIONS, {"of": key[0], "name": key[1]}):
            holding = stored_grant(row).holding
            from_at, until_at = row[len(COLUMNS) :]
            found.setdefault(holding.id, []).append(Version(from_at, until_at, holding))
        return found

    def put_corrections(self, key: AccountKey, corrections: Iterable[Posting], now: int) -> None:
        """Posts what sets an account right, and notes that what was posted until now is settled."""
        self._many(
            _PUT_POSTINGS,
            [
                {
                    "number": key[0],
                    "pool": key[1],
                    "at": one.at,
                    "booked_at": now,
                    "grant": one.grant,
                    "source": one.source.value,
                    "target": one.target.value,
                    "units": one.units,
                }
                for one in corrections
            ],
        )
        place = self._db.execute(_LAST_PLACE, {"of": key[0], "name": key[1]}).scalar_one()
        self._db.execute(_PUT_MARK.on(self._db), {"key": _marked(key), "value": place})

    def forget_past_beyond(
        self, key: AccountKey, at: int, now: int, was: Mapping[str, Version], all: Iterable[str]
    ) -> None:
        """Lets the past say that an account, which was written now, stood as it `was` until now. `all`: every
        grant that it has."""
        account = {"of": key[0], "name": key[1]}
        self._db.execute(_FORGET_ACCOUNTS, {**account, "at": at, "now": now})
        until = self._db.execute(_LAST_GOOD, account).scalar()
        if until is not None and until != now:
            self._db.execute(_LENGTHEN_ACCOUNT, {**account, "until": until, "now": now})
        for id in all:
            asked = {**account, "grant": id, "since": -1 if id not in was else now, "until": -1}
            if id in was and was[id].from_at < now:
                ends = was[id].until_at
                asked |= {"since": was[id].from_at, "until": now if ends is None else ends}
            self._db.execute(_FORGET_GRANT, asked)
            self._db.execute(_LENGTHEN_GRANT, {**asked, "now": now})
        for statement in _CHANGED_NOW:
            self._db.execute(statement, {**account, "now": now})

    def bring_back_reservations(self, key: AccountKey, at: int) -> None:
        """Lets what is held of an account end as long after `at` as it should have ended after it was
        made."""
        self._db.execute(_DELAYED, {"of": key[0], "name": key[1], "at": at})

    def bring_back_top_up(self, key: AccountKey, at: int, month: int) -> None:
        """Lets what was topped up of an account count to the month that began at `month`."""
        for statement in _TOP_UPS:
            self._db.execute(statement, {"of": key[0], "name": key[1], "at": at, "month": month})

    def spent_since(self, key: AccountKey, since: int, at: int) -> dict[str, int]:
        """Units used of an account from an instant until `at`: "" all of them, and by the sub-key under which
        they were."""
        asked = {"of": key[0], "name": key[1], "since": since}
        found = {str(row[0]): whole(row[1], row[2]) for row in self._db.execute(_SPENT_BY, asked) if row[0]}
        net = 0
        for source, low, high in self._db.execute(_USED_SINCE, {**asked, "at": at}):
            net += whole(low, high) * (-1 if source == LedgerAccount.USED.value else 1)
        return {**found, "": max(0, net)}

    def moves_done_ahead(self, at: int) -> Sequence[str]:
        """Ids of moves that were carried out though their instant is after `at`."""
        return list(self._db.execute(_MOVES_AHEAD, {"at": at}).scalars())

    def bring_back_records(self, now: int) -> None:
        """Lets records and catalogs that were changed at an instant after `now` count from now on."""
        for statement in _RECORDS:
            self._db.execute(statement, {"now": now})

    def customers_changed_ahead(self, at: int) -> Sequence[str]:
        """Ids of customers whose record was last changed at an instant after `at`."""
        return list(self._db.execute(_CHANGED_AHEAD, {"at": at}).scalars())


def _marked(key: AccountKey) -> str:
    return f"repaired/{key[0]}/{key[1]}"
