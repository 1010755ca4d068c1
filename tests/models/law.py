"""The law of `docs/decisions/0012-where-grants-come-from.md` in plain Python, slow and obvious.

`Law` keeps everything that was asked, with its instant. To answer, it lives a customer's whole life again,
from the first request to the instant asked for, one instant after the other; nothing is kept between two
answers. Amounts are units of their pool. Of the product it knows only calendar arithmetic.

Where the law is silent, a comment that begins with "Silent:" says which reading this is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from fastcheck.ledger.periods import Anchor, Recurrence, Span, Unit, add, index, next_start, start

DAY_MS = 86_400_000
RESTORE_MS = 30 * DAY_MS
DEFAULT_ORDER = ("priority", "expiry", "kind", "oldest")
BOUGHT = ("paid", "top_up")
NEVER = 1 << 62

Every = tuple[int, str]
"""A length of time: (3, "month")."""
Key = tuple[str, ...]
"""Of an offer: ("plan", "pro"). Of a line: ("plan", "pro", "credits")."""


# what is sold


class Keep(NamedTuple):
    """A rollover."""

    max: int
    min: int = 0
    percent: int = 100
    once: bool = False

    def of(self, left: int, rolled: int) -> int:
        fresh = left - rolled if self.once else left
        return min(self.max, max(self.min, fresh * self.percent // 100))


@dataclass(frozen=True)
class Line:
    """One grant of an offer."""

    pool: str
    amount: int
    every: Every | None = None
    anchor: str = "calendar"
    lasts: Every | None = None
    """`expires_after`."""
    keep: Keep | None = None
    kind: str = "plan"
    priority: int = 0
    paid: bool = False
    """Whether it has a cost."""
    existing: bool = False
    """`existing: give`."""
    prorated: bool = False


@dataclass(frozen=True)
class Offer:
    """A plan version or an add-on."""

    lines: Mapping[str, Line] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(default_factory=dict)
    """Of meters; of an add-on: what each of it adds."""


@dataclass(frozen=True)
class Pool:
    overdraft: int | None = 0
    """Units below zero; None: without a bound."""
    order: Sequence[str] = DEFAULT_ORDER


@dataclass(frozen=True)
class Meter:
    every: Every
    anchor: str = "calendar"
    default: int = 0
    overdraft: int | None = 0


@dataclass(frozen=True)
class Catalog:
    pools: Mapping[str, Pool]
    meters: Mapping[str, Meter]
    plans: Mapping[tuple[str, int], Offer]
    addons: Mapping[str, Offer]


# what a customer has


@dataclass(frozen=True)
class Record:
    """What was asked for a customer. `trial`: (plan, version, until); `addons`: name -> (quantity, until)."""

    plan: str | None = None
    version: int = 1
    since: int = 0
    trial: tuple[str, int, int] | None = None
    addons: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)


@dataclass
class Stay:
    """A trial or an add-on, from its begin to its end."""

    anchor_at: int
    until: int | None
    ended: str = ""
    """"": it goes on; "itself", "cut"."""


@dataclass
class Had:
    """An offer as a customer has it."""

    offer: Offer
    quantity: int
    until: int | None
    anchor_at: int
    """Where the anniversaries of its lines count from."""

    def amount(self, name: str) -> int:
        return self.offer.lines[name].amount * self.quantity if name in self.offer.lines else 0


ON, OFF, OVER = "on", "off", "over"


@dataclass
class Lot:
    """A line as a customer has it, a meter's quota, a grant by hand, or a line of a purchase."""

    key: Key
    line: Line
    amount: int
    """Of the next refill."""
    began: int
    anchor_at: int
    until: int | None = None
    stay: Stay | None = None
    allowed: int = 0
    used: int = 0
    rolled: int = 0
    counts_from: int = 0
    """The begin, then each refill."""
    state: str = ON
    """OFF: taken, and may come back."""
    dry: bool = False
    """What was left of the period has ended (`expires_after`)."""
    leaving: bool = False
    """Ends at its next refill."""
    deleted: bool = False
    """Taken by a deletion."""

    @property
    def recurring(self) -> bool:
        return self.line.every is not None

    def left(self, now: int) -> int:
        if self.state != ON or self.dry or now < self.began:
            return 0
        return self.rolled + max(0, self.allowed - self.used)

    def recurrence(self) -> Recurrence:
        assert self.line.every is not None
        return Recurrence(span(self.line.every), Anchor(self.line.anchor), self.anchor_at)

    def refill_at(self) -> int:
        """When its period ends."""
        return next_start(self.recurrence(), self.counts_from)

    def over_at(self) -> int:
        """When it ends for good, as far as one knows now."""
        until = NEVER if self.until is None else self.until
        if self.recurring or self.line.lasts is None:
            return until
        return min(until, add(self.began, span(self.line.lasts)))

    def dry_at(self) -> int:
        """When what is left of this period ends."""
        if not self.recurring or self.line.lasts is None:
            return NEVER
        return add(self.counts_from, span(self.line.lasts))

    def rest(self, of: int, now: int) -> tuple[int, int]:
        """`of` times what is left of the period, as a fraction."""
        recurrence = self.recurrence()
        k = index(recurrence, now)
        begins, ends = start(recurrence, k), start(recurrence, k + 1)
        return of * (ends - now), ends - begins

    def rise(self, before: int, to: int, now: int) -> None:
        most = max(self.allowed, to)
        if self.line.prorated and self.recurring:
            more, parts = self.rest(to - before, now)
            self.allowed = min(most, self.allowed + more // parts)
        else:
            self.allowed = most

    def fall(self, before: int, to: int, now: int) -> None:
        if not (self.line.prorated and self.recurring):
            self.allowed = min(self.allowed, to)
            return
        less, parts = self.rest(before - to, now)
        fallen = max(0, self.allowed - -(-less // parts))
        self.allowed = max(to, fallen) if self.allowed > to else fallen

    def refill(self, at: int) -> None:
        kept = 0 if self.line.keep is None else self.line.keep.of(self.left(at), self.rolled)
        self.begin_period(at, kept)

    def begin_period(self, at: int, rolled: int = 0) -> None:
        self.allowed, self.used, self.rolled = self.amount, 0, rolled
        self.counts_from, self.dry = at, False

    def runs(self, now: int) -> bool:
        """Whether the period that it counts still runs."""
        return self.recurring and now < self.refill_at()


def span(every: Every) -> Span:
    return Span(every[0], Unit(every[1]))


class Ahead(NamedTuple):
    """A move ahead."""

    at: int
    plan: str | None
    version: int
    keep_since: bool
    only_from: tuple[str, int] | None


class Life:
    """One customer's life, lived instant by instant."""

    def __init__(self) -> None:
        self.now = -1
        self.catalog: Catalog | None = None
        self.known = False
        """False: there is no such customer, or they are deleted."""
        self.record = Record()
        self.lots: list[Lot] = []
        self.stays: dict[Key, Stay] = {}
        self.owed: dict[str, int] = {}
        """Units that no line has paid, by pool."""
        self.spent: dict[str, int] = {}
        self.moves: list[Ahead] = []
        self.bought: dict[str, tuple[str, int]] = {}
        """Orders that are not paid yet."""

    # time

    def next_change(self) -> int:
        """The first instant after now at which time alone changes something."""
        found = [move.at for move in self.moves]
        found += [stay.until for stay in self.stays.values() if stay.until is not None]
        for lot in self.lots:
            if lot.state == ON:
                found += [lot.over_at(), lot.dry_at(), lot.began]
                found += [lot.refill_at()] if lot.recurring else []
        return min((at for at in found if at > self.now), default=NEVER)

    def pass_to(self, now: int) -> None:
        """What time does: ends, then refills, then starts."""
        self.now = now
        for stay in self.stays.values():
            if not stay.ended and stay.until is not None and stay.until <= now:
                stay.ended = "itself"
        for lot in self.lots:
            if lot.state == ON and lot.over_at() <= now:
                lot.state = OVER
        for lot in self.lots:
            if lot.state != ON or now < lot.began:
                continue
            lot.dry = lot.dry or lot.dry_at() <= now
            if lot.recurring and lot.refill_at() <= now:
                if lot.leaving:
                    lot.state = OVER
                else:
                    lot.refill(now)
        self._meters()
        self.settle()

    # offers

    def offers(self) -> dict[Key, Had]:
        """What the customer has by record and catalog, now."""
        record, catalog = self.record, self.catalog
        found: dict[Key, Had] = {}
        if not self.known or catalog is None:
            return found
        if record.plan is not None:
            offer = catalog.plans[(record.plan, record.version)]
            found[("plan", record.plan)] = Had(offer, 1, None, record.since)
        if record.trial is not None and record.trial[2] > self.now:
            plan, version, until = record.trial
            key: Key = ("trial", plan)
            found[key] = Had(catalog.plans[(plan, version)], 1, until, self._anchor(key))
        for name, (quantity, end) in record.addons.items():
            if end is None or end > self.now:
                key = ("addon", name)
                found[key] = Had(catalog.addons[name], quantity, end, self._anchor(key))
        return found

    def _anchor(self, key: Key) -> int:
        """Where the anniversaries of a trial or an add-on count from; now for one that begins."""
        stay = self.stays.get(key)
        return self.now if stay is None or stay.ended else stay.anchor_at

    def last(self, key: Key) -> Lot | None:
        """The newest of a line."""
        return next((lot for lot in reversed(self.lots) if lot.key == key), None)

    # the catalog

    def set_catalog(self, catalog: Catalog) -> None:
        before = self.offers()
        here = {id(lot) for lot in self.lots}
        self.catalog = catalog
        for key, new in self.offers().items():
            old = before[key]
            for name in sorted({*old.offer.lines, *new.offer.lines}):
                self._edit(key, name, old, new)
        self._carry([lot for lot in self.lots if id(lot) not in here])
        self._meters()
        self.settle()

    def _edit(self, key: Key, name: str, old: Had, new: Had) -> None:
        """A line of an offer that the customer has, from one catalog to the next."""
        line = new.offer.lines.get(name)
        before, now = old.amount(name), new.amount(name)
        lot = self.last((*key, name))
        if line is None:
            if lot is not None and lot.recurring and lot.state == ON:
                lot.leaving, lot.amount = True, 0
        elif line.every is None:
            has = lot is not None and (key[0] == "plan" or lot.stay is self.stays.get(key))
            if name not in old.offer.lines and line.existing and not has:
                self._begin_line(key, name, new)
        elif lot is None or lot.state != ON:
            if name not in old.offer.lines:
                self._begin_line(key, name, new)
        else:
            lot.line, lot.leaving, lot.amount = line, False, now
            if now > before:
                lot.rise(before, now, self.now)
            if lot.dry_at() <= self.now:
                lot.dry = True

    # the customer

    def become(self, record: Record) -> None:
        """The customer as they are asked to be, from now on."""
        before, old = self.offers(), self.record
        was_known, self.known, self.record = self.known, True, record
        after = self.offers()
        # Silent: what it is that a trial becomes a plan. The customer had no plan of their own besides.
        on_trial = old.plan is None and any(key[0] == "trial" for key in before)
        becomes_plan = on_trial and record.plan is not None and record.trial is None
        here = {id(lot) for lot in self.lots if lot.state == ON}
        if not was_known:
            self._come_again()
        for key in before:
            if key not in after:
                self._leave(key)
        for key in after:
            if key in before:
                self._alter(key, before[key], after[key])
        for key in after:
            if key not in before:
                self._begin(key, after[key])
        if not becomes_plan:
            self._carry([lot for lot in self.lots if id(lot) not in here])
        self._meters(anew=becomes_plan)
        self.settle()

    def _leave(self, key: Key) -> None:
        """An offer is left."""
        if key in self.stays and not self.stays[key].ended:
            self.stays[key].ended = "cut"
        for lot in self.lots:
            if lot.key[:-1] != key or lot.state != ON:
                continue
            if lot.recurring or key[0] == "trial":
                lot.state = OFF

    def _alter(self, key: Key, old: Had, new: Had) -> None:
        """An offer that stays, in another version or quantity, or with another end."""
        stay = self.stays.get(key)
        if stay is not None:
            stay.until = new.until
            for lot in self.lots:
                if lot.stay is stay and lot.state == ON:
                    lot.until = new.until
        if (old.offer, old.quantity) == (new.offer, new.quantity):
            return
        for name in sorted({*old.offer.lines, *new.offer.lines}):
            self._change(key, name, old, new)

    def _change(self, key: Key, name: str, old: Had, new: Had) -> None:
        """A line of an offer whose version or quantity changes."""
        line = new.offer.lines.get(name)
        before, now = old.amount(name), new.amount(name)
        lot = self.last((*key, name))
        if lot is None or lot.state != ON:
            # Silent: a line given once that the customer did not get, because it was added to the offer
            # after they came, does not rise either. Nor does one that has ended.
            if line is None or name in old.offer.lines:
                return
            if lot is not None and lot.state == OFF and lot.runs(self.now):
                self._come_back(lot, new, name)
            elif lot is None or line.every is not None:
                self._begin_line(key, name, new)
            return
        paid = lot.line.paid
        if line is None and lot.recurring and not paid:
            # Silent: a line that the version does not have. It is taken; one that is paid for ends at its
            # next refill.
            lot.state = OFF
            return
        if line is not None and lot.recurring:
            lot.line = line
        if now > before:
            lot.rise(before, now, self.now)
        elif now < before and not paid:
            lot.fall(before, now, self.now)
        if lot.recurring:
            lot.amount, lot.leaving = now, line is None
            lot.dry = lot.dry or lot.dry_at() <= self.now

    def _begin(self, key: Key, had: Had) -> None:
        """An offer that the customer did not have a moment ago."""
        names = sorted(had.offer.lines)
        if key[0] == "plan":
            for name in names:
                self._plan_line(key, name, had)
            return
        stay = self.stays.get(key)
        # Silent: one that was cut short, and whose end has passed since, has ended by itself.
        if stay is None or stay.ended == "itself" or (stay.until is not None and stay.until <= self.now):
            self.stays[key] = Stay(self.now, had.until)
            for name in names:
                self._begin_line(key, name, had)
            return
        # Silent: a period of an offer with an end runs until that end at most.
        in_time = stay.until is not None and self.now < stay.until
        old = {name: self.last((*key, name)) for name in names}
        back = {
            name: lot
            for name, lot in old.items()
            if lot is not None
            and lot.state == OFF
            and (in_time or (stay.until is None and lot.runs(self.now)))
        }
        if in_time or back:
            stay.until, stay.ended = had.until, ""
            stay.anchor_at = stay.anchor_at if in_time else self.now
        else:
            self.stays[key] = Stay(self.now, had.until)
        if in_time:
            for lot in self.lots:
                if lot.stay is stay and lot.state == ON:
                    lot.until = had.until  # Silent: lines given once, which stayed, have the end of the stay.
        for name in names:
            if name in back:
                self._come_back(back[name], had, name)
            elif had.offer.lines[name].every is not None:
                self._begin_line(key, name, had)

    def _plan_line(self, key: Key, name: str, had: Had) -> None:
        lot = self.last((*key, name))
        if had.offer.lines[name].every is None:
            if lot is None:  # Once in a life.
                self._begin_line(key, name, had)
        elif lot is not None and lot.state == OFF and lot.runs(self.now):
            self._come_back(lot, had, name)
        else:
            self._begin_line(key, name, had)

    def _begin_line(self, key: Key, name: str, had: Had) -> None:
        line, amount = had.offer.lines[name], had.amount(name)
        lot = Lot((*key, name), line, amount, self.now, had.anchor_at, had.until, self.stays.get(key), amount)
        lot.counts_from = self.now
        if line.prorated and lot.recurring:
            part, parts = lot.rest(amount, self.now)
            lot.allowed = part // parts
        self.lots.append(lot)

    def _come_back(self, lot: Lot, had: Had, name: str) -> None:
        """A line that was taken comes back with its anchor and what was left."""
        self._catch_up(lot)
        before, now, paid = lot.amount, had.amount(name), lot.line.paid
        lot.state, lot.deleted, lot.leaving = ON, False, False
        lot.until, lot.line = had.until, had.offer.lines[name]
        lot.amount = now
        # Silent: an amount that changed meanwhile rises or falls as with another version or quantity.
        if now > before:
            lot.rise(before, now, self.now)
        elif now < before and not paid:
            lot.fall(before, now, self.now)
        lot.dry = lot.dry or lot.dry_at() <= self.now

    def _catch_up(self, lot: Lot) -> None:
        """Brings a line that was off to its present period. Silent: as if it had been on."""
        was, lot.state = lot.state, ON
        while lot.recurring and not lot.runs(self.now):
            lot.dry = lot.dry or lot.dry_at() <= lot.refill_at()
            lot.refill(lot.refill_at())
        lot.state = was

    def _carry(self, begun: Sequence[Lot]) -> None:
        """What was used of plans' lines that were taken counts against those that begin or come back."""
        here = [lot for lot in begun if lot.key[0] == "plan" and lot.recurring and lot.state == ON]
        for pool in sorted({lot.line.pool for lot in here}):
            of_plans = [lot for lot in self.lots if lot.key[0] == "plan" and lot.recurring]
            of_plans = [lot for lot in of_plans if lot.line.pool == pool]
            taken: dict[str, int] = {}
            for lot in of_plans:
                if lot.state == OFF and lot.runs(self.now):
                    taken[lot.key[1]] = taken.get(lot.key[1], 0) + lot.used
            carried = max(taken.values(), default=0)
            carried -= sum(lot.used for lot in of_plans if lot.state == ON)
            lots = [lot for lot in self.order(pool) if any(lot is one for one in here)]
            for lot in lots:
                part = min(max(0, carried), max(0, lot.allowed - lot.used))
                lot.used += part
                carried -= part
            lots[-1].used += max(0, carried)

    # meters

    def quota(self, name: str) -> int:
        """By the trial, else the plan, else the default; add-ons add to the last two."""
        assert self.catalog is not None
        offers = self.offers()
        for key, had in offers.items():
            if key[0] == "trial" and name in had.offer.quotas:
                return had.offer.quotas[name]
        quota = self.catalog.meters[name].default
        for key, had in offers.items():
            if key[0] == "plan":
                quota = had.offer.quotas.get(name, quota)
        return quota + sum(
            had.quantity * had.offer.quotas.get(name, 0) for key, had in offers.items() if key[0] == "addon"
        )

    def _meters(self, *, anew: bool = False) -> None:
        """One line for each meter, whatever the plan."""
        if self.catalog is None or not self.known:
            return
        for name, meter in self.catalog.meters.items():
            key, since = ("meter", name), self.record.since
            lot = self.last(key)
            if lot is None:
                line = Line(name, 0, meter.every, meter.anchor)
                lot = Lot(key, line, 0, self.now, since, counts_from=self.now)
                self.lots.append(lot)
            if lot.state == OFF:
                self._catch_up(lot)
                lot.state, lot.deleted = ON, False
            if meter.anchor == "anniversary" and (anew or lot.anchor_at != since):
                # Silent: where the anniversary moves, the period begins at it, and what was used counts on.
                lot.anchor_at, lot.counts_from = since, self.now
                lot.used = 0 if anew else lot.used
            lot.amount = lot.allowed = self.quota(name)

    # the end, and again

    def delete(self) -> None:
        for lot in self.lots:
            if lot.state == ON:
                lot.state, lot.deleted = OFF, True
        for stay in self.stays.values():
            stay.ended = stay.ended or "cut"
        self.known, self.record, self.moves = False, Record(), []

    def _come_again(self) -> None:
        """The id is put again: what comes back of itself."""
        for lot in self.lots:
            if not lot.deleted:
                continue
            if lot.key[0] == "plan" and lot.recurring:
                lot.deleted = False
            elif lot.key[0] in ("plan", "addon") and not lot.recurring:
                lot.state = ON
            elif lot.key[0] == "purchase" or (lot.key[0] == "hand" and lot.line.kind in BOUGHT):
                lot.state = ON
                self._catch_up(lot)
            elif lot.key[0] == "hand":
                lot.state = OVER
            if lot.state == ON:
                lot.deleted = False
                if lot.over_at() <= self.now:
                    lot.state = OVER

    # plan changes

    def move(self, at: int, plan: str | None, version: int, keep_since: bool) -> None:
        """Replaces every move at this instant and after."""
        self.moves = [one for one in self.moves if one.at < at]
        self._ask(Ahead(at, plan, version, keep_since, None))

    def migrate(self, at: int, plan: str, old: int, new: int) -> None:
        if (self.record.plan, self.record.version) == (plan, old):
            same = [one for one in self.moves if one.only_from == (plan, old)]
            if all((one.at, one.version) != (at, new) for one in same):
                self.moves = [one for one in self.moves if one not in same]
                self._ask(Ahead(at, plan, new, True, (plan, old)))

    def _ask(self, move: Ahead) -> None:
        if move.at <= self.now:
            self.carry_out(move)
        else:
            self.moves = sorted([*self.moves, move], key=lambda one: one.at)

    def carry_out(self, move: Ahead) -> None:
        self.moves = [one for one in self.moves if one is not move]
        record = self.record
        if move.only_from is not None and (record.plan, record.version) != move.only_from:
            return
        keeps = move.keep_since or record.plan == move.plan
        since = record.since if keeps else self.now
        self.become(replace(record, plan=move.plan, version=move.version, since=since))

    # by hand, and bought

    def grant(self, id: str, line: Line, starts: int, expires: int | None) -> None:
        lot = Lot(("hand", id), line, line.amount, max(starts, self.now), starts, expires)
        lot.allowed, lot.counts_from = line.amount, lot.began
        self.lots.append(lot)
        self.settle()

    def void(self, id: str) -> None:
        lot = self.last(("hand", id))
        if lot is not None:
            lot.state, lot.deleted = OVER, False

    def buy(self, id: str, addon: str, quantity: int, paid: bool) -> None:
        self.bought[id] = (addon, quantity)
        if paid:
            self.pay(id)

    def pay(self, id: str) -> None:
        assert self.catalog is not None
        if id not in self.bought:
            return
        addon, quantity = self.bought.pop(id)
        for name, line in sorted(self.catalog.addons[addon].lines.items()):
            amount = line.amount * quantity
            lot = Lot(("purchase", id, name), line, amount, self.now, self.now, allowed=amount)
            lot.counts_from = self.now
            self.lots.append(lot)
        self.settle()

    def refund_purchase(self, id: str, amount: int | None) -> None:
        """Takes back units of a purchase, at most what is left; None: all of that."""
        for lot in self.lots:
            if lot.key[:2] == ("purchase", id):
                back = lot.left(self.now) if amount is None else min(amount, lot.left(self.now))
                lot.allowed -= back
                amount = None if amount is None else amount - back

    def charge_back(self, id: str) -> None:
        """What is left is taken, what was used is owed."""
        self.bought.pop(id, None)
        for lot in self.lots:
            if lot.key[:2] == ("purchase", id):
                self.owed[lot.line.pool] = self.owed.get(lot.line.pool, 0) + lot.used
                lot.used, lot.state = 0, OVER
        self.settle()

    # use

    def order(self, pool: str) -> list[Lot]:
        """The lines of a pool that may be burned, in burn order."""
        assert self.catalog is not None
        keys = self.catalog.pools[pool].order if pool in self.catalog.pools else DEFAULT_ORDER
        here = [lot for lot in self.lots if lot.line.pool == pool and lot.state == ON]
        here = [lot for lot in here if lot.began <= self.now]
        return sorted(here, key=lambda lot: (*(self._rank(lot, one) for one in keys), id_of(lot.key)))

    def _rank(self, lot: Lot, key: str) -> int:
        if key == "priority":
            return lot.line.priority
        if key == "expiry":
            refill = lot.refill_at() if lot.recurring else NEVER
            return min(lot.over_at(), refill, lot.dry_at())
        if key == "expires_at":
            return lot.over_at()
        if key == "kind":
            return int(lot.line.kind in BOUGHT)
        if key == "plan":
            return int(lot.line.kind != "plan")
        return lot.began if key == "oldest" else -lot.began

    def settle(self) -> None:
        """What is owed is paid from what there is now."""
        for pool, owed in self.owed.items():
            self.owed[pool] = 0
            self._burn(pool, owed)

    def _burn(self, pool: str, units: int) -> None:
        for lot in self.order(pool) if units else ():
            if lot.key[0] == "meter":
                lot.used += units  # Beyond its quota is overage of this period.
                return
            paid = min(units, lot.left(self.now))
            rolled = min(paid, lot.rolled)
            lot.rolled -= rolled
            lot.used += paid - rolled
            units -= paid
        self.owed[pool] = self.owed.get(pool, 0) + units

    def spend(self, pool: str, units: int) -> None:
        self.spent[pool] = self.spent.get(pool, 0) + units
        self._burn(pool, units)

    def may_spend(self, pool: str, units: int) -> bool:
        assert self.catalog is not None
        meters, pools = self.catalog.meters, self.catalog.pools
        of: Pool | Meter = meters[pool] if pool in meters else pools[pool]
        if of.overdraft is None:
            return True
        return units <= self.remaining(pool) - self.overage(pool) + of.overdraft

    # answers

    def remaining(self, pool: str) -> int:
        return sum(lot.left(self.now) for lot in self.lots if lot.line.pool == pool)

    def overage(self, pool: str) -> int:
        beyond = sum(
            max(0, lot.used - lot.allowed)
            for lot in self.lots
            if lot.key == ("meter", pool) and lot.state == ON
        )
        return beyond + self.owed.get(pool, 0)

    def left(self, pool: str) -> dict[str, int]:
        """What is left by line or grant; those with nothing are not named."""
        found: dict[str, int] = {}
        for lot in self.lots:
            if lot.line.pool == pool and lot.left(self.now):
                found[id_of(lot.key)] = found.get(id_of(lot.key), 0) + lot.left(self.now)
        return found


def id_of(key: Key) -> str:
    """As the ledger names it: `plan:pro:credits`; a grant by hand has its own id, and a purchase's begin with
    its own."""
    if key[0] == "purchase":
        return f"purchase:{key[1]}"
    return key[1] if key[0] == "hand" else ":".join(key)


class Balance(NamedTuple):
    """What a customer has in a pool."""

    remaining: int
    overage: int
    used: int
    left: Mapping[str, int]


class Asked(NamedTuple):
    """One request."""

    at: int
    customer: str | None
    """None: it is about all."""
    what: str
    terms: tuple[Any, ...]


class Law:
    """Everything that was asked, and what follows from it."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.asked: list[Asked] = []

    # requests

    def wait(self, until: int) -> None:
        self.now = max(self.now, until)

    def set_catalog(self, catalog: Catalog) -> None:
        self._note(None, "set_catalog", catalog)

    def put(
        self,
        customer: str,
        *,
        plan: str | None = None,
        version: int = 1,
        since: int | None = None,
        trial: tuple[str, int, int] | None = None,
        addons: Mapping[str, tuple[int, int | None]] | None = None,
    ) -> None:
        """`put_customer`; the versions are given. `trial` with `plan` None: the plan itself is on trial."""
        life = self.life(customer)
        if since is None:
            same = life.known and life.record.plan == plan
            since = life.record.since if same else self.now
        self._note(customer, "become", Record(plan, version, since, trial, dict(addons or {})))

    def move(
        self,
        customer: str,
        plan: str | None,
        version: int = 1,
        *,
        at: int | None = None,
        keep_since: bool = False,
    ) -> None:
        self._note(customer, "move", self.now if at is None else at, plan, version, keep_since)

    def migrate(self, plan: str, old: int, new: int, *, at: int | None = None) -> None:
        self._note(None, "migrate", self.now if at is None else at, plan, old, new)

    def delete(self, customer: str) -> None:
        self._note(customer, "delete")

    def restore(self, customer: str) -> None:
        """As if the deletion had not been."""
        for n in range(len(self.asked) - 1, -1, -1):
            if self.asked[n][1:3] == (customer, "delete"):
                assert self.now <= self.asked[n].at + RESTORE_MS
                del self.asked[n]
                return

    def free_id(self, customer: str) -> None:
        """All that was asked for this id was about another customer, who cannot be named any more."""
        self.asked = [one for one in self.asked if one.customer != customer]

    def grant(
        self, customer: str, id: str, line: Line, *, starts: int | None = None, expires: int | None = None
    ) -> None:
        self._note(customer, "grant", id, line, self.now if starts is None else starts, expires)

    def void(self, customer: str, id: str) -> None:
        self._note(customer, "void", id)

    def buy(self, customer: str, addon: str, quantity: int, id: str, *, paid: bool = True) -> None:
        self._note(customer, "buy", id, addon, quantity, paid)

    def pay(self, customer: str, id: str) -> None:
        self._note(customer, "pay", id)

    def refund_purchase(self, customer: str, id: str, amount: int | None = None) -> None:
        self._note(customer, "refund_purchase", id, amount)

    def charge_back(self, customer: str, id: str) -> None:
        self._note(customer, "charge_back", id)

    def spend(self, customer: str, pool: str, units: int) -> bool:
        """All, or nothing; whether it was all there."""
        if not self.life(customer).may_spend(pool, units):
            return False
        self._note(customer, "spend", pool, units)
        return True

    def _note(self, customer: str | None, what: str, *terms: Any) -> None:
        self.asked.append(Asked(self.now, customer, what, terms))

    # answers

    def balance(self, customer: str, pool: str, at: int | None = None) -> Balance | None:
        """None: there is no such customer then."""
        return self.balances(customer, [pool], at)[pool]

    def balances(
        self, customer: str, pools: Sequence[str], at: int | None = None
    ) -> dict[str, Balance | None]:
        life = self.life(customer, at)
        return {pool: _balance(life, pool) if life.known else None for pool in pools}

    def life(self, customer: str, at: int | None = None) -> Life:
        """The customer's life until an instant, which is included; ahead, as it will be if nothing more is
        asked."""
        until = self.now if at is None else at
        life = Life()
        waiting = [one for one in self.asked if one.customer in (None, customer) and one.at <= until]
        while True:
            now = min(life.next_change(), waiting[0].at if waiting else NEVER)
            if now > until:
                break
            life.pass_to(now)
            here = [one for one in waiting if one.at == now]
            waiting = waiting[len(here) :]
            due = [Asked(now, customer, "carry_out", (move,)) for move in life.moves if move.at <= now]
            # Silent: of what is asked at one instant, what is asked first counts first.
            for one in [*due, *here]:
                if one.customer is not None or one.what == "set_catalog" or life.known:
                    getattr(life, one.what)(*one.terms)
        life.pass_to(until)
        return life


def _balance(life: Life, pool: str) -> Balance:
    overage = life.overage(pool)
    remaining = max(0, life.remaining(pool) - overage)
    return Balance(remaining, overage, life.spent.get(pool, 0), life.left(pool))
