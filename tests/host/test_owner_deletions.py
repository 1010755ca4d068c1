"""Customers who are deleted, restored, freed and merged in a directory that other processes use, too: what
was burned counts, and each process sees at once who is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastcheck import Entitlements
from rig.processes import Child

CATALOG = """
fastcheck: 1
pools: {c: {scale: 0}}
features:
  call: {kind: credit, pool: c, rate: 1}
  m: {kind: meter, period: month}
plans:
  pro: {features: {m: 100, call: true}}
"""

WORKER = """
with Entitlements.attach(sys.argv[1]) as ents:
    say("ready")
    while words := hear():
        match words:
            case ["burn", customer, feature, units]:
                say(ents.consume(customer, feature, int(units), event=f"w-{customer}-{units}"))
            case ["merge", one, other]:
                say(ents.admin.merge(one, into=other))
            case ["restore", customer]:
                say(ents.admin.restore(customer).id)
            case ["reason", customer]:
                say(ents.decide(customer, "call").reason)
"""


@pytest.fixture
def ents(tmp_path: Path) -> Iterator[Entitlements]:
    with Entitlements.open(tmp_path / "state", catalog=CATALOG) as ents:
        for id in ("a", "b"):
            ents.admin.put_customer(id, plan="pro", aliases=[f"key:{id}"])
            ents.admin.grant(id, "c", 100, id=f"of {id}")
        yield ents


@pytest.fixture
def worker(ents: Entitlements, tmp_path: Path) -> Iterator[Child]:
    with Child(WORKER, tmp_path / "state") as child:
        assert child.hear() == ["ready"]
        yield child


def left(ents: Entitlements, customer: str, pool: str = "c") -> int:
    return int(ents.admin.balance(customer, pool).remaining or 0)


def sound(ents: Entitlements) -> None:
    assert ents.admin.check_ledger() == []


def test_restored_with_what_every_process_burned(ents: Entitlements, worker: Child) -> None:
    assert ents.consume("a", "call", 10)
    assert worker.ask("burn", "key:a", "call", 20) == ["True"]
    assert worker.ask("burn", "a", "m", 30) == ["True"]
    ents.admin.delete_customer("a")
    assert worker.ask("burn", "a", "call", 1) == ["False"]
    assert worker.ask("reason", "key:a") == ["unknown_customer"]
    assert worker.ask("restore", "a") == ["a"]
    assert (left(ents, "a"), left(ents, "a", "m")) == (70, 70)
    assert worker.ask("burn", "key:a", "call", 60) == ["True"]
    assert not ents.consume("a", "call", 11)
    assert ents.consume("a", "call", 10)
    sound(ents)


def test_merged_with_what_every_process_burned(ents: Entitlements, worker: Child) -> None:
    assert worker.ask("burn", "a", "call", 40) == ["True"]
    assert worker.ask("burn", "b", "call", 10) == ["True"]
    assert worker.ask("burn", "a", "m", 60) == ["True"]
    assert worker.ask("burn", "b", "m", 30) == ["True"]
    seen = []
    ents.on("customer_deleted", lambda change: seen.append(change))
    assert worker.ask("merge", "a", "key:b") == ["True"]
    assert (left(ents, "b"), left(ents, "b", "m")) == (150, 10)
    assert worker.ask("burn", "key:a", "m", 11) == ["False"]
    assert worker.ask("burn", "a", "m", 10) == ["True"]
    assert worker.ask("burn", "key:a", "call", 140) == ["True"]
    assert ents.consume("a", "call", 10)
    assert worker.ask("reason", "key:b") == ["exhausted"]
    assert ents.admin.get_customer("key:a").aliases == ("a", "key:a", "key:b")
    sound(ents)


def test_what_was_used_under_a_freed_id_stays_with_who_used_it(
    ents: Entitlements, worker: Child, tmp_path: Path
) -> None:
    assert worker.ask("burn", "a", "call", 40) == ["True"]
    ents.admin.delete_customer("a")
    ents.admin.free_id("a")
    ents.admin.put_customer("a", plan="pro")
    assert worker.ask("reason", "a") == ["exhausted"]
    assert worker.ask("burn", "a", "call", 1) == ["False"]
    ents.admin.grant("a", "c", 5)
    assert worker.ask("burn", "a", "call", 5) == ["True"]
    assert [one[2] for one in ents.admin.list_usage(customer="freed:a:1").items] == ["freed:a:1"]
    ents.admin.export(tmp_path / "books")
    assert "freed:a:1" in (tmp_path / "books" / "usage.csv").read_text()
    sound(ents)


def test_a_directory_that_opens_again_knows_who_is_there(tmp_path: Path) -> None:
    with Entitlements.open(tmp_path / "state", catalog=CATALOG) as ents:
        for id in ("a", "b", "c"):
            ents.admin.put_customer(id, plan="pro")
            assert ents.consume(id, "m", 10)
        ents.admin.merge("a", into="b")
        ents.admin.delete_customer("c")
        ents.admin.free_id("c")
        ents.admin.put_customer("c", plan="pro")
    with Entitlements.open(tmp_path / "state", catalog=CATALOG) as ents:
        assert ents.consume("a", "m", 80)
        assert not ents.consume("b", "m", 1)
        assert ents.consume("c", "m", 100)
        sound(ents)
