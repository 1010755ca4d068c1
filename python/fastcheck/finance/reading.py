"""From postings and usage records, read by customer, to the rows of the tables. Holds one customer at a time.
Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from fastcheck.clock import at_utc
from fastcheck.errors import LedgerError
from fastcheck.finance.tables import decimal_text
from fastcheck.ledger.finance import CLASSES, Class, GrantBooks, Price, movement, used_by
from fastcheck.ledger.model import MovementKind
from fastcheck.wire.shapes import Export, ExportedUse, Movement

PERIODS = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
"""How the period of an instant is called, in UTC."""

Write = Callable[[str, tuple[Any, ...]], None]
"""Takes a row of a table."""

_COLUMNS = {
    MovementKind.ISSUE: "issued",
    MovementKind.BURN: "burned",
    MovementKind.PAY_OVERAGE: "burned",
    MovementKind.RETURN: "returned",
    MovementKind.EXPIRE: "expired",
    MovementKind.VOID: "voided",
    MovementKind.UNVOID: "unvoided",
    MovementKind.REFUND: "voided",
    MovementKind.CHARGE_BACK: "voided",
    MovementKind.OWE: "returned",
    MovementKind.UNEXPIRE: "unexpired",
}
_BACK = (MovementKind.RETURN, MovementKind.UNVOID, MovementKind.OWE, MovementKind.UNEXPIRE)


@dataclass
class Totals:
    """What the rows come to, for the comparison with the ledger."""

    movements: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(pool, movement) -> units."""
    counts: Counter[str] = field(default_factory=Counter)
    """Table -> rows."""
    opening: Counter[str] = field(default_factory=Counter)
    """Pool -> units that grants held at the start."""
    closing: Counter[str] = field(default_factory=Counter)
    used: Counter[str] = field(default_factory=Counter)
    """Pool -> units, by the usage table."""
    records: Counter[str] = field(default_factory=Counter)
    """Feature -> usage records."""
    recorded: Counter[str] = field(default_factory=Counter)
    """Feature -> units of usage records."""
    worth: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(currency, class) -> minor units, by the movements table."""


@dataclass
class _Grant:
    """One grant within the period."""

    kind: str
    currency: str
    statements: GrantBooks = field(default_factory=GrantBooks)
    opening: int = 0
    moved: Counter[str] = field(default_factory=Counter)

    def closing(self) -> int:
        moved = self.moved
        out = moved["burned"] + moved["expired"] + moved["voided"]
        back = moved["returned"] + moved["unexpired"] + moved["unvoided"]
        return self.opening + moved["issued"] - out + back


_Revenue = dict[tuple[str, str, str], Counter[str]]
_AMOUNTS = ("deferred_start", *(one.value for one in Class), "deferred_end")
"""The columns of revenue that are money, in their order."""


def read(
    moment: Export, movements: Iterable[Movement], usage: Iterable[ExportedUse], write: Write, period: str
) -> Totals:
    """Writes the rows of all tables. `movements` and `usage`: by customer. Raises `LedgerError` where a
    posting cannot be."""
    reading = _Reading(moment, write, PERIODS[period])
    recorded = _Customers(usage)
    for number, of_customer in groupby(movements, key=itemgetter(0)):
        for before in recorded.below(number):
            reading.customer((), before)
        reading.customer(of_customer, recorded.of(number))
    for rest in recorded.below(None):
        reading.customer((), rest)
    reading.revenue()
    return reading.totals


class _Customers:
    """Usage records by customer, beside the postings."""

    def __init__(self, usage: Iterable[ExportedUse]) -> None:
        self._groups = groupby(usage, key=itemgetter(0))
        self._next = next(self._groups, None)

    def below(self, number: int | None) -> Iterator[Iterable[ExportedUse]]:
        """The records of each customer before this one; None: of all that are left."""
        while self._next is not None and (number is None or self._next[0] < number):
            yield self._next[1]
            self._next = next(self._groups, None)

    def of(self, number: int) -> Iterator[ExportedUse]:
        """The records of this customer."""
        if self._next is not None and self._next[0] == number:
            yield from self._next[1]
            self._next = next(self._groups, None)


class _Reading:
    def __init__(self, moment: Export, write: Write, period: str) -> None:
        self._moment = moment
        self._write_row = write
        self._period = period
        self._scales = dict(moment.pools)
        self._features = dict(moment.features)
        self._revenue: _Revenue = {}
        self.totals = Totals()

    def _write(self, table: str, *row: Any) -> None:
        self._write_row(table, row)
        self.totals.counts[table] += 1

    def customer(self, movements: Iterable[Movement], usage: Iterable[ExportedUse]) -> None:
        """One customer: each account, then what was used."""
        used: Counter[tuple[str, str]] = Counter()  # (pool, period) -> units
        customer = ""
        for pool, rows in groupby(movements, key=itemgetter(1)):
            customer = self._account(pool, rows, used)
        records: Counter[tuple[str, str, str]] = Counter()  # (pool, feature, period) -> records
        units: Counter[tuple[str, str, str]] = Counter()
        for _, _, who, at, feature, taken in usage:
            customer = who
            row = self._features.get(feature, ""), feature, self._name(at)
            records[row] += 1
            units[row] += taken
        for (pool, feature, period), count in records.items():
            used[pool, period] -= units[pool, feature, period]
            self.totals.records[feature] += count
            self.totals.recorded[feature] += units[pool, feature, period]
        for (pool, period), rest in used.items():
            if rest:
                units[pool, "", period] += rest
        for pool, feature, period in sorted(units):
            row = pool, feature, period
            text = decimal_text(units[row], self._scales.get(pool))
            self._write("usage", customer, *row, units[row], text, records[row])
            self.totals.used[pool] += units[row]

    def _account(self, pool: str, rows: Iterable[Movement], used: Counter[tuple[str, str]]) -> str:
        grants: dict[str, _Grant] = {}
        scale, since = self._scales.get(pool), self._moment.since
        customer = ""
        for row in rows:
            _, _, place, id, at, booked_at, grant, kind, source, target, posted, amount, cost, currency = row
            customer = id or ""
            try:
                what, units = movement(source, target, posted)
            except (KeyError, ValueError):
                way = f"from {source!r:.40} to {target!r:.40}"
                raise LedgerError(f"posting {place} goes {way}, which no movement does") from None
            held, worth = None, 0
            if grant is not None:
                held = grants.setdefault(grant, _Grant(kind or "", currency or ""))
                price = Price(0, 0, "")
                if amount is not None and cost is not None and currency is not None:
                    price = Price(amount, cost, currency)
                worth = held.statements.take(what, units, price)
                self._recognise(pool, held, what, worth, at < since)
            if at < since:
                if held is not None:
                    held.opening += _gain(what, units)
                continue
            if held is not None:
                held.moved[_COLUMNS[what]] += units
            net = used_by(what, units)
            if net:
                used[pool, self._name(at)] += net
            group = CLASSES[what].value if what in CLASSES else ""
            money = held.currency if held is not None else ""
            self._write(
                "movements",
                place,
                at,
                booked_at,
                customer,
                pool,
                grant or "",
                kind or "",
                what.value,
                units,
                decimal_text(units, scale),
                group,
                worth,
                money,
            )
            self.totals.movements[pool, what.value] += units
            if worth:
                self.totals.worth[money, group] += worth
        for id, one in sorted(grants.items()):
            self._balance(customer, pool, id, one)
        return customer

    def _balance(self, customer: str, pool: str, id: str, one: _Grant) -> None:
        moved, closing = one.moved, one.closing()
        if closing != one.statements.issued - one.statements.out:
            raise LedgerError(f"grant {id!r:.80} closes at {closing} units, its books say otherwise")
        if not closing and one.statements.sold != one.statements.recognised:
            raise LedgerError(f"grant {id!r:.80} holds nothing, and something is owed for it")
        if one.opening or moved:
            self._write(
                "balances",
                customer,
                pool,
                id,
                one.opening,
                moved["issued"],
                moved["burned"],
                moved["returned"],
                moved["expired"] - moved["unexpired"],
                moved["voided"] - moved["unvoided"],
                closing,
            )
            self.totals.opening[pool] += one.opening
            self.totals.closing[pool] += closing

    def _recognise(self, pool: str, held: _Grant, what: MovementKind, worth: int, before: bool) -> None:
        if not worth:
            return
        row = self._revenue.setdefault((pool, held.kind, held.currency), Counter())
        group = CLASSES[what]
        owed = worth if group is Class.SOLD else -worth
        if before:
            row["deferred_start"] += owed
        else:
            row[group.value] += worth
        row["deferred_end"] += owed

    def revenue(self) -> None:
        """The revenue table, once everybody was read."""
        for key, row in sorted(self._revenue.items()):
            self._write("revenue", *key, *(row[name] for name in _AMOUNTS))

    def _name(self, at: int) -> str:
        return at_utc(at).strftime(self._period)


def _gain(what: MovementKind, units: int) -> int:
    """What a movement adds to what its grant holds."""
    return units if what is MovementKind.ISSUE or what in _BACK else -units
