"""The public surface against a naive model, step by step: two processes' views, a clock, reopenings."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fastcheck import Entitlements, errors
from fastcheck.clock import ManualClock
from rig.instants import MAY_2024_MS
from rig.samples import examples

DAY_MS = 86_400_000
CATALOG = """
fastcheck: 1
pools: {credits: {scale: 0}}
features:
  export: {kind: switch}
  seats: {kind: limit}
  region: {kind: value}
  calls: {kind: meter, period: day}
  tokens: {kind: credit, pool: credits, rate: 3}
plans:
  free: {features: {calls: 5}}
  pro: {features: {export: true, seats: 25, region: east, calls: 20, tokens: true}}
"""
PLANS: dict[str | None, dict[str, Any]] = {
    None: {"export": False, "seats": 0, "region": None, "calls": 0, "tokens": False},
    "free": {"export": False, "seats": 0, "region": None, "calls": 5, "tokens": False},
    "pro": {"export": True, "seats": 25, "region": "east", "calls": 20, "tokens": True},
}
RATE = 3
NAMES = st.sampled_from(["a", "b"])
AHEAD = st.none() | st.integers(1, 3 * DAY_MS)


@dataclass
class Grant:
    id: str
    left: int
    expires_at: int | None
    made: int
    voided: bool = False


@dataclass
class Customer:
    """What one customer has, in dicts and lists."""

    plan: str | None = None
    overrides: dict[str, tuple[Any, int | None]] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    called: int = 0
    day: int = 0

    def has(self, feature: str, now: int) -> Any:
        value, until = self.overrides.get(feature, (None, 0))
        return value if until is None or now < until else PLANS[self.plan][feature]

    def open_grants(self, now: int) -> list[Grant]:
        """In burn order: the soonest expiry first, then the oldest."""
        usable = [
            one
            for one in self.grants
            if one.left and not one.voided and (one.expires_at is None or now < one.expires_at)
        ]
        return sorted(usable, key=lambda one: (one.expires_at or 1 << 62, one.made))

    def credits(self, now: int) -> int:
        return sum(one.left for one in self.open_grants(now))

    def burn(self, credits: int, now: int) -> None:
        for one in self.open_grants(now):
            part = min(one.left, credits)
            one.left -= part
            credits -= part
        assert credits == 0

    def calls_left(self, now: int) -> int:
        if now // DAY_MS != self.day:
            self.day, self.called = now // DAY_MS, 0
        return max(0, int(self.has("calls", now)) - self.called)


class Everything(RuleBasedStateMachine):
    """Each rule does the same to fastcheck and to the model; the invariant compares all answers."""

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="fastcheck-model-"))
        self.clock = ManualClock(MAY_2024_MS)
        self.model: dict[str, Customer] = {}
        self.made = 0
        self.open()

    def open(self) -> None:
        self.ents = Entitlements.open(self.directory, catalog=CATALOG, clock=self.clock)
        self.other = Entitlements.attach(self.directory, clock=self.clock)

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.close()
            shutil.rmtree(self.directory)

    def close(self) -> None:
        self.other.close()
        self.ents.close()

    def tick(self) -> None:
        """What the owner's thread does by itself, now."""
        for one in (self.ents, self.other):
            one._set_clock(self.clock.now_ms())
        part: Any = self.ents._host._part
        owner = part.owner
        assert owner is not None
        owner.tick()

    @rule(name=NAMES, plan=st.sampled_from([None, "free", "pro"]))
    def put_customer(self, name: str, plan: str | None) -> None:
        self.ents.admin.put_customer(name, plan=plan, aliases=[f"key:{name}"])
        self.model.setdefault(name, Customer(day=self.clock.now_ms() // DAY_MS)).plan = plan

    @precondition(lambda self: self.model)
    @rule(
        data=st.data(),
        what=st.sampled_from(
            [
                ("export", True),
                ("export", False),
                ("seats", 3),
                ("region", "west"),
                ("tokens", True),
                ("tokens", False),
                ("calls", 9),
                ("calls", 30),
            ]
        ),
        ahead=AHEAD,
    )
    def put_override(self, data: st.DataObject, what: tuple[str, Any], ahead: int | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        until = None if ahead is None else self.clock.now_ms() + ahead
        self.other.admin.put_override(name, what[0], what[1], expires_at=until)
        self.model[name].overrides[what[0]] = (what[1], until)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), amount=st.integers(1, 60), ahead=AHEAD)
    def grant(self, data: st.DataObject, amount: int, ahead: int | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        until = None if ahead is None else self.clock.now_ms() + ahead
        self.made += 1
        id = self.ents.admin.grant(name, "credits", amount, expires_at=until, id=f"g{self.made}")
        self.model[name].grants.append(Grant(id, amount, until, self.made))

    @precondition(lambda self: any(one.grants for one in self.model.values()))
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        grants = [one for customer in self.model.values() for one in customer.grants]
        one = data.draw(st.sampled_from(grants))
        try:
            self.other.admin.void(one.id)
        except errors.Conflict:
            ended = one.expires_at is not None and self.clock.now_ms() >= one.expires_at
            assert one.left == 0 or ended, "a grant with something left was not voided"
        else:
            one.voided = True

    @precondition(lambda self: self.model)
    @rule(data=st.data(), amount=st.integers(0, 12), second=st.booleans())
    def consume_calls(self, data: st.DataObject, amount: int, second: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        customer, now = self.model[name], self.clock.now_ms()
        said = (self.other if second else self.ents).consume(f"key:{name}", "calls", amount)
        if amount:
            assert said == (amount <= customer.calls_left(now))
        customer.called += amount if said else 0

    @precondition(lambda self: self.model)
    @rule(data=st.data(), amount=st.integers(1, 12), second=st.booleans())
    def consume_tokens(self, data: st.DataObject, amount: int, second: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        customer, now = self.model[name], self.clock.now_ms()
        said = (self.other if second else self.ents).consume(name, "tokens", amount)
        assert said == (customer.has("tokens", now) and amount * RATE <= customer.credits(now))
        if said:
            customer.burn(amount * RATE, now)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), held=st.integers(1, 12), part=st.integers(0, 12), second=st.booleans())
    def reserve_and_settle(self, data: st.DataObject, held: int, part: int, second: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        customer, now = self.model[name], self.clock.now_ms()
        hold = (self.other if second else self.ents).reserve(name, "tokens", held)
        had = customer.credits(now)
        assert hold.allowed == (customer.has("tokens", now) and held * RATE <= had)
        if not hold.allowed:
            return
        # While it is held, nobody else has it.
        assert not self.ents.consume(name, "tokens", had // RATE - held + 1)
        if part == 0:
            hold.release()
            return
        done = hold.commit(part)
        assert done.charged == min(part * RATE, had)
        assert done.charged + done.shortfall == part * RATE
        customer.burn(int(done.charged), now)

    @rule(length=st.sampled_from([1, 1_000, DAY_MS // 3, DAY_MS, 2 * DAY_MS]))
    def time_passes(self, length: int) -> None:
        # What was used so far belongs to the time before; see docs/limits.md.
        self.tick()
        self.clock.advance(length)
        self.tick()

    @rule()
    def reopen(self) -> None:
        self.close()
        self.open()
        self.tick()

    @invariant()
    def all_answers_agree(self) -> None:
        if not hasattr(self, "ents"):
            return
        now = self.clock.now_ms()
        for name in ("a", "b"):
            customer = self.model.get(name)
            if customer is None:
                assert not self.ents.check(name, "export")
                continue
            for view, key in ((self.ents, name), (self.other, f"key:{name}")):
                credits, calls = customer.credits(now), customer.calls_left(now)
                tokens = customer.has("tokens", now)
                assert view.check(key, "export") == customer.has("export", now)
                assert (view.limit(key, "seats") or 0) == customer.has("seats", now)
                assert view.limit(key, "calls") == customer.has("calls", now)
                assert view.value(key, "region") == customer.has("region", now)
                assert view.check(key, "tokens") == (tokens and credits >= RATE)
                assert view.check(key, "calls") == (calls >= 1)
                decision = view.decide(key, "tokens", 5)
                assert decision.allowed == (tokens and credits >= 5 * RATE)
                if tokens:
                    assert decision.reason == ("allowed" if decision.allowed else "exhausted")
                else:
                    assert decision.reason == "not_entitled"
                assert view.admin.balance(key, "credits").remaining == credits


TestEverything = Everything.TestCase
TestEverything.settings = examples(
    20,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
