"""Epochs: where the ledger is, and how another life of it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastcheck.errors import NameInvalid
from fastcheck.wire.fields import Kind
from fastcheck.wire.names import REASON_BYTES_MAX, note
from fastcheck.wire.operation import Operation, Repeat, Request, Touches
from fastcheck.wire.shapes import LedgerPosition


def _why(value: object, what: str) -> str:
    if not note(value, what):
        raise NameInvalid(f"{what} is empty: say why the ledger was restored")
    assert isinstance(value, str)
    return value


@dataclass(frozen=True)
class GetPosition(Request[LedgerPosition]):
    """The ledger's epoch and the number of its last change."""


@dataclass(frozen=True)
class BeginEpoch(Request[LedgerPosition]):
    """Says that an older backup was put in the ledger's place: a new epoch begins, and every host takes
    everything anew."""

    reason: Annotated[str, Kind(_why, schema={"minLength": 1, "maxLength": REASON_BYTES_MAX})]


OPERATIONS = (
    Operation(GetPosition, "GET", "/position", "position.read"),
    Operation(BeginEpoch, "POST", "/epochs", "epochs.write", Touches.PUBLISHES, Repeat.KEYED),
)
