"""How old what a host knows may be: `when_stale`, `max_staleness_s`, `as_of`, `lag_ms`, `min_seq`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, errors
from fastcheck._fastcheck import Catalog, Checker, Owner, arena_boot, install
from fastcheck.clock import ManualClock
from fastcheck.wire.record import CustomerRecord, pack_record

AT_MS = 1_714_521_600_000
BOUND_MS = 5_000
CATALOG = """
fastcheck: 1
pools:
  kept: {scale: 0}
  strict: {scale: 0, when_stale: deny, max_staleness_s: 5}
  lenient: {scale: 0, when_stale: allow, max_staleness_s: 5}
features:
  plain: {kind: switch}
  denied: {kind: switch, when_stale: deny, max_staleness_s: 5}
  allowed: {kind: switch, when_stale: allow, max_staleness_s: 5}
  seats: {kind: limit, when_stale: allow, max_staleness_s: 5}
  endless: {kind: switch, when_stale: deny}
  kept_anyway: {kind: switch, when_stale: keep, max_staleness_s: 5}
  spend: {kind: credit, pool: kept, rate: 1}
  strict_spend: {kind: credit, pool: strict, rate: 1}
  lenient_spend: {kind: credit, pool: lenient, rate: 1}
plans:
  all: {features: {plain: true, denied: true, allowed: true, seats: 3, endless: true, kept_anyway: true,
    spend: true, strict_spend: true, lenient_spend: true}}
  none: {}
"""
ACME, POOR, TRIAL = 1, 2, 3


class Rig:
    """An owner that follows a hub, and a checker; both on one clock that the test sets."""

    def __init__(self, directory: Path) -> None:
        self.asked: list[tuple[Any, Any]] = []
        self.directory = str(directory)
        self.catalog = Catalog.parse(CATALOG.encode(), "catalog.yaml")
        self.owner = Owner(self.directory, self.catalog, AT_MS)
        self.owner.load([pack_record(record) for record in RECORDS], 7, AT_MS)
        for lease, pool in enumerate(("kept", "strict", "lenient"), 1):
            self.owner.open_cell(ACME, pool, lease, 100, None, True)
        self.checker: Any = Checker(self.directory, self.touch, manual_clock=True)
        self.owner.link(True)
        self.owner.fresh(AT_MS - 10, AT_MS)
        self.at(AT_MS)

    def touch(self, customer: Any, pool: Any) -> bool:
        self.asked.append((customer, pool))
        return False

    def at(self, now_ms: int) -> None:
        self.checker._set_clock(now_ms)

    def every_way(self, customer: str, feature: str) -> set[tuple[bool, str]]:
        """What each way to ask says of a feature that is not spent: one answer, if they agree."""
        checker = self.checker
        decision = checker.decide(customer, feature)
        answers = [
            checker.check(customer, feature),
            checker.handle(customer, feature).check(),
            decision.allowed,
            *checker.check_many([customer, customer], feature).tolist(),
            *checker.check_many(checker.ids([customer]), feature).tolist(),
        ]
        return {(answer, decision.reason) for answer in answers}

    def every_spending(self, customer: str, feature: str) -> set[bool]:
        """The same of burns and holds."""
        checker = self.checker
        with checker.reserve(customer, feature, 1) as hold:
            reserved = bool(hold)
        return {
            checker.consume(customer, feature),
            checker.consume(customer, feature, 1, event="e"),
            checker.handle(customer, feature).consume(),
            reserved,
            *checker.consume_many([customer], feature).tolist(),
            *checker.consume_many(checker.ids([customer]), feature, 1).tolist(),
        }


RECORDS = (
    CustomerRecord(ACME, "acme", plan="all", aliases=("key",)),
    CustomerRecord(POOR, "poor", plan="none"),
    CustomerRecord(TRIAL, "phased", plan="all", overrides=(("plain", (1,), None, AT_MS + 10**9),)),
)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.checker._close()
    rig.owner.close()


FRESH_UNTIL = AT_MS + BOUND_MS


def test_until_the_bound_every_feature_answers_as_its_rows_say(rig: Rig) -> None:
    for now in (AT_MS, FRESH_UNTIL):
        rig.at(now)
        for feature in ("plain", "denied", "allowed", "seats", "endless", "kept_anyway"):
            for customer in ("acme", "key", "phased"):
                assert rig.every_way(customer, feature) == {(True, "allowed")}
            assert rig.every_way("poor", feature) == {(False, "not_entitled")}
            assert rig.every_way("nobody", feature) == {(False, "unknown_customer")}
        for feature in ("spend", "strict_spend", "lenient_spend"):
            assert rig.every_way("acme", feature) == {(True, "allowed")}
            assert rig.every_spending("acme", feature) == {True}
    assert rig.checker._status()["stale_answers"] == 0


def test_past_the_bound_deny_denies_whatever_the_row_says(rig: Rig) -> None:
    rig.at(FRESH_UNTIL + 1)
    for customer in ("acme", "key", "phased", "poor", "nobody"):
        assert rig.every_way(customer, "denied") == {(False, "stale")}
        assert rig.every_way(customer, "strict_spend") == {(False, "stale")}
        assert rig.every_spending(customer, "strict_spend") == {False}
    assert rig.checker.reserve("acme", "strict_spend", 1).reason == "stale"
    assert rig.checker.estimate("acme", "strict_spend", 1).reason == "stale"
    assert rig.asked == [], "the owner knows no better"


def test_past_the_bound_allow_allows_though_the_row_says_no(rig: Rig) -> None:
    rig.at(FRESH_UNTIL + 1)
    for customer in ("acme", "key", "phased", "poor", "nobody"):
        for feature in ("allowed", "seats", "lenient_spend"):
            assert rig.every_way(customer, feature) == {(True, "stale")}


def test_allow_makes_no_credits(rig: Rig) -> None:
    """A burn takes a lease: what is left of one is spent, and no unit more."""
    rig.at(FRESH_UNTIL + 1)
    assert rig.every_spending("acme", "lenient_spend") == {True}
    assert rig.checker.decide("acme", "lenient_spend", 1).remaining == 95
    assert rig.checker.consume("acme", "lenient_spend", 95)
    assert rig.every_spending("acme", "lenient_spend") == {False}
    for customer in ("poor", "nobody"):
        assert rig.every_spending(customer, "lenient_spend") == {False}
    assert rig.asked == []
    assert rig.every_spending("phased", "lenient_spend") == {False}
    assert set(rig.asked) == {("phased", "lenient")}, "entitled, so the owner is asked for a lease"


def test_a_lease_is_spent_under_allow_though_the_row_lost_the_feature(rig: Rig) -> None:
    rig.owner.put(pack_record(CustomerRecord(ACME, "acme", plan="none")), 8, AT_MS)
    assert rig.every_spending("acme", "lenient_spend") == {False}
    rig.at(FRESH_UNTIL + 1)
    assert rig.every_spending("acme", "lenient_spend") == {True}
    assert rig.every_spending("acme", "spend") == {False}


def test_features_without_a_bound_are_never_stale(rig: Rig) -> None:
    rig.at(AT_MS + 10**12)
    for feature in ("plain", "endless", "kept_anyway"):
        assert rig.every_way("acme", feature) == {(True, "allowed")}
    assert rig.every_spending("acme", "spend") == {True}


def test_news_from_the_hub_end_the_staleness(rig: Rig) -> None:
    rig.at(FRESH_UNTIL + 1)
    held = rig.checker.handle("acme", "denied")
    assert not held.check()
    rig.owner.fresh(AT_MS + BOUND_MS, AT_MS + BOUND_MS)
    assert held.check()
    assert rig.every_way("acme", "denied") == {(True, "allowed")}


def test_stale_answers_are_counted(rig: Rig) -> None:
    rig.at(FRESH_UNTIL + 1)
    checker = rig.checker
    checker.check("acme", "denied")
    checker.check("acme", "allowed")
    checker.decide("acme", "denied")
    checker.handle("acme", "denied").check()
    checker.consume("acme", "strict_spend")
    assert checker._status()["stale_answers"] == 5
    checker.check_many(["acme", "poor"], "denied")
    checker.consume_many(["acme", "poor"], "strict_spend")
    assert checker._status()["stale_answers"] == 9
    assert checker._status()["unknown_names"] == 0


def test_a_decision_says_as_of_when_and_how_old_that_is(rig: Rig) -> None:
    rig.at(AT_MS + 90)
    decision = rig.checker.decide("acme", "plain")
    assert (int(decision.as_of.timestamp() * 1000), decision.lag_ms) == (AT_MS - 10, 100)
    rig.at(AT_MS - 20)  # The hub's clock is ahead of this host's.
    assert rig.checker.decide("acme", "plain").lag_ms == 0


def test_what_was_never_heard_is_stale_at_once(tmp_path: Path) -> None:
    """A host that starts with its hub away, and one whose freshness was counted from another boot."""
    rig = Rig(tmp_path)
    rig.owner.fresh(AT_MS, 0)
    assert rig.every_way("acme", "denied") == {(False, "stale")}
    assert rig.every_way("acme", "plain") == {(True, "allowed")}


def test_an_owner_that_comes_with_a_hub_makes_nothing_fresher(rig: Rig) -> None:
    rig.owner.link(False)
    rig.owner.close()
    rig.owner = Owner(rig.directory, rig.catalog, AT_MS + 77)
    assert rig.owner.adopted
    status = rig.checker._status()
    assert (status["heartbeat_at_ms"], status["fresh_steady_ms"], status["link"]) == (AT_MS - 10, AT_MS, 2)
    rig.owner.link(True)
    assert rig.checker._status()["link"] == 1
    assert rig.checker._status()["fresh_steady_ms"] == AT_MS, "only the hub's word counts"


def test_the_first_link_forgets_what_an_owner_without_a_hub_said(tmp_path: Path) -> None:
    owner = Owner(str(tmp_path), Catalog.parse(CATALOG.encode(), "catalog.yaml"), AT_MS)
    owner.load([], 1, AT_MS)
    checker = Checker(str(tmp_path), lambda customer, pool: False)
    first = checker._status()
    assert (first["heartbeat_at_ms"], first["link"]) == (AT_MS, 0)
    assert 0 < first["fresh_steady_ms"] <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10**6
    owner.link(False)
    status = checker._status()
    assert (status["heartbeat_at_ms"], status["fresh_steady_ms"], status["link"]) == (0, 0, 2)
    owner.heartbeat(AT_MS + 1)
    status = checker._status()
    assert (status["heartbeat_at_ms"], status["link"]) == (AT_MS + 1, 0)
    assert status["fresh_steady_ms"] >= first["fresh_steady_ms"]


def test_catalogs_that_differ_in_staleness_alone_make_rows_anew(rig: Rig) -> None:
    text = CATALOG.replace("limit, when_stale: allow", "limit, when_stale: deny")
    other = Catalog.parse(text.encode(), "other.yaml")
    assert other.digest != rig.catalog.digest
    rig.owner.close()
    rig.owner = Owner(rig.directory, other, AT_MS)
    assert not rig.owner.adopted
    rig.owner.load([pack_record(record) for record in RECORDS], 8, AT_MS)
    rig.at(FRESH_UNTIL + 1)
    assert rig.every_way("acme", "seats") == {(False, "stale")}


def test_without_a_hub_an_owner_that_is_away_makes_answers_stale(tmp_path: Path) -> None:
    clock = ManualClock(AT_MS)
    with Entitlements.open(tmp_path, catalog=CATALOG, clock=clock) as ents:
        ents.admin.put_customer("acme", plan="all")
        ents._set_clock(clock.now_ms())
        assert ents.decide("acme", "denied").reason == "allowed"
        # The owner's clock stands, as that of an owner that is gone.
        ents._set_clock(clock.now_ms() + BOUND_MS + 1)
        assert (ents.decide("acme", "denied").reason, ents.check("acme", "denied")) == ("stale", False)
        assert (ents.decide("acme", "allowed").reason, ents.check("acme", "allowed")) == ("stale", True)


# min_seq


class Waits(Checker):
    """Notes what it was asked to wait for, and comes to it."""

    owner: Owner
    waited: list[int]

    def _wait_seq(self, min_seq: int, /) -> None:
        self.waited.append(min_seq)
        if min_seq >= 100:
            raise errors.NotYet("too far")
        self.owner.put(pack_record(CustomerRecord(ACME, "acme", plan="none")), min_seq, AT_MS)


install(Waits)


@pytest.fixture
def waits(rig: Rig) -> Waits:
    waits = Waits(rig.directory, rig.touch, manual_clock=True)
    waits._set_clock(AT_MS)
    waits.owner, waits.waited = rig.owner, []
    return waits


@pytest.mark.parametrize("ask", ["check", "consume", "decide"])
def test_an_answer_shows_the_change_it_must_show(waits: Waits, ask: str) -> None:
    method, feature = getattr(waits, ask), "plain" if ask == "check" else "spend"
    assert waits._seq() == (1, 7)
    for reached in (None, 0, 7):
        assert method("acme", feature, min_seq=reached)
    assert waits.waited == []
    assert not method("acme", feature, min_seq=8), "as of the change that took the plan away"
    assert (waits.waited, waits._seq()) == ([8], (1, 8))


def test_a_change_that_does_not_come_is_an_error_and_nothing_is_spent(waits: Waits) -> None:
    for ask in (waits.check, waits.consume, waits.decide):
        with pytest.raises(errors.NotYet):
            ask("acme", "spend", min_seq=100)
    with pytest.raises(errors.NotYet):
        waits.consume("acme", "spend", 1, event="e", min_seq=100)
    assert waits.decide("acme", "spend").remaining == 100


@pytest.mark.parametrize("bad", [-1, True, 1.0, "7", 2**64])
def test_a_min_seq_that_is_no_number_of_a_change_is_refused(waits: Waits, bad: Any) -> None:
    for ask in (waits.check, waits.consume, waits.decide):
        with pytest.raises(errors.WrongType, match="min_seq"):
            ask("acme", "spend", min_seq=bad)


def test_other_keywords_are_refused_by_name(waits: Waits) -> None:
    call: Any
    all_known = ((waits.check, "min_seq"), (waits.consume, "event, min_seq"), (waits.decide, "min_seq"))
    for call, known in all_known:
        with pytest.raises(TypeError, match=f"no keyword seq, only {known}"):
            call("acme", "spend", seq=1)


def test_a_bare_checker_does_not_wait(rig: Rig) -> None:
    with pytest.raises(errors.NotYet, match="at change 7, not yet at 8"):
        rig.checker.check("acme", "plain", min_seq=8)
    assert rig.checker._wait_seq(7) is None


def test_the_client_waits_as_long_as_for_a_lease(tmp_path: Path) -> None:
    with Entitlements.open(tmp_path, catalog=CATALOG, lease_timeout=0.01) as ents:
        ents.admin.put_customer("acme", plan="all")
        assert ents.check("acme", "plain", min_seq=ents._seq()[1])
        with pytest.raises(errors.NotYet):
            ents.check("acme", "plain", min_seq=ents._seq()[1] + 1)


# Which boot an arena is of


def test_an_arena_of_this_boot_is_told_from_an_earlier_one(rig: Rig) -> None:
    assert arena_boot(rig.directory) is True
    control = Path(rig.directory) / "control"
    data = bytearray(control.read_bytes())
    data[3 * 8] ^= 1  # docs/format/control.md: boot
    control.write_bytes(data)
    assert arena_boot(rig.directory) is False
    data[8] ^= 0xFF  # layout
    control.write_bytes(data)
    assert arena_boot(rig.directory) is None


def test_an_arena_that_is_not_whole_is_none(rig: Rig, tmp_path: Path) -> None:
    assert arena_boot(str(tmp_path / "nothing")) is None
    [rows] = Path(rig.directory).glob("rows-*")
    rows.rename(rows.with_name("rows-99"))
    assert arena_boot(rig.directory) is None
    rows.with_name("rows-99").rename(rows)
    assert arena_boot(rig.directory) is True
    rig.owner.retire()
    assert arena_boot(rig.directory) is None
