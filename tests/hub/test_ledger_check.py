"""The check of the live ledger: silent over anything the service does, loud over anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import Connection, text

from fastcheck import errors
from fastcheck.hub.store import Store
from fastcheck.hub.use_cases import ledger_check
from fastcheck.wire.answers import Problem
from fastcheck.wire.cursor import cursor_of
from hub.test_finance_export import CUSTOMERS, Ledger, in_memory, play, steps
from rig.samples import examples


def problems(ledger: Ledger) -> list[Problem]:
    found, cursor = list(ledger.service.check_pools()), None
    while True:
        part, _, cursor = ledger.service.check_accounts(cursor)
        found += part
        if cursor is None:
            return found


@examples(15)
@given(some.lists(steps, max_size=25))
def test_whatever_the_service_does_the_ledger_adds_up(story: list[Any]) -> None:
    for ledger in in_memory():
        play(ledger, story)
        assert problems(ledger) == []
        ledger.rows()
        assert problems(ledger) == []


@pytest.fixture
def used(any_store: Store, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(ledger_check, "ACCOUNTS_PER_PAGE", 2)
    ledger = Ledger(any_store)
    for id in CUSTOMERS:
        ledger.put(id)
        ledger.give(id, "ai_credits", 5, id=f"grant-{id}")
        ledger.use(id, "ai_credits", 400, final=True)
        ledger.use(id, "soft_credits", 3)
        ledger.use(id, "api_calls", 7)
    assert problems(ledger) == []
    return ledger


def change(ledger: Ledger, statement: str) -> None:
    def job(connection: Connection) -> None:
        assert connection.execute(text(statement)).rowcount >= 1

    ledger.service._store.run(job)


A_GRANT = "WHERE id = 'grant-a'"
BROKEN = [
    (f"UPDATE grants SET remaining = remaining + 1, granted = granted + 1 {A_GRANT}",
     "grant grant-a: remaining", "remaining: the postings say"),
    (f"UPDATE grants SET expired = expired + 1, granted = granted + 1 {A_GRANT}",
     "grant grant-a: expired", "expired: the postings say"),
    ("UPDATE accounts SET overage = overage + 1 WHERE number = 1 AND pool = 'soft_credits'",
     "overage: the postings say", "overage: the postings say"),
    ("UPDATE accounts SET written_off = 2 WHERE number = 1 AND pool = 'ai_credits'",
     "written_off", "written_off: the postings say"),
    ("DELETE FROM postings WHERE target = 'used' AND number = 1", "used: the postings say 0", "burned"),
    ("UPDATE postings SET units = units + 1 WHERE number = 2 AND pool = 'ai_credits' AND target = 'used'",
     "used: the postings say 401", "burned"),
    (f"DELETE FROM grants {A_GRANT}", "it has postings and is not in the account", "granted"),
    ("UPDATE leases SET spent = lent + 1 WHERE number = 1 AND pool = 'soft_credits'",
     "lent", ""),
    ("UPDATE leases SET returned = spent + 1 WHERE number = 1 AND pool = 'api_calls'", "returned", ""),
    ("UPDATE leases SET folded = 1 WHERE number = 1 AND pool = 'ai_credits'", "it is closed", ""),
    ("UPDATE postings SET pool = 'nowhere' WHERE number = 1 AND pool = 'ai_credits' AND target = 'used'",
     "used: the postings say 0", "belong to no account"),
    ("UPDATE accounts SET number = 99 WHERE number = 2 AND pool = 'api_calls'", "", "belong to no customer"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "law", "sum"), BROKEN)
def test_what_nobody_posted_is_found(used: Ledger, statement: str, law: str, sum: str) -> None:
    change(used, statement)
    by_account, cursor = list[Any](), None
    while True:
        part, seen, cursor = used.service.check_accounts(cursor)
        assert seen <= 2
        by_account += part
        if cursor is None:
            break
    assert not law or any(law in one.law for one in by_account)
    assert all(one.customer in (*CUSTOMERS, "") and one.pool for one in by_account)
    by_pool = used.service.check_pools()
    assert any(sum in one.law for one in by_pool) if sum else by_pool == ()


def test_sums_of_amounts_that_fill_a_column_do_not_overflow(any_store: Store) -> None:
    ledger = Ledger(any_store)
    for id in ("a", "b", "c"):
        ledger.put(id, "free")
        ledger.give(id, "soft_credits", (1 << 63) - 1)
    assert problems(ledger) == []
    rows = ledger.rows()
    assert sum(row[8] for row in rows["movements"] if row[4] == "soft_credits") == 3 * ((1 << 63) - 1)


def test_a_cursor_is_one_that_a_page_gave(used: Ledger) -> None:
    with pytest.raises(errors.RecordError):
        used.service.check_accounts(cursor_of(("1", 2)))
