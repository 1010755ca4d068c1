"""Random histories of catalogs, customers, moves, grants and use, played on the product and on the model of
the law (`models.law`), and compared after every step.

A history is plain data: its representation is Python that plays it again (`difference(HISTORY)`).

    python -m models.grant_histories --histories 20000 --first-seed 0"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Totals
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.wire.operations.purchases import BuyAddon, ChargeBack, PayPurchase, RefundPurchase
from models.law import DAY_MS, DEFAULT_ORDER, Balance, Catalog, Every, Keep, Law, Line, Meter, Offer, Pool
from rig.fake_catalog import FakeCatalog, parse
from rig.requests import debit, destination, make_grant, migrate, move_customers, put_customer
from rig.serving import Service

Item = TypeVar("Item")
Pick = Callable[[Sequence[Item]], Item]
"""Takes one of several; the first is the simplest."""

BEGIN_MS = 1_715_299_200_000  # 2024-05-10
SCALES = {"c": 2, "d": 0}
POOLS = {"c": Pool(), "d": Pool(overdraft=5)}
METERS = {"calls": Meter((1, "month")), "seats": Meter((1, "month"), "anniversary", default=3)}
ALL_POOLS = (*POOLS, *METERS)
CUSTOMERS = ("a", "b")
PACK = "pack"
"""The add-on that is sold once."""

DAYS = (0, 1, 2, 4, 7, 10, 15, 21, 22, 23, 31, 32, 38, 45, 52, 62, 83)
"""Where things happen: the begin, days after it, weeks, its month (31, 62), first days of months (22, 52)."""
INSTANTS = sorted(
    day * DAY_MS + offset for day in DAYS for offset in (0, -1, 1, DAY_MS // 2) if day or offset >= 0
)


class Step(NamedTuple):
    """One thing that happens. Instants count from the begin."""

    what: str
    customer: str = ""
    terms: dict[str, Any] = {}  # noqa: RUF012

    def __repr__(self) -> str:
        return f"Step({self.what!r}, {self.customer!r}, {self.terms!r})"


@dataclass(frozen=True)
class History:
    """What happens. The first catalog is there from the beginning."""

    catalogs: tuple[Catalog, ...]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        """As Python."""
        catalogs = "".join(f"        {_shown(one)},\n" for one in self.catalogs)
        steps = "".join(f"        {one!r},\n" for one in self.steps)
        return f"History(\n    (\n{catalogs}    ),\n    (\n{steps}    ),\n)"


def _shown(one: Any) -> str:
    """A catalog as short as may be: defaults are left out."""
    if isinstance(one, Catalog):
        return f"sold({_shown(dict(one.plans))}, {_shown(dict(one.addons))})"
    if isinstance(one, Offer):
        return (
            f"Offer({_shown(dict(one.lines))}, {_shown(dict(one.quotas))})"
            if one.quotas
            else (f"Offer({_shown(dict(one.lines))})")
        )
    if isinstance(one, Line):
        more = {name: value for name, value in vars(one).items() if value != getattr(Line("", 0), name)}
        more.pop("pool", None), more.pop("amount", None)
        terms = "".join(f", {name}={_shown(value)}" for name, value in more.items())
        return f"Line({one.pool!r}, {one.amount}{terms})"
    if isinstance(one, dict):
        return "{" + ", ".join(f"{name!r}: {_shown(value)}" for name, value in one.items()) + "}"
    return repr(one)


def sold(plans: dict[tuple[str, int], Offer], addons: dict[str, Offer] | None = None) -> Catalog:
    """A catalog with the pools and meters of every history."""
    return Catalog(POOLS, METERS, plans, addons or {})


# the product


def document(catalog: Catalog, order: Callable[[list[Any]], list[Any]] = list) -> dict[str, Any]:
    """A catalog as the hub reads it; `order` of the lines."""

    def grants(offer: Offer) -> list[dict[str, Any]]:
        return [_grant(name, line) for name, line in order(list(offer.lines.items()))]

    plans: dict[str, Any] = {}
    for (plan, version), offer in catalog.plans.items():
        plans.setdefault(plan, {})[str(version)] = {"features": dict(offer.quotas), "grants": grants(offer)}
    addons = {
        name: {
            "plans": [],
            "max_quantity": None,
            "features": dict(offer.quotas),
            "grants": grants(offer),
            "sold": "once" if name == PACK else None,
        }
        for name, offer in catalog.addons.items()
    }
    pools = {
        name: _pool(one.overdraft, SCALES[name], False, one.order) for name, one in catalog.pools.items()
    }
    pools |= {name: _pool(one.overdraft, 0, True, DEFAULT_ORDER) for name, one in catalog.meters.items()}
    features: dict[str, Any] = {
        name: {"kind": "meter", "pool": name, "default": one.default, "rates": {},
               "period": {"every": list(one.every), "anchor": one.anchor}}
        for name, one in catalog.meters.items()
    }  # fmt: skip
    features |= {
        f"use {name}": {"kind": "credit", "pool": name, "default": True, "rates": {"": 1}, "period": None}
        for name in catalog.pools
    }
    return {"pools": pools, "features": features, "plans": plans, "addons": addons}


def _pool(overdraft: int | None, scale: int, private: bool, order: Sequence[str]) -> dict[str, Any]:
    policy = "hard" if overdraft == 0 else "soft"
    of_all = {"order": list(order), "warn_at": []}
    return {"scale": scale, "policy": policy, "overdraft": overdraft, "private": private, **of_all}


def _grant(name: str, line: Line) -> dict[str, Any]:
    keep = line.keep
    return {
        "name": name,
        "pool": line.pool,
        "amount": line.amount,
        "priority": line.priority,
        "kind": line.kind,
        "every": None if line.every is None else list(line.every),
        "anchor": None if line.every is None else line.anchor,
        "expires_after": None if line.lasts is None else list(line.lasts),
        "rollover": {"min": 0, "max": 0, "percent": 100, "once": False}
        if keep is None
        else {"min": keep.min, "max": keep.max, "percent": keep.percent, "once": keep.once},
        "cost": {"amount": 100, "currency": "USD"} if line.paid else None,
        "existing": "give" if line.existing else None,
        "proration": None if line.every is None else "prorated" if line.prorated else "full",
    }


class Product:
    """A service in memory that plays steps."""

    def __init__(self, catalogs: Sequence[Catalog], order: Callable[[list[Any]], list[Any]] = list) -> None:
        self.clock = ManualClock(BEGIN_MS)
        self.store = SqliteStore.in_memory()
        self.service = Service(self.store, self.clock, parse)
        self.catalogs = [FakeCatalog(document(one, order)) for one in catalogs]
        self.count = 0
        self.play(Step("catalog", "", {"number": 0}))

    def close(self) -> None:
        self.store.close()

    def play(self, step: Step) -> Any:
        """What a step answers. Raises `FastcheckError` where it is refused."""
        return getattr(self, f"_{step.what}")(step.customer, **step.terms)

    def _wait(self, _: str, until: int) -> None:
        self.clock.set(BEGIN_MS + until)
        while due := self.service.due_moves(self.clock.now_ms(), 10):
            self.service.carry_out([id for id, _ in due])

    def _catalog(self, _: str, number: int) -> None:
        catalog = self.catalogs[number]
        self.service.set_catalog(catalog, catalog.source(), "catalog.json")

    def _put(self, id: str, plan: str | None, version: int, trial: Any, addons: dict[str, Any]) -> None:
        terms: dict[str, Any] = {"plan": plan, "version": version if plan is not None else None}
        if trial is not None:
            trial_plan, trial_version, until = trial
            terms |= {"trial_plan": trial_plan, "trial_version": trial_version}
            terms["trial_until"] = BEGIN_MS + until
        terms["addons"] = {
            name: (quantity, None if until is None else BEGIN_MS + until)
            for name, (quantity, until) in addons.items()
        }
        self.service.put_customers([put_customer(id, **terms)])

    def _move(self, id: str, plan: str | None, version: int, at: int | None, keep_since: bool) -> None:
        when = "now" if at is None else BEGIN_MS + at
        terms = {"version": version if plan is not None else None, "keep_since": keep_since}
        self.service.move(move_customers([id], destination(plan, when=when, replace=True, **terms)))

    def _migrate(self, _: str, plan: str, old: int, new: int, at: int | None) -> None:
        self.service.move(migrate(plan, old, new, when="now" if at is None else BEGIN_MS + at))

    def _grant(self, id: str, name: str, line: Line, starts: int | None, expires: int | None) -> None:
        terms: dict[str, Any] = {"kind": line.kind, "priority": line.priority}
        if line.every is not None:
            count, unit = line.every
            terms |= {"every": f"{count} {unit}", "anchor": line.anchor}
        if line.keep is not None:
            credits = {"max": _credits(line.keep.max, line.pool), "percent": line.keep.percent}
            terms["rollover"] = {**credits, "once": line.keep.once}
        terms["effective_at"] = None if starts is None else BEGIN_MS + starts
        terms["expires_at"] = None if expires is None else BEGIN_MS + expires
        self.service.grant(make_grant(id, line.pool, _credits(line.amount, line.pool), id=name, **terms))

    def _void(self, _: str, name: str) -> None:
        self.service.void(name)

    def _delete(self, id: str) -> None:
        self.service.delete_customer(id)

    def _buy(self, id: str, name: str, quantity: int, pending: bool) -> None:
        self.service.run(BuyAddon(id, PACK, quantity, name, pending))

    def _pay(self, _: str, name: str) -> None:
        self.service.run(PayPurchase(name))

    def _refund(self, _: str, name: str, units: int | None) -> None:
        amount = None if units is None else _credits(units, "c")
        self.service.run(RefundPurchase(name, amount))

    def _charge_back(self, _: str, name: str) -> None:
        self.service.run(ChargeBack(name))

    def _spend(self, id: str, pool: str, units: int) -> bool:
        self.count += 1
        return bool(self.service.run(debit(id, pool, _credits(units, pool), id=f"use {self.count}")).answer)

    def look(self, customers: Sequence[str] = CUSTOMERS) -> None:
        """All that is said to change nothing."""
        for id in customers:
            for pool in ALL_POOLS:
                for ask in (self._balance, self._explain, self._check, self._lease, self._turn):
                    try:
                        ask(id, pool)
                    except errors.UnknownCustomer:
                        continue

    def _balance(self, id: str, pool: str) -> None:
        self.service.balance(id, pool)

    def _explain(self, id: str, pool: str) -> None:
        self.service.explain(id, pool if pool in METERS else f"use {pool}")

    def _check(self, id: str, pool: str) -> None:
        self.service.check_feature(id, pool if pool in METERS else f"use {pool}")

    def _lease(self, id: str, pool: str) -> None:
        """A host's first touch, and the lease's end without use."""
        terms = self.service.lend(id, pool)
        self.service.settle([Totals(terms.number, terms.pool, terms.lease, 0, 0, True)])

    def _turn(self, id: str, pool: str) -> None:
        self.service.turn(self.clock.now_ms(), 100)

    def balance(self, id: str, pool: str, at: int | None = None) -> Balance | None:
        return self.balances(id, at)[pool]

    def balances(self, id: str, at: int | None = None) -> dict[str, Balance | None]:
        """As the model answers."""
        when = None if at is None else BEGIN_MS + at
        try:
            answers = {pool: self.service.balance(id, pool, at=when) for pool in ALL_POOLS}
            grants = self.service.list_grants(id, at=when)
        except errors.UnknownCustomer:
            return dict.fromkeys(ALL_POOLS)
        left: dict[str, dict[str, int]] = {pool: {} for pool in ALL_POOLS}
        now = self.clock.now_ms() if when is None else when
        for one in grants:
            if one.remaining and one.effective_at <= now:
                name = str(one.id).partition("/")[0].partition("#")[0]
                here = left[one.pool]
                here[name] = here.get(name, 0) + _units(one.remaining, one.pool)
        return {
            pool: Balance(
                _units(one.remaining, pool), _units(one.overage, pool), _units(one.used, pool), left[pool]
            )
            for pool, one in answers.items()
        }


def _credits(units: int, pool: str) -> Decimal:
    return Decimal(units).scaleb(-SCALES.get(pool, 0))


def _units(credits: Any, pool: str) -> int:
    return int(Decimal(credits).scaleb(SCALES.get(pool, 0)))


# the model


class Model:
    """The law, playing the same steps."""

    def __init__(self, catalogs: Sequence[Catalog]) -> None:
        self.law = Law(BEGIN_MS)
        self.catalogs = catalogs
        self.law.set_catalog(catalogs[0])
        self.granted: dict[str, str] = {}

    def play(self, step: Step) -> Any:
        return getattr(self, f"_{step.what}")(step.customer, **step.terms)

    def _wait(self, _: str, until: int) -> None:
        self.law.wait(BEGIN_MS + until)

    def _catalog(self, _: str, number: int) -> None:
        self.law.set_catalog(self.catalogs[number])

    def _put(self, id: str, plan: str | None, version: int, trial: Any, addons: dict[str, Any]) -> None:
        if trial is not None:
            trial = (*trial[:2], BEGIN_MS + trial[2])
        had = {
            name: (quantity, None if until is None else BEGIN_MS + until)
            for name, (quantity, until) in addons.items()
        }
        self.law.put(id, plan=plan, version=version, trial=trial, addons=had)

    def _move(self, id: str, plan: str | None, version: int, at: int | None, keep_since: bool) -> None:
        when = None if at is None else BEGIN_MS + at
        self.law.move(id, plan, version, at=when, keep_since=keep_since)

    def _migrate(self, _: str, plan: str, old: int, new: int, at: int | None) -> None:
        self.law.migrate(plan, old, new, at=None if at is None else BEGIN_MS + at)

    def _grant(self, id: str, name: str, line: Line, starts: int | None, expires: int | None) -> None:
        begins = None if starts is None else BEGIN_MS + starts
        ends = None if expires is None else BEGIN_MS + expires
        self.granted[name] = id
        self.law.grant(id, name, line, starts=begins, expires=ends)

    def _void(self, _: str, name: str) -> None:
        self.law.void(self.granted[name], name)

    def _delete(self, id: str) -> None:
        self.law.delete(id)

    def _buy(self, id: str, name: str, quantity: int, pending: bool) -> None:
        self.granted[name] = id
        self.law.buy(id, PACK, quantity, name, paid=not pending)

    def _pay(self, _: str, name: str) -> None:
        self.law.pay(self.granted[name], name)

    def _refund(self, _: str, name: str, units: int | None) -> None:
        self.law.refund_purchase(self.granted[name], name, units)

    def _charge_back(self, _: str, name: str) -> None:
        self.law.charge_back(self.granted[name], name)

    def _spend(self, id: str, pool: str, units: int) -> bool:
        return self.law.spend(id, pool, units)

    def balances(self, id: str, at: int | None = None) -> dict[str, Balance | None]:
        return self.law.balances(id, ALL_POOLS, None if at is None else BEGIN_MS + at)


# two of them, side by side


@dataclass
class Played:
    """What came of a history."""

    difference: str = ""
    step: int = 0
    """After which step."""
    refused: Counter[str] = field(default_factory=Counter)


AHEAD = (1, 7, 22, 31, 45, 90)
"""Days after the begin at which balances ahead are compared."""


def play(history: History, *, ahead: bool = True, grants: bool = True) -> Played:
    """The first step after which product and model differ, if any."""
    product, model, played = Product(history.catalogs), Model(history.catalogs), Played()
    now = 0
    try:
        for played.step, step in enumerate(history.steps):
            if step.what == "wait":
                now = step.terms["until"]
            try:
                answered = product.play(step)
            except errors.FastcheckError as error:
                played.refused[f"{step.what}: {type(error).__name__}: {error}"] += 1
                continue
            except Exception as error:
                played.difference = f"{type(error).__name__}: {error}"
                return played
            expected = model.play(step)
            if step.what == "spend" and answered != expected:
                played.difference = f"the product said {answered}, the law {expected}"
                return played
            later = [day * DAY_MS for day in AHEAD if day * DAY_MS > now]
            instants = [None, *(later[:1] if step.what == "wait" else later[:4:3])] if ahead else [None]
            played.difference = _compare(product, model, instants, grants)
            if played.difference:
                return played
    finally:
        product.close()
    return played


def _compare(product: Product, model: Model, instants: Sequence[int | None], grants: bool) -> str:
    for at in instants:
        for id in CUSTOMERS:
            try:
                ones = product.balances(id, at)
            except Exception as error:
                return f"balances({id!r}, at={at}): {type(error).__name__}: {error}"
            others = model.balances(id, at)
            for pool in ALL_POOLS:
                one, other = ones[pool], others[pool]
                if not grants:
                    one, other = (None if each is None else each._replace(left={}) for each in (one, other))
                if one != other:
                    when = "now" if at is None else f"at {at / DAY_MS:g} days"
                    return f"{id} {pool} {when}: product {_told(one)}, law {_told(other)}"
    return ""


def _told(balance: Balance | None) -> str:
    return "unknown" if balance is None else str(balance).removeprefix("Balance")


def difference(history: History, **how: bool) -> str:
    """What differs first, and after which step; "" where nothing does."""
    played = play(history, **how)
    if not played.difference:
        return ""
    return f"after step {played.step}, {history.steps[played.step]!r}: {played.difference}"


def end_of(
    history: History,
    *,
    look: Callable[[int], bool] = lambda _: False,
    order: Callable[[list[Any]], list[Any]] = list,
) -> list[Any]:
    """All balances at the end, on the product alone; `look`: after which steps all is looked at."""
    product = Product(history.catalogs, order)
    try:
        for number, step in enumerate(history.steps):
            try:
                product.play(step)
            except errors.FastcheckError:
                continue
            finally:
                if look(number):
                    product.look()
        return [
            (id, pool, at, product.balance(id, pool, at))
            for at in (None, 90 * DAY_MS)
            for id in CUSTOMERS
            for pool in ALL_POOLS
        ]
    finally:
        product.close()


# random ones

LENGTHS: tuple[Every | None, ...] = (None, (1, "month"), (1, "week"), (1, "day"))
AMOUNTS = (10, 4, 7, 20, 31)
KEEPS = (None, Keep(5), Keep(30, percent=50), Keep(8, once=True), Keep(9, min=2))
LASTS = (None, (3, "day"), (20, "day"))


def draw(pick: Pick[Any], steps: int = 12) -> History:
    """A history of what `pick` picks."""
    shapes: Shapes = {
        (*offer, name): _shape(pick)
        for offer in (("plan", "p"), ("plan", "q"), ("addon", "x"), ("addon", "y"))
        for name in ("l", "m", "n")[: pick((1, 2, 3))]
    }
    catalogs = [_catalog(pick, shapes)]
    for _ in range(pick((0, 1, 2, 3))):
        catalogs.append(_edited(pick, shapes, catalogs[-1]))
    return History(tuple(catalogs), tuple(_steps(pick, steps, len(catalogs))))


def _shape(pick: Pick[Any]) -> Line:
    """What a line keeps from catalog to catalog."""
    every = pick(LENGTHS)
    return Line(
        pick(("c", "c", "d")),
        pick(AMOUNTS),
        every,
        "calendar" if every is None else pick(("calendar", "anniversary")),
        pick((None, None, *LASTS)),
        None if every is None else pick((None, None, *KEEPS)),
        pick(("plan", "plan", "promotional", "paid")),
        pick((0, 0, 1)),
        pick((False, False, True)),
        False,
        False if every is None else pick((False, False, True)),
    )


Shapes = dict[tuple[str, ...], Line]


def _catalog(pick: Pick[Any], shapes: Shapes) -> Catalog:
    def offer(kind: str, name: str) -> Offer:
        lines = {
            key[2]: replace(line, amount=pick((line.amount, line.amount, *AMOUNTS)))
            for key, line in shapes.items()
            if key[:2] == (kind, name) and pick((True, True, False))
        }
        amounts = (10, 4) if kind == "plan" else (2,)
        quotas = {meter: pick(amounts) for meter in METERS if pick((False, True))}
        return Offer(lines, quotas)

    plans = {(plan, version): offer("plan", plan) for plan in ("p", "q") for version in (1, 2)}
    pack = Line("c", pick((10, 25)), lasts=pick((None, (20, "day"))), kind="top_up", paid=True)
    addons = {name: offer("addon", name) for name in ("x", "y")}
    return sold(plans, {**addons, PACK: Offer({"l": pack})})


def _edited(pick: Pick[Any], shapes: Shapes, old: Catalog) -> Catalog:
    """Another catalog with a few changes."""
    plans, addons = dict(old.plans), dict(old.addons)
    for _ in range(pick((1, 2, 3))):
        kind, name, *_ = key = pick(list(shapes))
        offers: dict[Any, Offer] = plans if kind == "plan" else addons
        place = (name, pick((1, 2))) if kind == "plan" else name
        lines = dict(offers[place].lines)
        line = lines.pop(key[2], None)
        what = pick(("amount", "amount", "gone", "terms", "quota")) if line else "added"
        if line is None:
            lines[key[2]] = replace(shapes[key], amount=pick(AMOUNTS), existing=pick((False, True)))
        elif what == "amount":
            lines[key[2]] = replace(line, amount=pick(AMOUNTS))
        elif what == "terms":
            keep = None if line.every is None else pick(KEEPS)
            lines[key[2]] = replace(line, priority=pick((0, 1, 2)), lasts=pick(LASTS), keep=keep)
        elif what == "quota":
            lines[key[2]] = line
        quotas = dict(offers[place].quotas)
        if what == "quota":
            quotas |= {pick(list(METERS)): pick((1, 5, 12))}
        offers[place] = Offer(lines, quotas)
    return replace(old, plans=plans, addons=addons)


def _steps(pick: Pick[Any], count: int, catalogs: int) -> Iterator[Step]:
    now, number, grants, bought = 0, 0, 0, 0
    yield _put(pick, "a", now)
    for _ in range(count - 1):
        kinds = ["wait"] * 4 + ["spend"] * 4 + ["put"] * 3 + ["move"] * 2
        kinds += ["migrate", "grant", "delete", "again", "buy"]
        kinds += ["pay", "refund", "charge_back"] * (bought > 0)
        kinds += ["catalog"] * (2 * (number < catalogs - 1)) + ["void"] * (grants > 0)
        what, customer = pick(kinds), pick(("a", "a", "a", "b"))
        if what == "wait":
            ahead = [one for one in INSTANTS if one > now]
            if ahead:
                now = pick(ahead[: pick((4, 12, len(ahead)))])
                yield Step("wait", "", {"until": now})
        elif what == "spend":
            yield Step("spend", customer, {"pool": pick(ALL_POOLS), "units": pick((1, 3, 5, 9, 16, 28))})
        elif what in ("put", "again"):
            yield _put(pick, customer, now)
        elif what == "move":
            plan, at = pick(("p", "q", None)), _later(pick, now, may_be=pick((True, True, False)))
            terms = {
                "plan": plan,
                "version": pick((1, 2)),
                "at": at,
                "keep_since": pick((False, False, True)),
            }
            yield Step("move", customer, terms)
        elif what == "migrate":
            old = pick((1, 2))
            terms = {"plan": pick(("p", "q")), "old": old, "new": 3 - old}
            yield Step("migrate", "", {**terms, "at": _later(pick, now, may_be=pick((True, True, False)))})
        elif what == "catalog":
            number += 1
            yield Step("catalog", "", {"number": number})
        elif what == "grant":
            grants += 1
            yield _grant_step(pick, customer, f"g{grants}", now)
        elif what == "void":
            yield Step("void", "", {"name": f"g{pick(range(1, grants + 1))}"})
        elif what == "buy":
            bought += 1
            terms = {"name": f"o{bought}", "quantity": pick((1, 2)), "pending": pick((False, False, True))}
            yield Step("buy", customer, terms)
        elif what in ("pay", "charge_back"):
            yield Step(what, "", {"name": f"o{pick(range(1, bought + 1))}"})
        elif what == "refund":
            name, units = f"o{pick(range(1, bought + 1))}", pick((None, 1, 7))
            yield Step("refund", "", {"name": name, "units": units})
        elif what == "delete":
            yield Step("delete", customer)


def _later(pick: Pick[Any], now: int, *, may_be: bool = True) -> int | None:
    """An instant ahead; None where `may_be` (none)."""
    ahead = [one for one in INSTANTS if one > now]
    return None if may_be or not ahead else pick(ahead[:30])


def _put(pick: Pick[Any], customer: str, now: int) -> Step:
    plan = pick(("p", "p", "q", None))
    trial = None
    if pick((False, False, False, True)):
        until = _later(pick, now, may_be=False)
        trial = None if until is None else (pick(("p", "q")), pick((1, 2)), until)
    addons = {
        name: (pick((1, 2, 3)), _later(pick, now, may_be=pick((True, False))))
        for name in ("x", "y")
        if pick((False, True))
    }
    return Step("put", customer, {"plan": plan, "version": pick((1, 2)), "trial": trial, "addons": addons})


def _grant_step(pick: Pick[Any], customer: str, name: str, now: int) -> Step:
    every = pick((None, None, *LENGTHS))
    keep = None if every is None else pick((None, Keep(5), Keep(9, percent=50)))
    anchor = "calendar" if every is None else pick(("anniversary", "calendar"))
    kind, priority = pick(("paid", "promotional", "top_up")), pick((100, 0))
    line = Line(pick(("c", "d")), pick(AMOUNTS), every, anchor, None, keep, kind, priority)
    starts, expires = _later(pick, now), _later(pick, now, may_be=pick((True, False)))
    if pick((False, False, True)):
        starts = _later(pick, now, may_be=False)
    if expires is not None and expires <= (now if starts is None else starts):
        expires = None
    return Step("grant", customer, {"name": name, "line": line, "starts": starts, "expires": expires})


CHANGES = ("put", "move", "migrate", "delete", "catalog")


def _ahead_of(now: int, terms: dict[str, Any]) -> dict[str, Any]:
    """Without ends and moves that have passed."""
    found = dict(terms)
    if found.get("at") is not None and found["at"] <= now:
        found["at"] = None
    if found.get("trial") is not None and found["trial"][2] <= now:
        found["trial"] = None
    if "addons" in found:
        found["addons"] = {
            name: (quantity, None if until is None or until <= now else until)
            for name, (quantity, until) in found["addons"].items()
        }
    return found


def apart(history: History) -> History:
    """The same, with at most one change of customers and catalogs at an instant."""
    now, changed, steps = 0, False, []
    for step in history.steps:
        if step.what == "wait":
            if step.terms["until"] <= now:
                continue
            now, changed = step.terms["until"], False
        elif step.what in CHANGES:
            if changed:
                now += 1
                steps.append(Step("wait", "", {"until": now}))
            changed = True
            step = step._replace(terms=_ahead_of(now, step.terms))
        steps.append(step)
    return replace(history, steps=tuple(steps))


def _same_lines(history: History) -> History:
    """All versions of a plan have the same lines."""
    catalogs = []
    for catalog in history.catalogs:
        plans = dict(catalog.plans)
        for (plan, version), offer in catalog.plans.items():
            other = catalog.plans.get((plan, 3 - version), offer)
            plans[(plan, version)] = replace(offer, lines={**other.lines, **offer.lines})
        catalogs.append(replace(catalog, plans=plans))
    return replace(history, catalogs=tuple(catalogs))


def _addons_recur(history: History) -> History:
    """Lines of add-ons are recurring."""
    for keys, line in _all_lines(history):
        if keys[0] == "addons" and line.every is None:
            history = _with_line(history, keys, {"every": (1, "month")})
    return history


def _endless(history: History) -> History:
    """Add-ons have no end."""
    steps = [
        one._replace(terms={**one.terms, "addons": {name: (n, None) for name, (n, _) in addons.items()}})
        if (addons := one.terms.get("addons"))
        else one
        for one in history.steps
    ]
    return replace(history, steps=tuple(steps))


def _once_steady(history: History) -> History:
    """Lines given once are the same in every version and catalog, and lines of add-ons are recurring."""
    history = _addons_recur(history)
    once = {keys: line for keys, line in _all_lines(history) if line.every is None}
    catalogs = []
    for catalog in history.catalogs:
        plans = {}
        for (plan, version), offer in catalog.plans.items():
            same = {name: line for (_, other, name), line in once.items() if other == plan}
            plans[(plan, version)] = replace(offer, lines={**offer.lines, **same})
        catalogs.append(replace(catalog, plans=plans))
    return replace(history, catalogs=tuple(catalogs))


def _same_lasts(history: History) -> History:
    """No catalog changes `expires_after`."""
    for keys, line in _all_lines(history):
        history = _with_line(history, keys, {"lasts": line.lasts})
    return history


def _no_moves_ahead(history: History) -> History:
    steps = [
        one._replace(terms={**one.terms, "at": None}) if one.terms.get("at") else one for one in history.steps
    ]
    return replace(history, steps=tuple(steps))


def _lines_stay(history: History) -> History:
    """No catalog takes a line away."""
    catalogs = [history.catalogs[0]]
    for catalog in history.catalogs[1:]:
        parts: dict[str, dict[Any, Offer]] = {"plans": {}, "addons": {}}
        for part, offers in parts.items():
            for key, offer in getattr(catalog, part).items():
                lines = {**getattr(catalogs[-1], part)[key].lines, **offer.lines}
                offers[key] = replace(offer, lines=lines)
        catalogs.append(replace(catalog, plans=parts["plans"], addons=parts["addons"]))
    return replace(history, catalogs=tuple(catalogs))


def _anew(history: History) -> History:
    """Moves do not keep the anniversary."""
    steps = [
        one._replace(terms={**one.terms, "keep_since": False}) if one.what == "move" else one
        for one in history.steps
    ]
    return replace(history, steps=tuple(steps))


def _full(history: History) -> History:
    """Nothing is prorated."""
    for keys, _ in _all_lines(history):
        history = _with_line(history, keys, {"prorated": False})
    return history


def _without(what: str) -> Callable[[History], History]:
    return lambda history: replace(history, steps=tuple(one for one in history.steps if one.what != what))


def _untried(history: History) -> History:
    """Without trials."""
    steps = [
        one._replace(terms={**one.terms, "trial": None}) if one.what == "put" else one
        for one in history.steps
    ]
    return replace(history, steps=tuple(steps))


TAME: dict[str, Callable[[History], History]] = {
    "same-lines": _same_lines,
    "addons-recur": _addons_recur,
    "apart": apart,
    "same-lasts": _same_lasts,
    "lines-stay": _lines_stay,
    "once-steady": _once_steady,
    "endless": _endless,
    "no-moves-ahead": _no_moves_ahead,
    "no-keep-since": _anew,
    "full": _full,
    "no-trials": _untried,
    **{f"no-{what}": _without(what) for what in ("delete", "catalog", "move", "migrate", "grant", "buy")},
}
"""What keeps a campaign off differences that are known already."""


def of_seed(seed: int, steps: int = 12, tame: Sequence[str] = ()) -> History:
    """With odd seeds one change at an instant."""
    chance = random.Random(seed)
    history = draw(chance.choice, steps)
    for one in (*tame, *(("apart",) if seed % 2 else ())):
        history = TAME[one](history)
    return history


@st.composite
def histories(draw_: st.DrawFn, steps: int = 12) -> History:
    """Histories that shrink."""
    return draw(lambda options: draw_(st.sampled_from(options)), steps)


# smaller ones


def shrunk(history: History, fails: Callable[[History], bool]) -> History:
    """The smallest history that fails still, one part after the other taken out."""
    while True:
        for smaller in _smaller(history):
            if fails(smaller):
                history = smaller
                break
        else:
            return history


def _smaller(history: History) -> Iterator[History]:
    steps = history.steps
    for length in (8, 4, 2, 1):
        for first in range(0, len(steps) - length + 1):
            yield replace(history, steps=steps[:first] + steps[first + length :])
    yield from _fewer_catalogs(history)
    for part in ("plans", "addons"):
        for key in getattr(history.catalogs[0], part):
            yield replace(history, catalogs=tuple(_less(one, part, key) for one in history.catalogs))
    for n, catalog in enumerate(history.catalogs):
        for smaller in _smaller_catalogs(catalog):
            yield replace(history, catalogs=(*history.catalogs[:n], smaller, *history.catalogs[n + 1 :]))
    for keys, line in _all_lines(history):
        yield _without_line(history, keys)
        for simpler in _simpler_lines(line):
            yield _with_line(history, keys, simpler)
    for n, step in enumerate(steps):
        for simpler_step in _simpler_steps(step):
            yield replace(history, steps=(*steps[:n], simpler_step, *steps[n + 1 :]))


def _fewer_catalogs(history: History) -> Iterator[History]:
    named = {0, *(one.terms["number"] for one in history.steps if one.what == "catalog")}
    for n in range(len(history.catalogs)):
        if n not in named:
            steps = [
                one._replace(terms={"number": one.terms["number"] - (one.terms["number"] > n)})
                if one.what == "catalog"
                else one
                for one in history.steps
            ]
            yield History(history.catalogs[:n] + history.catalogs[n + 1 :], tuple(steps))


def _less(catalog: Catalog, part: str, key: Any) -> Catalog:
    """Without an offer."""
    return replace(
        catalog, **{part: {name: one for name, one in getattr(catalog, part).items() if name != key}}
    )


def _smaller_catalogs(catalog: Catalog) -> Iterator[Catalog]:
    for part in ("plans", "addons"):
        offers = getattr(catalog, part)
        for key, offer in offers.items():
            for line in offer.lines:
                fewer = {name: one for name, one in offer.lines.items() if name != line}
                yield replace(catalog, **{part: {**offers, key: replace(offer, lines=fewer)}})
            for quota in offer.quotas:
                quotas = {name: one for name, one in offer.quotas.items() if name != quota}
                yield replace(catalog, **{part: {**offers, key: replace(offer, quotas=quotas)}})


def _all_lines(history: History) -> list[tuple[tuple[str, Any, str], Line]]:
    """Lines by (plans or addons, offer without its version, name)."""
    found: dict[tuple[str, Any, str], Line] = {}
    for catalog in history.catalogs:
        for part in ("plans", "addons"):
            for key, offer in getattr(catalog, part).items():
                for name, line in offer.lines.items():
                    found.setdefault((part, key[0] if part == "plans" else key, name), line)
    return list(found.items())


def _simpler_lines(line: Line) -> Iterator[dict[str, Any]]:
    """Terms to change wherever the line stands."""
    plain = {"lasts": None, "keep": None, "kind": "plan", "priority": 0, "paid": False, "existing": False,
             "prorated": False, "pool": "d", "anchor": "calendar"}  # fmt: skip
    for name, value in plain.items():
        if getattr(line, name) != value:
            yield {name: value}
    if line.every is not None and line.every != (1, "month"):
        yield {"every": (1, "month")}


def _without_line(history: History, keys: tuple[str, Any, str]) -> History:
    part, offer_name, gone = keys
    catalogs = []
    for catalog in history.catalogs:
        offers = {
            key: replace(one, lines={name: line for name, line in one.lines.items() if name != gone})
            if (key[0] if part == "plans" else key) == offer_name
            else one
            for key, one in getattr(catalog, part).items()
        }
        catalogs.append(replace(catalog, **{part: offers}))
    return replace(history, catalogs=tuple(catalogs))


def _with_line(history: History, keys: tuple[str, Any, str], terms: dict[str, Any]) -> History:
    part, offer_name, name = keys
    catalogs = []
    for catalog in history.catalogs:
        offers = dict(getattr(catalog, part))
        for key, offer in offers.items():
            if name in offer.lines and (key[0] if part == "plans" else key) == offer_name:
                lines = {**offer.lines, name: replace(offer.lines[name], **terms)}
                offers[key] = replace(offer, lines=lines)
        catalogs.append(replace(catalog, **{part: offers}))
    return replace(history, catalogs=tuple(catalogs))


def _simpler_steps(step: Step) -> Iterator[Step]:
    terms = step.terms
    plain: dict[str, Any] = {"trial": None, "keep_since": False, "at": None, "starts": None, "expires": None}
    for name, value in plain.items():
        if terms.get(name) is not None and terms[name] != value:
            yield step._replace(terms={**terms, name: value})
    for name, had in terms.get("addons", {}).items():
        yield step._replace(
            terms={**terms, "addons": {k: v for k, v in terms["addons"].items() if k != name}}
        )
        for simpler in ((1, had[1]), (had[0], None)):
            if simpler != had:
                yield step._replace(terms={**terms, "addons": {**terms["addons"], name: simpler}})
    if step.what == "spend" and terms["units"] > 1:
        yield step._replace(terms={**terms, "units": 1})
    if step.customer == "b":
        yield step._replace(customer="a")
    if step.what == "wait" and terms["until"] % DAY_MS:
        yield step._replace(terms={"until": terms["until"] // DAY_MS * DAY_MS + DAY_MS})


# the campaign


def smallest(history: History, tame: Sequence[str] = (), **how: bool) -> History:
    """The smallest that differs, and stays as tame."""
    kept = [name for name in {*tame, "apart"} if _is(name, history)]
    history = replace(history, steps=history.steps[: play(history, **how).step + 1])
    return shrunk(
        history, lambda smaller: all(_is(name, smaller) for name in kept) and _differs(smaller, **how)
    )


def _is(name: str, history: History) -> bool:
    try:
        return TAME[name](history) == history
    except KeyError:
        return False


def _differs(history: History, **how: bool) -> bool:
    try:
        return bool(difference(history, **how))
    except (KeyError, AssertionError):
        return False  # The model cannot play it: it names what is not there.


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.grant_histories", description=__doc__)
    parser.add_argument("--histories", type=int, default=1_000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--tame", nargs="*", default=(), choices=TAME, help="what to leave out")
    parser.add_argument("--present", action="store_true", help="compare no balances ahead")
    parser.add_argument("--every", type=int, default=1, help="the distance of seeds")
    parser.add_argument("--most", type=int, default=3, help="differences after which it ends")
    given = parser.parse_args(args)
    began, found, refused, played_steps = time.monotonic(), 0, Counter[str](), 0
    last = given.first_seed + given.histories * given.every
    for seed in range(given.first_seed, last, given.every):
        history = of_seed(seed, given.steps, given.tame)
        played = play(history, ahead=not given.present)
        played_steps += played.step + 1
        refused.update(one.partition(":")[0] for one in played.refused.elements())
        if played.difference:
            found += 1
            print(f"seed {seed}: {played.difference}", flush=True)
            small = smallest(history, given.tame, ahead=not given.present)
            print(f"    {difference(small, ahead=not given.present)}\n{small}\n", flush=True)
            if found == given.most:
                break
    seconds = time.monotonic() - began
    print(f"{played_steps} steps, {found} differences, {seconds:.0f} s; refused: {dict(refused)}")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
