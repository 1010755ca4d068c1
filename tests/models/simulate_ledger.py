"""FAULTS 20 and 21: a host and a ledger with everything in between that can go wrong, from a seed.

A seed is a script: burns, holds, grants, voids, leases, time. It is played twice on a real service over
SQLite in memory: once as it is written, and once with a network that repeats messages (at once or much
later), drops or delays settlements, loses answers after the commit, and with a ledger that fails at any
statement or at the commit. Both must end with the same accounts, to the unit and grant by grant, and what
was used must be what the host counted.

    python -m models.simulate_ledger --seeds 10000"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Terms, Totals
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub.store.statements import Statements
from fastcheck.ledger.model import Account
from fastcheck.ledger.periods import DAY_MS
from fastcheck.ledger.postings import conserved
from fastcheck.wire.by import By
from rig.fake_catalog import FakeCatalog, parse
from rig.requests import make_grant, put_customer
from rig.serving import Service

BEGIN_MS = 1_714_521_600_000
POOL = "ai_credits"
MILLION = 10**6
STEPS = 13
KINDS = (*("burn", "grant", "hold", "back") * 2, "settle", "void", "close", "time")
ATTEMPTS_MAX = 20
LEDGER_SEEDS = 100
"""Played on one ledger: a small one is fast."""


class Crash(Exception):
    """The ledger's process ended here."""


class Ledger:
    """A service whose statements can be made to fail."""

    def __init__(self) -> None:
        self.clock = ManualClock(BEGIN_MS)
        self.store = SqliteStore.in_memory()
        self.service = Service(self.store, self.clock, parse)
        catalog = FakeCatalog()
        self.service.set_catalog(catalog, catalog.source(), "catalog.json")
        self.fuse: int | None = None
        """Statements until the crash; None: none."""
        event.listen(self.store._engine, "before_cursor_execute", self._before)

    def _before(self, connection: Any, cursor: Any, statement: str, *_: object) -> None:
        if self.fuse is None or statement.startswith(("BEGIN", "SAVEPOINT", "ROLLBACK", "RELEASE")):
            return
        self.fuse -= 1
        if self.fuse < 0:
            self.fuse = None
            raise Crash(statement)

    def state(self, customer: str) -> Any:
        """All that counts of an account; ids without the customer's name."""
        number = self.service.number_of(customer)

        def job(connection: Any) -> tuple[Account, list[str]]:
            statements = Statements(connection)
            account = statements.account(number, POOL) or Account()
            return account, conserved(account, statements.postings(number, POOL))

        account, problems = self.store.read(job)
        assert not problems, problems
        held = [
            (one.id.rpartition("/")[2], one.granted, one.remaining, one.burned, one.expired, one.voided)
            for one in account.holdings
        ]
        assert all(one.remaining >= 0 for one in account.holdings)
        return sorted(held), account.overage, account.written_off, account.used()


@dataclass
class Cell:
    """A lease as the host has it."""

    terms: Terms
    lent: int
    spent: int = 0
    returned: int = 0
    closed: bool = False

    def totals(self, *, final: bool = False) -> Totals:
        return Totals(*_key(self.terms), self.terms.lease, self.spent, self.returned, final)


def _key(terms: Terms) -> tuple[int, str]:
    return terms.number, terms.pool


Message = Callable[[], Any]


@dataclass
class Network:
    """Delivers messages; `chance` None: each once, at once."""

    ledger: Ledger
    chance: random.Random | None
    faults: Counter[str] = field(default_factory=Counter)
    late: list[Message] = field(default_factory=list)

    def _happens(self, kind: str, probability: float) -> bool:
        found = self.chance is not None and self.chance.random() < probability
        self.faults[kind] += found
        return found

    def send(self, message: Message, *, same: bool, late: bool = True) -> tuple[Any, bool]:
        """(the answer, whether an earlier one was lost). `same`: a repetition must answer as the first.
        `late`: a repetition may come after later messages."""
        if self.chance is None:
            return message(), False
        self._deliver_late()
        for _ in range(ATTEMPTS_MAX):
            if not self._happens("crash", 0.15):
                break
            self.ledger.fuse = self.chance.randrange(25)
            try:
                answer = message()
                self.ledger.fuse = None  # It had fewer statements: done, and the answer is lost.
                self.faults["lost answer"] += 1
                return self._again(message, answer, same=same), True
            except Crash:
                continue
            finally:
                self.ledger.fuse = None
        answer = message()
        if late and self._happens("late repetition", 0.2):
            self.late.append(message)
        if self._happens("lost answer", 0.15) or self._happens("repetition", 0.1):
            return self._again(message, answer, same=same), True
        return answer, False

    def _again(self, message: Message, answer: Any, *, same: bool) -> Any:
        again = message()
        assert not same or _told(again) == _told(answer), "a repetition was told something else"
        return again

    def tell(self, message: Message) -> None:
        """Sends what may be lost for good, because the next says it again."""
        if self._happens("lost settlement", 0.2):
            return
        if self._happens("late settlement", 0.3):
            self.late.append(message)
            return
        self.send(message, same=False)  # What it tells of, it tells once.

    def _deliver_late(self) -> None:
        assert self.chance is not None
        while self.late and self.chance.random() < 0.3:
            self.late.pop(self.chance.randrange(len(self.late)))()

    def quiet(self) -> None:
        """Everything that is on its way arrives, in any order."""
        if self.chance is not None:
            self.chance.shuffle(self.late)
        for message in self.late:
            message()
        self.late.clear()


class Host:
    """One customer's account and the host that spends it, as the owner of a directory does."""

    def __init__(self, ledger: Ledger, customer: str, network: Network) -> None:
        self.ledger, self.service, self.network = ledger, ledger.service, network
        self.customer = customer
        self.service.put_customers([put_customer(customer, plan="free")])
        self.number = self.service.number_of(customer)
        self.cell: Cell | None = None
        self.holds: list[tuple[str, int, int]] = []
        self.grants: list[str] = []
        self.allowed: list[bool] = []
        self.spent = self.returned = self.late = 0

    def play(self, script: random.Random) -> None:
        """Acts as the script says; what it draws does not depend on what happens."""
        for step in range(STEPS):
            kind = script.choice(KINDS)
            units, other = script.randrange(1, 5) * MILLION, script.random()
            getattr(self, f"_{kind}")(f"s{step}", units, other)
        self._close("", 0, 0.0)
        self.network.quiet()
        self._adopt()
        self._close("", 0, 0.0)

    def _touch(self) -> Cell | None:
        for _ in range(2):
            cell = self.cell
            until = None if cell is None else cell.terms.valid_until
            if cell is not None and not cell.closed and (until is None or self.ledger.clock.now_ms() < until):
                break
            self._reopen()
        return self.cell

    def _reopen(self) -> None:
        finals = [] if self.cell is None else [self._final(self.cell)]
        wanted = [(self.number, POOL)]
        # A host asks for one lease after the other, and the ledger does not tell a late request for one.
        ask = lambda: self.service.relend(finals, wanted)  # noqa: E731
        (terms,), _ = self.network.send(ask, same=True, late=False)
        self.cell = Cell(terms, terms.lent)

    def _final(self, cell: Cell) -> Totals:
        cell.closed = True
        return cell.totals(final=True)

    def _now(self) -> Totals | None:
        return None if self.cell is None or self.cell.closed else self.cell.totals()

    def _take(self, units: int) -> Cell | None:
        cell = self._touch()
        fits = cell is not None and cell.spent + units <= cell.lent + cell.returned
        self.allowed.append(fits)
        if cell is None or not fits:
            return None
        cell.spent += units
        self.spent += units
        return cell

    def _raised(self, terms: Terms | None, lost: bool, reopen: bool) -> None:
        """As the owner does with an answer, or its successor where the answer was lost."""
        cell = self.cell
        if lost:
            self._adopt()
        elif terms is not None and cell is not None and cell.terms.lease == terms.lease and not cell.closed:
            self.cell = Cell(terms, max(terms.lent, cell.lent), cell.spent, cell.returned)
        elif terms is not None or reopen:
            self._reopen()

    def _adopt(self) -> None:
        """Compares the cell with the ledger's lease."""
        for lease in self.service.open_leases():
            if lease.number != self.number:
                continue
            cell = self.cell
            if cell is not None and cell.terms.lease == lease.lease and not cell.closed:
                cell.lent = max(cell.lent, lease.lent)
            else:
                self._reopen()

    # What a script says.

    def _burn(self, step: str, units: int, other: float) -> None:
        self._take(units)

    def _hold(self, step: str, units: int, other: float) -> None:
        cell = self._take(units)
        if cell is not None:
            self.holds.append((f"{self.customer}/{step}", cell.terms.lease, units))

    def _back(self, step: str, units: int, other: float) -> None:
        if not self.holds:
            return
        key, lease, held = self.holds.pop(int(other * len(self.holds)))
        cell = self.cell
        if cell is not None and cell.terms.lease == lease and not cell.closed:
            cell.returned += held
            self.returned += held
            return
        self.late += held
        totals = self._now()
        (terms, reopen), lost = self.network.send(
            lambda: self.service.give_back(key, self.number, POOL, lease, held, totals=totals), same=False
        )
        self._raised(terms, lost, reopen)

    def _settle(self, step: str, units: int, other: float) -> None:
        totals = self._now()
        if totals is not None:
            self.network.tell(lambda: self.service.settle([totals]))

    def _grant(self, step: str, units: int, other: float) -> None:
        id, now = f"{self.customer}/{step}", self.ledger.clock.now_ms()
        request = make_grant(
            self.customer,
            POOL,
            units // MILLION,
            id=id,
            priority=int(other * 3),
            expires_at=now + int(other * 5 * DAY_MS) + 1 if other < 0.4 else None,
        )
        totals, by = self._now(), By(key=id)
        granted, _ = self.network.send(lambda: self.service.grant(request, totals=totals, by=by), same=True)
        self.grants.append(id)
        self._raised(granted.terms, False, granted.reopen)

    def _void(self, step: str, units: int, other: float) -> None:
        if not self.grants:
            return
        id = self.grants[int(other * len(self.grants))]
        finals = [] if self.cell is None else [self._final(self.cell)]
        by = By(key=f"{self.customer}/{step}")

        refused = False

        def void() -> Any:
            nonlocal refused
            if refused:  # Its key is free: asked again later it might be done. Who was refused does not ask.
                return None
            try:
                return self.service.void(id, finals=finals, by=by)
            except errors.Conflict:
                self.service.settle(finals)
                refused = True
                return None

        self.network.send(void, same=True)

    def _close(self, step: str, units: int, other: float) -> None:
        if self.cell is not None and not self.cell.closed:
            finals = [self._final(self.cell)]
            self.network.send(lambda: self.service.settle(finals), same=False)

    def _time(self, step: str, units: int, other: float) -> None:
        # The owner closes a lease when it ends, before anything else happens.
        self.ledger.clock.advance(int(other * 3 * DAY_MS))
        cell = self.cell
        until = None if cell is None or cell.closed else cell.terms.valid_until
        if until is not None and until <= self.ledger.clock.now_ms():
            self._close(step, units, other)


def difference(ledger: Ledger, seed: int, faults: Counter[str]) -> str:
    """Plays a seed with and without faults; what differs, "" for nothing."""
    found = []
    for kind in ("calm", "rough"):
        ledger.clock.set(BEGIN_MS)
        chance = random.Random(~seed) if kind == "rough" else None
        network = Network(ledger, chance, faults)
        host = Host(ledger, f"{kind}-{seed}", network)
        host.play(random.Random(seed))
        # To one instant, so that what expires has expired in both.
        ledger.service.grant(make_grant(host.customer, POOL, 1, id=f"{host.customer}/last"))
        balance = ledger.service.balance(host.customer, POOL)
        used = int(balance.used * MILLION)
        # What comes back to a grant that has expired meanwhile stays used.
        least, most = host.spent - host.returned - host.late, host.spent - host.returned
        assert least <= used <= most, f"seed {seed}, {kind}: used {used}, burned {least} to {most}"
        found.append((host.allowed, ledger.state(host.customer), balance.remaining, balance.used))
    return "" if found[0] == found[1] else f"seed {seed}:\n  {found[0]}\n  {found[1]}"


def main() -> int:
    """Plays many seeds; the number of those that differ."""
    parser = argparse.ArgumentParser(description="the ledger under faults, from seeds")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    faults: Counter[str] = Counter()
    wrong, began = 0, time.monotonic()
    ledger = Ledger()
    for place, seed in enumerate(range(asked.first, asked.first + asked.seeds)):
        if place % LEDGER_SEEDS == LEDGER_SEEDS - 1:
            ledger.store.close()
            ledger = Ledger()
        problem = difference(ledger, seed, faults)
        if problem:
            wrong += 1
            print(problem, flush=True)
    print(f"{asked.seeds} seeds, {wrong} differ, {time.monotonic() - began:.0f} s, faults: {dict(faults)}")
    return min(wrong, 1)


def _told(answer: Any) -> Any:
    """What a caller is told: of a grant, the grant. What its lease gained, an owner hears once."""
    return getattr(answer, "grant", answer)


if __name__ == "__main__":
    sys.exit(main())
