"""Overrides: exceptions made for one customer."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from fastcheck.errors import InstantError, RecordError, WrongType
from fastcheck.wire.answers import Override, Page
from fastcheck.wire.fields import Checked, CustomerKey, FeatureName, InstantMs, Kind, Note, credits_within
from fastcheck.wire.names import INTEGER_MAX, TEXT_BYTES_MAX, text_within
from fastcheck.wire.operation import Operation, Repeat, Request, Touches
from fastcheck.wire.record import SettingValue
from fastcheck.wire.shapes import Removed


def _value(value: Any, what: str) -> Any:
    """Whether it is one for the feature's kind, the catalog says."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
            raise RecordError(f"{what} does not fit 64 bits")
        return value
    if isinstance(value, str):
        return text_within(value, what, TEXT_BYTES_MAX, empty=True)
    if isinstance(value, Decimal):
        credits_within(value, what)  # As it is written: a limit takes no Decimal, be it whole.
        return value
    raise WrongType(f"{what} is a bool, int, str, None or a Decimal, not {type(value).__name__}")


Value = Annotated[SettingValue | Decimal, Kind(_value, called="the value of an override")]


@dataclass(frozen=True, kw_only=True)
class OverrideTerms(Checked):
    """An exception to one feature."""

    value: Value
    starts_at: InstantMs | None = None
    expires_at: InstantMs | None = None
    reason: Note = ""

    def agree(self) -> None:
        starts, ends = self.starts_at, self.expires_at
        if starts is not None and ends is not None and ends <= starts:
            raise InstantError("expires_at is not after starts_at: the override would never hold")


@dataclass(frozen=True)
class PutOverride(OverrideTerms, Request[None]):
    """Makes an exception for one customer; another of the feature gives way."""

    customer: CustomerKey
    feature: FeatureName


@dataclass(frozen=True)
class RemoveOverride(Request[Removed]):
    """Ends an exception."""

    customer: CustomerKey
    feature: FeatureName


@dataclass(frozen=True)
class ListOverrides(Request[Page[Override]]):
    """A customer's exceptions, ended ones included; on one page."""

    customer: CustomerKey


_ONE = "/customers/{customer}/overrides/{feature}"
_CHANGES = ("overrides.write", Touches.PUBLISHES, Repeat.KEYED)

OPERATIONS = (
    Operation(ListOverrides, "GET", "/customers/{customer}/overrides", "overrides.read"),
    Operation(PutOverride, "PUT", _ONE, *_CHANGES),
    Operation(RemoveOverride, "DELETE", _ONE, *_CHANGES),
)
