"""Exports over a real ledger: they come to its sums to the unit, and a period is the sum of its parts."""

from __future__ import annotations

import copy
import csv
import json
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.finance import export as exports
from fastcheck.finance.export import book, export, rows, sums
from fastcheck.finance.reconcile import reconcile
from fastcheck.hub.service import Terms
from fastcheck.hub.service import Totals as Settled
from fastcheck.hub.store import Store
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.ledger.periods import DAY_MS
from fastcheck.wire.by import ANYBODY, By
from fastcheck.wire.operation import Answer, Request
from fastcheck.wire.operations.finance import BeginExport
from fastcheck.wire.shapes import ExportSums
from rig.fake_catalog import DOCUMENT, FakeCatalog, parse
from rig.requests import make_grant, put_customer, put_override
from rig.samples import examples
from rig.serving import Service

MAY_MS = 1_714_521_600_000
PRICED: dict[str, Any] = copy.deepcopy(DOCUMENT)
PRICED["plans"]["pro"]["1"]["grants"][0]["cost"] = {"amount": 4_999, "currency": "EUR"}
PRICED["addons"]["pack"] = {
    "plans": [], "max_quantity": None, "features": {}, "sold": "once", "grants": [
        {"pool": "ai_credits", "amount": 3_000_001, "every": None, "anchor": None, "kind": "top_up",
         "priority": 50, "expires_after": [20, "day"], "cost": {"amount": 997, "currency": "USD"}},
        {"pool": "soft_credits", "amount": 7, "every": None, "anchor": None, "kind": "paid",
         "priority": 50, "cost": {"amount": 10, "currency": "USD"}},
    ],
}  # fmt: skip
DEARER = copy.deepcopy(PRICED)
DEARER["plans"]["pro"]["1"]["grants"][0]["cost"] = {"amount": 5_999, "currency": "EUR"}
POOLS = ("ai_credits", "soft_credits", "api_calls")
Rows = dict[str, list[tuple[Any, ...]]]


class Ledger:
    """A service, and what a test does with it."""

    def __init__(self, store: Store) -> None:
        self.clock = ManualClock(MAY_MS)
        self.service = Service(store, self.clock, parse)
        self.sell(PRICED)
        self.leases: dict[tuple[str, str], tuple[Terms, int, int]] = {}

    def sell(self, document: dict[str, Any]) -> None:
        catalog = FakeCatalog(document)
        self.service.set_catalog(catalog, catalog.source(), "catalog.json")

    def ask(self, request: Request[Answer], by: By = ANYBODY) -> Answer:
        """As an owner answers; it holds nothing that is not settled."""
        return self.service.ask(request, by)

    def put(self, id: str, plan: str = "pro", **fields: Any) -> None:
        self.service.put_customers([put_customer(id, plan=plan, **fields)])

    def use(self, customer: str, pool: str, units: int, *, final: bool = False) -> None:
        """Spends under a lease as far as it goes; negative: gives back."""
        key = customer, pool
        if key not in self.leases:
            self.leases[key] = self.service.lend(customer, pool), 0, 0
        terms, spent, returned = self.leases[key]
        if units < 0:
            returned += min(-units, spent - returned)
        elif spent - returned + units <= terms.lent:
            spent += units
        self.leases[key] = terms, spent, returned
        self.service.settle([Settled(terms.number, pool, terms.lease, spent, returned, final)])
        if final:
            del self.leases[key]

    def give(self, customer: str, pool: str, credits: int, **fields: Any) -> str:
        return str(self.service.grant(make_grant(customer, pool, credits, **fields)).grant.id)

    def rows(self, since: int | None = None, until: int | None = None) -> Rows:
        """The tables of a period, reconciled."""
        book(self.ask)
        moment = self.ask(BeginExport(since, until))
        found: Rows = {"movements": [], "balances": [], "usage": [], "revenue": []}
        totals = rows(self.ask, moment, lambda table, row: found[table].append(row))
        reconcile(totals, sums(self.ask, moment))
        return found


@pytest.fixture
def ledger(store: SqliteStore) -> Ledger:
    return Ledger(store)


CUSTOMERS = ("a", "b")
some_units = some.integers(1, 3_000_000)
steps = some.one_of(
    some.tuples(some.just("use"), some.sampled_from(CUSTOMERS), some.sampled_from(POOLS), some_units),
    some.tuples(some.just("use"), some.sampled_from(CUSTOMERS), some.sampled_from(POOLS), some.just(-7)),
    some.tuples(some.just("end"), some.sampled_from(CUSTOMERS), some.sampled_from(POOLS)),
    some.tuples(
        some.just("give"),
        some.sampled_from(CUSTOMERS),
        some.sampled_from(POOLS[:2]),
        some.integers(1, 50),
        some.one_of(some.none(), some.integers(1, 40)),
        some.integers(0, 5_000),
    ),
    some.tuples(some.just("void"), some.integers(0, 5)),
    some.tuples(some.just("buy"), some.sampled_from(CUSTOMERS), some.integers(1, 3)),
    some.tuples(some.just("refund"), some.integers(0, 5), some.none() | some.integers(1, 3_000_000)),
    some.tuples(some.just("charge back"), some.integers(0, 5)),
    some.tuples(some.just("wait"), some.integers(1, 20 * DAY_MS)),
    some.tuples(some.just("plan"), some.sampled_from(CUSTOMERS), some.sampled_from(("free", "pro"))),
    some.tuples(some.just("quota"), some.sampled_from(CUSTOMERS), some.integers(0, 5_000_000)),
    some.tuples(some.just("record"), some.sampled_from(CUSTOMERS), some.integers(1, 1_000)),
    some.tuples(some.just("sell"), some.booleans()),
    some.tuples(some.just("delete"), some.sampled_from(CUSTOMERS)),
)


def play(ledger: Ledger, story: list[Any]) -> None:
    """Does the steps that can be done."""
    made: list[str] = []
    bought: list[str] = []
    doing: dict[str, Callable[..., None]] = {
        "use": ledger.use,
        "end": lambda customer, pool: ledger.use(customer, pool, 0, final=True),
        "wait": ledger.clock.advance,
        "plan": ledger.put,
        "sell": lambda dearer: ledger.sell(DEARER if dearer else PRICED),
    }

    def close(customer: str) -> None:
        for key in [key for key in ledger.leases if key[0] == customer]:
            ledger.use(*key, 0, final=True)

    for place, (what, *args) in enumerate(story):
        if what in ("plan", "quota", "delete", "give", "buy"):
            close(args[0])  # As an owner does before it lowers or raises what is lent.
        try:
            if what == "give":
                customer, pool, credits, days, cost = args
                ends = None if days is None else ledger.clock.now_ms() + days * DAY_MS
                made.append(
                    ledger.give(customer, pool, credits, expires_at=ends, cost=(cost, "EUR"), id=f"g{place}")
                )
            elif what == "void":
                if args[0] < len(made):
                    for customer in CUSTOMERS:
                        close(customer)
                    ledger.service.void(made[args[0]])
            elif what == "buy":
                bought.append(f"p{place}")
                ledger.service.buy_addon(args[0], "pack", args[1], bought[-1])
            elif what in ("refund", "charge back"):
                for customer in CUSTOMERS:
                    close(customer)
                if not bought:
                    continue
                id = bought[args[0] % len(bought)]
                if what == "charge back":
                    ledger.service.charge_back(id)
                else:
                    part = None if args[1] is None else Decimal(args[1]) / 10**6
                    ledger.service.refund_purchase(id, part, None if part is None else "ai_credits")
            elif what == "quota":
                ledger.service.put_override(put_override(args[0], "api_calls", args[1]))
            elif what == "delete":
                ledger.service.delete_customer(args[0])
            elif what == "record":
                at = ledger.clock.now_ms()
                ledger.service.record_usage([(f"p{place}", at, "e", args[0], "gpt-4o", args[1], [("", 1)])])
            else:
                doing[what](*args)
        except (errors.Conflict, errors.UnknownCustomer, errors.UnknownPurchase, errors.RecordError):
            continue
        except errors.AmountError:
            assert what == "refund"


def in_memory() -> Iterator[Ledger]:
    store = SqliteStore.in_memory()
    try:
        ledger = Ledger(store)
        for id in CUSTOMERS:
            ledger.put(id)
        yield ledger
    finally:
        store.close()


@examples(20)
@given(some.lists(steps, max_size=25), some.lists(some.integers(0, 60 * DAY_MS), min_size=1, max_size=3))
def test_any_ledger_exports_to_the_unit_and_a_period_is_the_sum_of_its_parts(
    story: list[Any], cuts: list[int]
) -> None:
    for ledger in in_memory():
        play(ledger, story)
        everything = ledger.rows()
        assert ledger.rows() == everything, "again, the same"
        instants = sorted({0, *(MAY_MS + cut for cut in cuts)})
        end = max(ledger.clock.now_ms() + 1, instants[-1] + 1)
        parts = [ledger.rows(*ends) for ends in zip(instants, [*instants[1:], end], strict=True)]
        for table in ("movements", "usage"):
            assert _added(parts, table) == _added([everything], table)
        assert sorted(row for part in parts for row in part["movements"]) == sorted(everything["movements"])
        _balances_follow_each_other(parts)
        _revenue_adds_up(parts, everything)


def _added(parts: list[Rows], table: str) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for part in parts:
        for row in part[table]:
            key, number = (row[:4], row[4]) if table == "usage" else (row[3:8], row[8])
            found[key] += number
    return Counter({key: units for key, units in found.items() if units})


def _balances_follow_each_other(parts: list[Rows]) -> None:
    held: dict[Any, int] = {}
    for part in parts:
        for *key, opening, issued, burned, returned, expired, voided, closing in part["balances"]:
            assert held.get(tuple(key), 0) == opening
            assert closing == opening + issued - burned + returned - expired - voided
            held[tuple(key)] = closing


def _revenue_adds_up(parts: list[Rows], everything: Rows) -> None:
    owed: dict[Any, int] = {}
    earned: Counter[Any] = Counter()
    for part in parts:
        for *key, start, sold, burned, breakage, voided, refunded, charged_back, end in part["revenue"]:
            assert owed.get(tuple(key), 0) == start
            assert end == start + sold - burned - breakage - voided - refunded - charged_back
            owed[tuple(key)] = end
            earned[tuple(key)] += burned + breakage
    for *key, start, _, burned, breakage, _, _, _, end in everything["revenue"]:
        assert (start, burned + breakage, end) == (0, earned[tuple(key)], owed[tuple(key)])
        assert end >= 0


def test_what_was_paid_is_earned_by_use_and_by_expiry(ledger: Ledger) -> None:
    ledger.put("acme", "free")
    june = MAY_MS + 31 * DAY_MS
    ledger.give("acme", "ai_credits", 3, cost=(1_000, "EUR"), id="paid", expires_at=june)
    ledger.use("acme", "ai_credits", 1_000_000)
    ledger.clock.set(june + DAY_MS)  # Nobody looks: the export books what time has done.
    may, later = ledger.rows(MAY_MS, june), ledger.rows(june)
    assert [row[5:] for row in may["movements"] if row[5] == "paid"] == [
        ("paid", "paid", "issue", 3_000_000, "3", "sold", 1_000, "EUR"),
        ("paid", "paid", "burn", 1_000_000, "1", "burned", 333, "EUR"),
    ]
    [earned] = [row for row in may["revenue"] if row[1] == "paid"]
    assert earned == ("ai_credits", "paid", "EUR", 0, 1_000, 333, 0, 0, 0, 0, 667)
    [rest] = [row for row in later["revenue"] if row[1] == "paid"]
    assert rest == ("ai_credits", "paid", "EUR", 667, 0, 0, 667, 0, 0, 0, 0)
    assert ("acme", "ai_credits", "paid", 2_000_000, 0, 0, 0, 2_000_000, 0, 0) in later["balances"]


def test_a_void_takes_back_what_was_not_earned(ledger: Ledger) -> None:
    ledger.put("acme", "free")
    ledger.give("acme", "ai_credits", 4, cost=(1_000, "EUR"), id="paid")
    ledger.use("acme", "ai_credits", 1_000_000, final=True)
    ledger.service.void("paid")
    [row] = [row for row in ledger.rows()["revenue"] if row[1] == "paid"]
    assert row == ("ai_credits", "paid", "EUR", 0, 1_000, 250, 0, 750, 0, 0, 0)


def test_a_new_price_does_not_change_what_an_earlier_month_earned(ledger: Ledger) -> None:
    ledger.put("acme")
    ledger.use("acme", "ai_credits", 500_000_000, final=True)
    june = MAY_MS + 31 * DAY_MS
    ledger.clock.set(june + 1)
    may = ledger.rows(MAY_MS, june)
    ledger.sell(DEARER)
    ledger.put("acme", addons={"seats_pack": 1})  # A change that brings the account under the new price.
    ledger.clock.set(june + 31 * DAY_MS)
    later = ledger.rows(june)
    assert ledger.rows(MAY_MS, june) == may
    assert next(row[4] for row in later["revenue"]) > 4_999


def test_what_a_raised_amount_puts_in_is_sold_at_the_new_price(ledger: Ledger) -> None:
    ledger.put("acme")
    ledger.use("acme", "ai_credits", 1, final=True)
    more = copy.deepcopy(PRICED)
    more["plans"]["pro"]["1"]["grants"][0] |= {
        "amount": 2_000_000_000,
        "cost": {"amount": 15_000, "currency": "EUR"},
    }
    ledger.clock.advance(DAY_MS)
    ledger.sell(more)
    ledger.give("acme", "ai_credits", 1)  # Brings the account under the new terms.
    sold = [row[11] for row in ledger.rows()["movements"] if row[6] == "plan" and row[7] == "issue"]
    assert sold == [4_999, 7_500]


def test_use_with_and_without_records_adds_up_to_the_postings(ledger: Ledger) -> None:
    ledger.put("acme", "free")
    ledger.give("acme", "ai_credits", 10)
    ledger.use("acme", "ai_credits", 3_000_000)
    ledger.service.record_usage([("p1", MAY_MS, "req", "acme", "gpt-4o", 2_000_000, [("", 2)])])
    assert ledger.rows()["usage"] == [
        ("acme", "ai_credits", "", "2024-05", 1_000_000, "1", 0),
        ("acme", "ai_credits", "gpt-4o", "2024-05", 2_000_000, "2", 1),
    ]


def test_the_files_hold_the_rows_and_only_their_owner_reads_them(ledger: Ledger, tmp_path: Path) -> None:
    ledger.put("=cmd|' /C calc'!A0", "free")
    ledger.give("=cmd|' /C calc'!A0", "soft_credits", 5, id="-1+1", reason="x")
    seen: list[tuple[int, int]] = []
    done = export(ledger.ask, tmp_path / "books", progress=lambda *told: seen.append(told))
    assert seen[-1][0] == seen[-1][1] > 0
    assert sorted(path.name for path in (tmp_path / "books").iterdir()) == sorted(
        [*done.files, "manifest.json"]
    )
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (tmp_path / "books").iterdir())
    with (tmp_path / "books" / "movements.csv").open(newline="", encoding="utf-8") as file:
        [row] = [one for one in csv.DictReader(file) if one["pool"] == "soft_credits"]
    assert row["customer"] == "'=cmd|' /C calc'!A0"
    assert (row["grant"], row["at"], row["units"]) == ("'-1+1", "2024-05-01T00:00:00.000Z", "5")
    manifest = json.loads((tmp_path / "books" / "manifest.json").read_text())
    assert manifest["files"] == done.files
    assert manifest["sums"]["closing"]["soft_credits"] == 5


def test_parquet_says_the_same_as_csv(ledger: Ledger, tmp_path: Path) -> None:
    from pyarrow import parquet

    ledger.put("acme")
    ledger.give("acme", "ai_credits", 7, cost=(99, "EUR"))
    ledger.use("acme", "ai_credits", 123)
    export(ledger.ask, tmp_path)
    export(ledger.ask, tmp_path, format="parquet")
    for table in ("movements", "balances", "usage", "revenue"):
        with (tmp_path / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            plain = list(csv.DictReader(file))
        rows = parquet.read_table(tmp_path / f"{table}.parquet").to_pylist()
        assert [_as_text(row) for row in rows] == plain
        assert plain or table == "usage"


def _as_text(row: dict[str, Any]) -> dict[str, str]:
    return {
        name: f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
        if "at" in (name, name[-2:]) and hasattr(value, "year")
        else str(value)
        for name, value in row.items()
    }


def test_a_ledger_that_does_not_add_up_is_not_exported(ledger: Ledger, tmp_path: Path) -> None:
    ledger.put("acme", "free")
    ledger.give("acme", "soft_credits", 5)
    export(ledger.ask, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".db"}

    def lies(request: Request[Any], by: By = ANYBODY) -> Any:
        found = ledger.ask(request, by)
        if not isinstance(found, ExportSums):
            return found
        posted = (replace(one, units=one.units + (one.pool == "soft_credits")) for one in found.postings)
        return replace(found, postings=tuple(posted))

    with pytest.raises(errors.LedgerError, match="soft_credits issue: the ledger has 6, the export 5"):
        export(lies, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".db"} == before


def test_pages_of_one_row_give_the_same(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for id in ("a", "b", "c"):
        ledger.put(id)
        ledger.give(id, "ai_credits", 5, cost=(7, "EUR"))
        ledger.use(id, "ai_credits", 4)
        ledger.service.record_usage([(id, MAY_MS, "e", id, "gpt-4o", 1, [])])
    whole = ledger.rows()
    monkeypatch.setattr(exports, "ROWS_PER_REQUEST", 1)
    assert ledger.rows() == whole


@pytest.mark.parametrize("given", [{"format": "xls"}, {"period": "week"}, {"since": 5, "until": 5}])
def test_what_cannot_be_meant_is_refused(ledger: Ledger, tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises((errors.RecordError, errors.InstantError)):
        export(ledger.ask, tmp_path, **given)


def test_every_store_exports_the_same(any_store: Store) -> None:
    ledger = Ledger(any_store)
    for id in CUSTOMERS:
        ledger.put(id)
    play(
        ledger,
        [
            ("give", "a", "ai_credits", 20, 10, 999),
            ("use", "a", "ai_credits", 900_000),
            ("record", "a", 500),
            ("give", "b", "soft_credits", 9, None, 100),
            ("use", "b", "soft_credits", 30),
            ("wait", 40 * DAY_MS),
            ("use", "b", "api_calls", 77),
            ("void", 1),
            ("sell", True),
            ("plan", "a", "free"),
            ("quota", "b", 10),
        ],
    )
    found = ledger.rows()
    assert [len(found[table]) for table in ("movements", "balances", "usage", "revenue")] == [22, 5, 4, 3]
