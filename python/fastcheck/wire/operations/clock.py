"""The ledger's clock: what it shows, a step of it confirmed, and what a wrong one did undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastcheck.errors import NameInvalid
from fastcheck.wire.clock_answers import ClockState, PartOfRepair
from fastcheck.wire.fields import Cursor, InstantMs, Kind
from fastcheck.wire.names import REASON_BYTES_MAX, note
from fastcheck.wire.operation import Operation, Repeat, Request, Touches


def _why(value: object, what: str) -> str:
    if not note(value, what):
        raise NameInvalid(f"{what} is empty: say why the clock is repaired")
    assert isinstance(value, str)
    return value


@dataclass(frozen=True)
class GetClock(Request[ClockState]):
    """The ledger's time, and whether a step of the machine's clock is doubted."""


@dataclass(frozen=True)
class ConfirmClock(Request[ClockState]):
    """Says that the machine's clock is right: a step that is doubted is believed at once. Again, or where
    nothing is doubted: no change."""


@dataclass(frozen=True)
class RepairClock(Request[PartOfRepair]):
    """Undoes what time did to accounts beyond the true present, a part of them at a time. Use, grants and
    voids that were made meanwhile stay. Again: no change. `Conflict` where the clock is not right yet."""

    at: InstantMs
    """The true present. Accounts that stand at a later instant are brought back to it."""
    reason: Annotated[str, Kind(_why, schema={"minLength": 1, "maxLength": REASON_BYTES_MAX})]
    cursor: Cursor | None = None
    """Of the part before."""


OPERATIONS = (
    Operation(GetClock, "GET", "/clock", "clock.read"),
    Operation(ConfirmClock, "POST", "/clock/confirmation", "clock.write", repeat=Repeat.NAMES),
    Operation(RepairClock, "POST", "/clock/repair", "clock.write", Touches.LOWERS, Repeat.NAMES),
)
