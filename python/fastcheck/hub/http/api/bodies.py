"""The parts that requests are made of: names, amounts, instants. JSON's floats are taken nowhere, since they
are not exact; unknown fields are refused by name."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from fastcheck.clock import INSTANT_MS_MAX, instant_ms
from fastcheck.errors import InstantError, NameInvalid, WrongType
from fastcheck.wire.fields import AMOUNT_PATTERN
from fastcheck.wire.names import INTEGER_MAX, NAME_BYTES_MAX, REASON_BYTES_MAX, TEXT_BYTES_MAX, name

CURSOR_CHARACTERS_MAX = 2_048
"""Of a cursor: it may hold a name, encoded."""
PAGE_ITEMS_MAX = 1_000


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid")


# In paths and queries.


def _storable(text: str) -> str:
    """Text that every database takes."""
    return name(text, "it")


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise NameInvalid("it holds a NUL: remove it")
    return text


PathText = Annotated[str, AfterValidator(_storable)]
QueryText = Annotated[str, AfterValidator(_without_nul)]
"""May be empty: the service says what that means."""

CustomerKey = Annotated[
    PathText, Path(max_length=NAME_BYTES_MAX, description="The customer's id or alias.", examples=["acme"])
]
FeatureName = Annotated[
    PathText, Path(max_length=NAME_BYTES_MAX, description="A feature of the catalog.", examples=["export"])
]
PoolName = Annotated[
    PathText, Path(max_length=NAME_BYTES_MAX, description="A pool of the catalog.", examples=["ai_credits"])
]
SegmentName = Annotated[
    PathText, Path(max_length=NAME_BYTES_MAX, description="A segment.", examples=["beta"])
]
Id = Annotated[PathText, Path(max_length=NAME_BYTES_MAX, description="Its id.", examples=["order_17"])]
Cursor = Annotated[
    QueryText | None,
    Query(max_length=CURSOR_CHARACTERS_MAX, description="`cursor` of the page before; none for the first."),
]
Limit = Annotated[
    int,
    Query(description="At most so many items.", json_schema_extra={"minimum": 1, "maximum": PAGE_ITEMS_MAX}),
]
"""Its bounds are the service's to keep, which says what is wrong in its own words."""
At = Annotated[
    str | None,
    Query(
        max_length=64,
        pattern=r"^([0-9]{1,15}|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].+)$",
        description="As of an instant: ms since 1970, or RFC 3339. Default: now.",
        examples=["1767225600000", "2026-01-01T00:00:00Z"],
    ),
]
Since = Annotated[
    str,
    Query(
        max_length=64,
        description="From this instant on: ms since 1970, or RFC 3339.",
        examples=["2026-01-01T00:00:00Z"],
    ),
]
Until = Annotated[
    str,
    Query(
        max_length=64,
        description="Before this instant: ms since 1970, or RFC 3339.",
        examples=["2026-02-01T00:00:00Z"],
    ),
]

# In bodies.

Name = Annotated[StrictStr, Field(min_length=1, max_length=NAME_BYTES_MAX)]
Note = Annotated[
    StrictStr | None,
    Field(
        max_length=REASON_BYTES_MAX,
        description="Why; kept with it, and in the audit log. Default: the header `Fastcheck-Reason`.",
    ),
]
AmountText = Annotated[StrictStr, Field(pattern=f"^-?{AMOUNT_PATTERN}$", examples=["12.5"])]
"""Whether it is negative or too large for its pool, the service says."""
Amount = Annotated[
    Annotated[StrictInt, Field(json_schema_extra={"minimum": 0, "maximum": INTEGER_MAX})] | AmountText,
    Field(description="Credits: a whole number, or decimal text. Never a float.", examples=[50_000, "12.5"]),
]
InstantMs = Annotated[StrictInt, Field(ge=0, lt=INSTANT_MS_MAX)]
InstantText = Annotated[
    StrictStr,
    Field(max_length=64, json_schema_extra={"format": "date-time"}, examples=["2026-01-01T00:00:00Z"]),
]
Instant = Annotated[
    InstantMs | InstantText,
    Field(description="An instant: ms since 1970, or RFC 3339 text.", examples=[1_767_225_600_000]),
]
Version = Annotated[StrictInt, Field(ge=1, lt=1 << 31)]


class DecimalValue(Body):
    """A quota that is not whole."""

    decimal: AmountText


Value = Annotated[
    StrictBool
    | Annotated[StrictInt, Field(ge=-INTEGER_MAX - 1, le=INTEGER_MAX)]
    | Annotated[StrictStr, Field(max_length=TEXT_BYTES_MAX)]
    | DecimalValue
    | None,
    Field(
        description="true or false for a switch or a credit feature; a whole number, or null for unlimited, "
        "for a limit or a meter; for a value whatever it is. A meter's quota that is not whole: "
        '{"decimal": "12.5"}.'
    ),
]


class Cost(Body):
    """What is paid for it."""

    minor_units: Annotated[StrictInt, Field(ge=0, le=INTEGER_MAX)] = Field(examples=[4_900])
    currency: Annotated[StrictStr, Field(pattern="^[A-Z]{3}$")] = Field(examples=["EUR"])


def value_of(value: Any) -> Any:
    """The value of an override as the service takes it."""
    return Decimal(value.decimal) if isinstance(value, DecimalValue) else value


def instant_of(at: int | str | None, what: str) -> int | None:
    """An instant in ms, from ms or RFC 3339. Raises `InstantError`."""
    return None if at is None else given_instant(at, what)


def given_instant(at: int | str, what: str) -> int:
    """As `instant_of`, of one that must be there."""
    if isinstance(at, int):
        return instant_ms(at, what)
    if at.isascii() and at.isdigit() and len(at) < 20:
        return instant_ms(int(at), what)
    # Python 3.10 reads neither Z nor a lower-case t.
    text = at.replace("t", "T").replace("z", "Z").removesuffix("Z") + ("+00:00" if at[-1:] in "zZ" else "")
    try:
        moment = datetime.fromisoformat(text)
        return instant_ms(moment, what)
    except (InstantError, WrongType):
        raise
    except (ValueError, OverflowError):
        raise InstantError(
            f"{what} must be ms since 1970, or RFC 3339 such as 2026-01-01T00:00:00Z, not {at!r:.60}"
        ) from None
