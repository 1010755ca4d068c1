"""FAULTS 17, 29, 33 and the issue's bad input: refused as one class of error, and nothing half applied."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, errors
from rig.processes import QUICKSTART, wait_for

GRANTED = 1_000
NAN = float("nan")


@pytest.fixture
def ents(tmp_path: Path) -> Iterator[Entitlements]:
    with Entitlements.open(tmp_path, catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", GRANTED, id="first")
        yield ents


def used(ents: Entitlements) -> Any:
    return ents.admin.balance("acme", "ai_credits").used


# Row 17.


def test_a_panic_denies_is_counted_and_the_process_lives(ents: Entitlements) -> None:
    """Row 17."""
    for count in range(1, 4):
        assert ents._panic() is False
        assert ents.status().panics == count
        assert ents.check("acme", "export")
    assert ents.consume("acme", "gpt-4o", 1)
    assert used(ents) == 1


# Row 29.

BAD_AMOUNTS = [
    -1, -(2**63), 2**48, 2**63 - 1, 2**63, 2**64, 10**400, NAN, 1.0, 0.5, float("inf"), "1", b"1", None,
    Decimal("0.5"), Decimal("NaN"), [1], (1,), {1}, object(),
    {"input": -1}, {"input": 1.5}, {"nothing": 1}, {1: 1}, {"": 1}, {"\ud800": 1}, {"input": 2**63},
]  # fmt: skip


@pytest.mark.parametrize(
    "amount", BAD_AMOUNTS, ids=lambda one: "object" if type(one) is object else repr(one)[:24]
)
def test_bad_amounts_are_refused(ents: Entitlements, amount: Any) -> None:
    """Row 29: rejected in every method; no wrap, no partial."""
    hold = ents.reserve("acme", "gpt-4o", 10)
    for call in (
        lambda: ents.consume("acme", "gpt-4o", amount),
        lambda: ents.consume("acme", "gpt-4o", amount, event="e"),
        lambda: ents.decide("acme", "gpt-4o", amount),
        lambda: ents.reserve("acme", "gpt-4o", amount),
        lambda: ents.estimate("acme", "gpt-4o", amount),
        lambda: ents.handle("acme", "gpt-4o").consume(amount),
        lambda: None if amount is None else hold.commit(amount),
    ):
        try:
            said = call()
        except errors.FastcheckError as error:
            said = len(str(error)) <= 10
        # Larger than any balance, an amount may be denied instead.
        assert not said, f"{amount!r:.40} was allowed, or refused without a word"
    assert hold.commit(3).charged == 3
    assert used(ents) == 3
    assert ents.consume("acme", "gpt-4o", GRANTED - 3)


def test_amounts_at_the_edge(ents: Entitlements) -> None:
    """Row 29: zero and nothing are allowed and burn nothing; all is; one more is not."""
    for nothing in (0, {}, False):  # type: ignore[var-annotated]
        try:
            assert ents.consume("acme", "gpt-4o", nothing)
        except errors.FastcheckError:
            assert nothing is False or nothing == {}
    assert used(ents) == 0
    assert not ents.consume("acme", "gpt-4o", GRANTED + 1)
    assert not ents.reserve("acme", "gpt-4o", GRANTED + 1)
    assert used(ents) == 0
    assert ents.consume("acme", "gpt-4o", GRANTED)
    assert not ents.consume("acme", "gpt-4o", 1)
    assert ents.consume("acme", "gpt-4o", 0) in (True, False)
    assert used(ents) == GRANTED


@pytest.mark.parametrize("amounts", [-1, [1, -1], [1, 2**63], [1, 1.5], [1], [1, 2, 3], "ab", [NAN, 1]])
def test_bad_batches_burn_nothing_at_all(ents: Entitlements, amounts: Any) -> None:
    """Row 29: refused before anything is burned."""
    with pytest.raises(errors.FastcheckError):
        ents.consume_many(["acme", "acme"], "gpt-4o", amounts)
    assert used(ents) == 0


@pytest.mark.parametrize(
    "amount", [0, -1, 2**63, 10**400, 1.5, NAN, True, "1", None, Decimal("NaN"), Decimal("Infinity"),
               Decimal("0.0000001"), Decimal("1e30"), Decimal("-1")],
)  # fmt: skip
def test_bad_grants_are_refused(ents: Entitlements, amount: Any) -> None:
    """Row 29: at the other end."""
    with pytest.raises(errors.FastcheckError):
        ents.admin.grant("acme", "ai_credits", amount)
    assert ents.admin.balance("acme", "ai_credits").remaining == GRANTED


def test_a_balance_never_overflows(ents: Entitlements) -> None:
    """Row 29: grants that together are more than can be counted."""
    most = (2**63 - 1) // 10**6
    refused = 0
    for n in range(3):
        try:
            ents.admin.grant("acme", "ai_credits", most, id=f"huge {n}")
        except errors.FastcheckError:
            refused += 1
    assert refused
    remaining = ents.admin.balance("acme", "ai_credits").remaining
    assert isinstance(remaining, (int, Decimal))
    assert remaining >= GRANTED
    assert ents.consume("acme", "gpt-4o", 1)


# Row 33.


def test_a_hold_that_is_never_committed_ends_by_itself(ents: Entitlements) -> None:
    """Row 33: all of it comes back; committed after that, it is burned anew, once."""
    hold = ents.reserve("acme", "gpt-4o", GRANTED, ttl=0.05)
    assert hold.allowed
    assert not ents.consume("acme", "gpt-4o", 1)
    wait_for(lambda: ents.decide("acme", "gpt-4o", GRANTED).allowed)
    assert ents.consume("acme", "gpt-4o", GRANTED - 10)
    late = hold.commit(15)
    assert (late.charged, late.shortfall) == (10, 5)
    assert used(ents) == GRANTED


@pytest.mark.parametrize("first", ["commit", "release"])
@pytest.mark.parametrize("second", ["commit", "release"])
def test_a_hold_is_settled_once(ents: Entitlements, first: str, second: str) -> None:
    """Row 33: the second settlement is refused and changes nothing."""
    hold = ents.reserve("acme", "gpt-4o", 10)
    settle: dict[str, Callable[[], object]] = {"commit": lambda: hold.commit(4), "release": hold.release}
    settle[first]()
    with pytest.raises(errors.Conflict):
        settle[second]()
    assert used(ents) == (4 if first == "commit" else 0)


def test_commit_and_release_from_two_threads_have_one_winner(ents: Entitlements) -> None:
    """Row 33: whoever wins, the totals are the winner's."""
    rounds, wins = 200, {"commit": 0, "release": 0}
    for n in range(rounds):
        hold = ents.reserve("acme", "gpt-4o", 3)
        assert hold.allowed
        barrier = threading.Barrier(2)

        def settle(name: str, call: Callable[[], object], barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            try:
                call()
                wins[name] += 1
            except errors.Conflict:
                pass

        pairs = [("commit", lambda hold=hold: hold.commit(1)), ("release", hold.release)]  # type: ignore[misc]
        threads = [threading.Thread(target=settle, args=pair) for pair in (pairs if n % 2 else pairs[::-1])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(wins.values()) == n + 1, "two winners, or none"
    assert used(ents) == wins["commit"]


def test_what_comes_back_after_its_lease_was_closed_is_booked(ents: Entitlements) -> None:
    """Row 33: plan change, void and catalog change close the lease under the hold; the rest still arrives."""
    holds = [ents.reserve("acme", "gpt-4o", 100) for _ in range(3)]
    assert all(holds)
    ents.admin.void(ents.admin.grant("acme", "ai_credits", 1))
    holds[0].commit(10)
    ents.admin.set_catalog(QUICKSTART.read_text().replace("seats: 25", "seats: 26"))
    holds[1].release()
    ents.admin.put_customer("acme", plan="pro", aliases=["other"])
    holds[2].commit(100)
    wait_for(lambda: used(ents) == 110)
    assert ents.consume("acme", "gpt-4o", GRANTED - 110)
    assert not ents.consume("acme", "gpt-4o", 1)


def test_an_exception_in_the_block_gives_all_back(ents: Entitlements) -> None:
    """Row 33: and a hold that is dropped unsettled, too."""
    with pytest.raises(KeyError), ents.reserve("acme", "gpt-4o", GRANTED):
        raise KeyError
    assert ents.reserve("acme", "gpt-4o", GRANTED)  # Dropped at once.
    assert ents.consume("acme", "gpt-4o", GRANTED)


@pytest.mark.parametrize("ttl", [-1, NAN, float("inf"), 8 * 86_400, "1", None, 2**70])
def test_bad_times_to_live_are_refused(ents: Entitlements, ttl: Any) -> None:
    """Row 33: nothing is held."""
    with pytest.raises(errors.FastcheckError):
        ents.reserve("acme", "gpt-4o", 1, ttl=ttl)
    assert ents.consume("acme", "gpt-4o", GRANTED)


# Bad input, to those who administer.

BAD_NAMES = ["", "a\0b", "\ud800", "x" * 1_000_000, "é" * 300, b"bytes", 7, None, 1.5, ["acme"]]


@pytest.mark.parametrize("bad", BAD_NAMES, ids=lambda one: repr(one)[:20])
def test_bad_names_are_refused_everywhere(ents: Entitlements, bad: Any) -> None:
    """Bad input: one class of error, a message of bounded length, nothing stored."""
    admin = ents.admin
    before = (len(admin.audit(limit=1_000).items), admin.get_customer("acme"))
    calls: list[Callable[[], object]] = [
        lambda: admin.put_customer(bad, plan="pro"),
        lambda: admin.put_customer("acme", plan="pro", aliases=[bad]),
        lambda: admin.put_customer("acme", plan="pro", addons={bad if isinstance(bad, str) else 7: 1}),  # type: ignore[dict-item]
        lambda: admin.put_override(bad, "export", True),
        lambda: admin.put_override("acme", bad, True),
        lambda: admin.remove_override("acme", bad),
        lambda: admin.grant(bad, "ai_credits", 1),
        lambda: admin.grant("acme", bad, 1),
        lambda: admin.grant("acme", "ai_credits", 1, kind=bad),
        lambda: admin.void(bad),
        lambda: admin.get_customer(bad),
        lambda: admin.delete_customer(bad),
        lambda: admin.balance("acme", bad),
        lambda: ents.explain("acme", bad),
        lambda: ents.on(bad, print),
    ]
    if bad is not None:
        calls += [lambda: admin.put_customer("acme", plan=bad), lambda: admin.list_grants("acme", bad)]
        calls += [lambda: admin.grant("acme", "ai_credits", 1, id=bad)]
    for index, call in enumerate(calls):
        with pytest.raises(errors.FastcheckError) as caught:
            call()
        assert 10 < len(str(caught.value)) < 1_000, f"call {index}"
    assert (len(admin.audit(limit=1_000).items), admin.get_customer("acme")) == before
    assert ents.consume("acme", "gpt-4o", GRANTED)


def test_a_bulk_load_with_one_mistake_changes_nothing(ents: Entitlements) -> None:
    """Bad input: nothing half applied."""
    good: list[Any] = [{"id": f"c{n}", "plan": "pro"} for n in range(50)]
    for bad in (
        {"id": "x", "plan": "gold"},
        {"id": ""},
        {"plan": "pro"},
        {"id": "x", "colour": 1},
        7,
        {"id": "x", "aliases": ["acme"]},
        {"id": "x", "trial_until": "soon"},
    ):
        with pytest.raises(errors.FastcheckError):
            ents.admin.put_customers([*good, bad, *good])  # type: ignore[list-item]
        assert [one.id for one in ents.admin.list_customers().items] == ["acme"]
        assert not ents.check("c0", "export")


def test_a_closed_object_says_so_everywhere(tmp_path: Path) -> None:
    """Bad input: closed, and what was made from it."""
    ents = Entitlements.open(tmp_path, catalog=QUICKSTART)
    ents.admin.put_customer("acme", plan="pro")
    ents.admin.grant("acme", "ai_credits", 10)
    handle, hold, admin = ents.handle("acme", "gpt-4o"), ents.reserve("acme", "gpt-4o", 4), ents.admin
    ents.close()
    for call in (
        lambda: ents.check("acme", "export"),
        lambda: ents.consume("acme", "gpt-4o"),
        lambda: ents.decide("acme", "gpt-4o"),
        lambda: ents.reserve("acme", "gpt-4o", 1),
        lambda: ents.estimate("acme", "gpt-4o", 1),
        lambda: ents.value("acme", "retention_days"),
        lambda: ents.limit("acme", "seats"),
        lambda: ents.handle("acme", "export").check(),
        lambda: ents.ids(["acme"]),
        lambda: ents.check_many(["acme"], "export"),
        lambda: ents.consume_many(["acme"], "gpt-4o"),
        lambda: ents.explain("acme", "export"),
        lambda: ents.on("limit_reached", print),
        ents.status,
        handle.check,
        handle.consume,
        lambda: admin.balance("acme", "ai_credits"),
    ):
        with pytest.raises(errors.Closed):
            call()
    try:
        hold.release()
    except errors.Closed:
        del hold
    with Entitlements.open(tmp_path) as again:
        wait_for(lambda: again.decide("acme", "gpt-4o", 6).allowed)


def test_what_is_not_open_cannot_be_made(tmp_path: Path) -> None:
    """Bad input: the class itself, wrong arguments."""
    for arguments in ({"lease_timeout": -1}, {"lease_timeout": NAN}, {"lease_timeout": "1"}):
        with pytest.raises(errors.FastcheckError):
            Entitlements.open(tmp_path, catalog=QUICKSTART, **arguments)
    with Entitlements.open(tmp_path, catalog=QUICKSTART) as ents:
        assert ents.status().role == "owner"
