"""Whether the rows of an export come to what the database itself adds up, to the unit. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from fastcheck.errors import LedgerError
from fastcheck.finance.reading import Totals
from fastcheck.ledger.finance import movement, used_by
from fastcheck.ledger.postings import LedgerAccount
from fastcheck.wire.shapes import ExportSums

MISTAKES_TOLD = 8
_GRANT = LedgerAccount.GRANT.value


def reconcile(totals: Totals, sums: Iterable[ExportSums]) -> None:
    """Compares with the ledger's own sums. Raises `LedgerError` with the numbers."""
    moved: Counter[tuple[str, str]] = Counter()
    opening: Counter[str] = Counter()
    closing: Counter[str] = Counter()
    used: Counter[str] = Counter()
    records: Counter[str] = Counter()
    recorded: Counter[str] = Counter()
    count = 0
    for part in sums:
        for one in part.postings:
            gain = one.units * ((one.target == _GRANT) - (one.source == _GRANT))
            closing[one.pool] += gain
            if one.earlier:
                opening[one.pool] += gain
                continue
            kind, signed = movement(one.source, one.target, one.units)
            moved[one.pool, kind.value] += signed
            used[one.pool] += used_by(kind, signed)
            count += one.count
        for use in part.records:
            recorded[use.feature] += use.units
            records[use.feature] += use.count
    wrong: list[str] = []
    _compare(wrong, "movements, rows", {"": count}, {"": totals.counts["movements"]})
    _compare(wrong, "movements, units", moved, totals.movements)
    _compare(wrong, "balances, opening units", opening, totals.opening)
    _compare(wrong, "balances, closing units", closing, totals.closing)
    _compare(wrong, "usage, units", used, totals.used)
    _compare(wrong, "usage, records", records, totals.records)
    _compare(wrong, "usage, units of records", recorded, totals.recorded)
    if wrong:
        more = f" (and {len(wrong) - MISTAKES_TOLD} more)" if len(wrong) > MISTAKES_TOLD else ""
        raise LedgerError(f"the export does not come to the ledger: {'; '.join(wrong[:MISTAKES_TOLD])}{more}")


def _compare(wrong: list[str], what: str, ledger: Mapping[Any, int], files: Mapping[Any, int]) -> None:
    for key in sorted({*ledger, *files}):
        there, here = ledger.get(key, 0), files.get(key, 0)
        if there != here:
            named = key if isinstance(key, str) else " ".join(key)
            wrong.append(f"{what} of {named or 'all'}: the ledger has {there}, the export {here}")
