"""Whether the ledger keeps its laws: each account by itself, and each pool as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fastcheck.hub.store.statements import AccountKey, Lease
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.ledger.postings import TAKEN, conserved
from fastcheck.ledger.postings import LedgerAccount as Ledger
from fastcheck.wire.answers import Page, Problem
from fastcheck.wire.cursor import cursor_of, place_of
from fastcheck.wire.operations.finance import CheckAccounts, CheckPools
from fastcheck.wire.shapes import CheckedAccounts

ACCOUNTS_PER_PAGE = 128


def accounts(call: Call, request: CheckAccounts) -> CheckedAccounts:
    """A page of accounts: grants against their postings, overage, leases. Raises `RecordError` for a cursor
    that no page gave."""
    number, pool = place_of(request.cursor, (0, ""))
    after: AccountKey = (number, pool)
    keys = call.statements.account_keys_after(*after, ACCOUNTS_PER_PAGE)
    if not keys:
        return CheckedAccounts((), 0, None)
    ids = call.statements.ids_of([number for number, _ in keys])
    known = call.statements.accounts(keys)
    broken = [
        Problem(ids.get(key[0], ""), key[1], law)
        for key in keys
        for law in conserved(known[key], call.statements.flows(*key))
    ]
    broken += [
        Problem(ids.get(lease.number, ""), lease.pool, law)
        for lease in call.statements.leases_between(after, keys[-1])
        for law in _broken(lease)
    ]
    more = len(keys) == ACCOUNTS_PER_PAGE
    return CheckedAccounts(tuple(broken), len(keys), cursor_of(keys[-1]) if more else None)


def _broken(one: Lease) -> Iterator[str]:
    named = f"lease {one.lease}" + (f" of {one.host}" if one.host else "")
    if not 0 <= one.returned <= one.spent:
        yield f"{named}: returned {one.returned} is not within spent {one.spent}"
    # A lease that the ledger learned of by its totals alone, after a restore, was lent 0.
    if one.lent and one.net > one.lent:
        yield f"{named}: {one.net} was used of {one.lent} lent"
    if not 0 <= one.folded <= one.spent:
        yield f"{named}: folded {one.folded} is not within spent {one.spent}"
    if not one.open and one.folded != one.net:
        yield f"{named}: it is closed, {one.net} was used and {one.folded} is in the grants"


def pools(call: Call, request: CheckPools) -> Page[Problem]:
    """Each pool's sums, what grants and accounts count against what was posted; and rows that belong to
    nobody. By the database alone."""
    strays = call.statements.strays()
    ids = call.statements.ids_of([number for _, number, _, _ in strays])
    found = [
        Problem(
            ids.get(number, ""),
            pool,
            f"{rows} {what} of customer {number} belong to no "
            + ("customer" if what == "accounts" else "account"),
        )
        for what, number, pool, rows in strays
    ]
    posted: dict[str, Counter[str]] = {}
    for pool, source, target, units in call.statements.posted():
        sums = posted.setdefault(pool, Counter())
        sums[f"to {target}"] += units
        sums[f"from {source}"] += units
        sums[f"{source} to {target}"] += units
    counted = call.statements.counted()
    for pool in sorted({*counted, *posted}):
        now, moved = counted.get(pool, {}), posted.get(pool, Counter())
        for what, units in _expected(moved).items():
            if now.get(what, 0) != units:
                found.append(
                    Problem("", pool, f"{what}: the postings say {units}, the rows say {now.get(what, 0)}")
                )
    return Page(tuple(found), None)


def _expected(moved: Counter[str]) -> dict[str, int]:
    """What grants and accounts must count, by the sums of the postings."""
    grant, used, overage = Ledger.GRANT.value, Ledger.USED.value, Ledger.OVERAGE.value
    expired, off = Ledger.EXPIRED.value, Ledger.WRITTEN_OFF.value
    return {
        "granted": moved[f"from {Ledger.ISSUED.value}"] - moved[f"to {Ledger.ISSUED.value}"],
        "remaining": moved[f"to {grant}"] - moved[f"from {grant}"],
        "burned": moved[f"{grant} to {used}"]
        - moved[f"{used} to {grant}"]
        + moved[f"{grant} to {overage}"]
        - moved[f"{overage} to {grant}"],
        "expired": moved[f"to {expired}"] - moved[f"from {expired}"],
        "voided": sum(moved[f"to {one.value}"] - moved[f"from {one.value}"] for one in TAKEN),
        "overage": moved[f"from {overage}"] - moved[f"to {overage}"],
        "written_off": moved[f"from {off}"] - moved[f"to {off}"],
    }
