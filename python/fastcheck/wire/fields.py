"""The kinds of fields that requests have. A kind checks a value where the request is made, says how HTTP
brings it, and what the API's description tells of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final, get_args, get_type_hints

from fastcheck.clock import INSTANT_MS_MAX, instant_ms
from fastcheck.errors import AmountError, InstantError, RecordError, WrongType
from fastcheck.ledger.periods import Span
from fastcheck.wire.names import INTEGER_MAX, NAME_BYTES_MAX, REASON_BYTES_MAX, name, note, text_within

CURSOR_CHARACTERS_MAX: Final = 2_048
"""Of a cursor: it may hold a name, encoded."""
PAGE_ITEMS_MAX: Final = 1_000
QUANTITY_MAX: Final = (1 << 31) - 1
DIGITS_MAX: Final = 40
"""Of an amount before and after the point: far beyond what any pool holds."""

Instant = datetime | int
"""An instant as callers in Python give it: a datetime with a zone, or ms since 1970."""


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of field."""

    check: Callable[[Any, str], Any]
    """Checks a value and may put it into its stored form; the second argument names it in messages."""
    form: Callable[[Any, str], Any] | None = None
    """Makes a value of what JSON or a query has in its place; None: it is the value."""
    schema: Mapping[str, Any] = field(default_factory=dict)
    """JSON Schema, beyond what the field's type says."""
    says: str = ""
    """Its description."""
    called: str = ""
    """How messages call it; default: the field's name."""


@dataclass(frozen=True, eq=False)
class Called:
    """How messages call one field: `Annotated[Name, Called("a move's id")]`."""

    name: str


@dataclass(frozen=True, eq=False)
class Told:
    """What the API's description tells of one field, or examples of it, beside its docstring."""

    examples: tuple[Any, ...] = ()


Check = Callable[[Any, str], Any]


class Checked:
    """Something whose fields are checked when it is made: a request, or a part of one."""

    def __post_init__(self) -> None:
        for one, check, what, optional in _checks_of(type(self)):  # type: ignore[arg-type]
            value = getattr(self, one)
            if value is None and optional:
                continue
            stored = check(value, what)
            if stored is not value:
                object.__setattr__(self, one, stored)
        self.agree()

    def agree(self) -> None:
        """Raises where fields contradict each other."""


@cache
def _checks_of(request: Any) -> tuple[tuple[str, Check, str, bool], ...]:
    """(field, its check, how messages call it, whether it may be None) of a request's class, for those whose
    type names a kind."""
    found: list[tuple[str, Check, str, bool]] = []
    for one, hint in get_type_hints(request, include_extras=True).items():
        kind, called, optional = kind_of(hint)
        if kind is not None:
            found.append((one, kind.check, called or kind.called or one, optional))
    return tuple(found)


def kind_of(hint: Any) -> tuple[Kind | None, str, bool]:
    """(the kind that a type names, how messages call the field, whether it may be None)."""
    arms = [one for one in get_args(hint) if one is not type(None)]
    optional = type(None) in get_args(hint)
    bare = arms[0] if optional and len(arms) == 1 else hint
    extras: tuple[Any, ...] = getattr(bare, "__metadata__", ())
    kind = next((one for one in extras if isinstance(one, Kind)), None)
    called = next((one.name for one in extras if isinstance(one, Called)), "")
    return kind, called, optional


def whole(value: object, what: str, least: int, most: int = QUANTITY_MAX) -> int:
    """An int within bounds. Raises `WrongType`, `RecordError`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(f"{what} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise RecordError(f"{what} must lie between {least} and {most}")
    return value


def span(text: object, what: str) -> Span:
    """A length of calendar time such as "3 months". Raises `WrongType`, `RecordError`."""
    if not isinstance(text, str):
        raise WrongType(f"{what} must be a str such as '3 months', not {type(text).__name__}")
    try:
        return Span.parse(text)
    except ValueError as error:
        raise RecordError(f"{what}: {error}") from None


def span_text(value: object, what: str) -> str:
    """The text of a `span`."""
    span(value, what)
    assert isinstance(value, str)
    return value


def cost_within(value: object, what: str) -> tuple[int, str]:
    """What is paid: (minor units, currency). Raises `WrongType`, `RecordError`."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not isinstance(value[1], str):
        raise WrongType(f"{what} must be (minor units, currency), such as (1999, 'EUR') for 19.99 euro")
    currency = value[1]
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        raise RecordError(f"a currency is three capital letters such as EUR, not {currency!r:.40}")
    return whole(value[0], f"the {what}", 0, INTEGER_MAX), currency


def at_ms(at: Instant | None, what: str) -> int | None:
    """An instant that a caller gave, in ms; None stays None. Raises `WrongType`, `InstantError`."""
    return None if at is None else instant_ms(at, what)


INSTANT_CHARACTERS_MAX: Final = 64
_DATED: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].+")


def instant_form(given: object, what: str) -> int:
    """An instant from ms, as a number or its digits, or from RFC 3339 text. Raises `WrongType` for what has
    neither form, `InstantError` for what is no instant, or none of ours."""
    if not isinstance(given, str):
        return instant_ms(given, what)  # type: ignore[arg-type]
    if given.isascii() and given.isdigit() and len(given) < 20:
        return instant_ms(int(given), what)
    dated = len(given) <= INSTANT_CHARACTERS_MAX and _DATED.fullmatch(given) is not None
    if dated:
        # Python 3.10 reads neither Z nor a lower-case t.
        text = given.replace("t", "T").replace("z", "Z").removesuffix("Z")
        text += "+00:00" if given[-1:] in ("z", "Z") else ""
        try:
            return instant_ms(datetime.fromisoformat(text), what)
        except (InstantError, WrongType):
            raise
        except (ValueError, OverflowError):
            pass
    raise (InstantError if dated else WrongType)(
        f"{what} must be ms since 1970, or RFC 3339 such as 2026-01-01T00:00:00Z, not {given!r:.60}"
    )


AMOUNT_PATTERN: Final = r"[0-9]{1,40}(\.[0-9]{1,40})?"
"""Credits as text. The largest amount has 19 digits, and a scale adds at most 12; the bound is for the
reader's sake."""
AMOUNT: Final = re.compile("-?" + AMOUNT_PATTERN)


def credits_form(given: object, what: str) -> int | Decimal:
    """Credits from a whole number, or from decimal text. Raises `WrongType`, `AmountError` for one that no
    pool can hold."""
    if isinstance(given, bool) or not isinstance(given, (int, str)):
        raise WrongType(f"{what} must be a whole number or decimal text, never a float")
    if isinstance(given, str) and AMOUNT.fullmatch(given) is None:
        raise WrongType(f'{what} must be a whole number or decimal text such as "12.5"')
    found = Decimal(given) if isinstance(given, str) and "." in given else int(given)
    if not -INTEGER_MAX <= found <= INTEGER_MAX:
        raise AmountError(f"{what} is over {INTEGER_MAX}, the most that any pool can hold: split it")
    return found


def credits_within(value: object, what: str) -> int | Decimal:
    """Credits as callers in Python give them; the use case checks them against the pool's scale. Raises
    `WrongType`, `AmountError` for what has more digits than any pool holds."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        hint = "; write it as an int or decimal.Decimal, a float is not exact" if type(value) is float else ""
        raise WrongType(f"{what} must be an int or a decimal.Decimal, not {type(value).__name__}{hint}")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise AmountError(f"{what} is {value}: give a number")
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
        fits = value.adjusted() < DIGITS_MAX - 1 and exponent > -DIGITS_MAX
    else:
        fits = -(10 ** (DIGITS_MAX - 1)) < value < 10 ** (DIGITS_MAX - 1)
    if not fits:
        raise AmountError(f"{what} has more digits than any pool holds: round or split it")
    return _shortest(value) if isinstance(value, Decimal) else value


def _shortest(value: Decimal) -> int | Decimal:
    """The same amount in its one form, so that a request is the same however its amounts were written."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    while exponent < 0 and (digits[-1] == 0):
        digits, exponent = digits[:-1] or (0,), exponent + 1
    return int(value) if exponent >= 0 else Decimal((sign, digits, exponent))


def listed(value: Any, what: str) -> tuple[Any, ...]:
    """The items of what callers give where many are meant. Raises `WrongType`, for one text too."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise WrongType(f"{what} must be a list, not {type(value).__name__}")
    return tuple(value)


def one_of(*values: str) -> Callable[[Any, str], str]:
    """A check for one of a few words. Raises `RecordError`."""

    def check(value: object, what: str) -> str:
        if not isinstance(value, str) or value not in values:
            raise RecordError(f"{what} must be one of {', '.join(values)}, not {value!r:.40}")
        return value

    return check


def flag(value: object, what: str) -> bool:
    """True or False. Raises `WrongType`."""
    if not isinstance(value, bool):
        raise WrongType(f"{what} must be a bool, not {type(value).__name__}")
    return value


def cursor_within(value: object, what: str) -> str:
    """A page's cursor."""
    if not isinstance(value, str):
        raise WrongType(f"cursor must be a str, not {type(value).__name__}")
    return text_within(value, "cursor", CURSOR_CHARACTERS_MAX, empty=False)


def items_within(value: object, what: str) -> int:
    """How many items a page may have. Raises `WrongType`, `RecordError`."""
    return whole(value, "limit", 1, PAGE_ITEMS_MAX)


_NAME: Final = {"maxLength": NAME_BYTES_MAX, "minLength": 1}

Name = Annotated[str, Kind(name, schema=_NAME)]
Flag = Annotated[bool, Kind(flag)]
CustomerKey = Annotated[str, Kind(name, None, _NAME, "The customer's id or alias."), Told(("acme",))]
FeatureName = Annotated[str, Kind(name, None, _NAME, "A feature of the catalog."), Told(("export",))]
PlanName = Annotated[str, Kind(name, None, _NAME, "A plan of the catalog."), Told(("pro",))]
PoolName = Annotated[str, Kind(name, None, _NAME, "A pool of the catalog."), Told(("ai_credits",))]
SegmentName = Annotated[str, Kind(name, None, _NAME, "A segment."), Told(("beta",))]
Note = Annotated[
    str,
    Kind(
        note,
        schema={"maxLength": REASON_BYTES_MAX},
        says="Why; kept with it, and in the audit log. Default: the header `Fastcheck-Reason`.",
    ),
]
Credits = Annotated[
    int | Decimal,
    Kind(credits_within, credits_form, says="Credits: a whole number, or decimal text. Never a float."),
    Told((50_000, "12.5")),
]
InstantMs = Annotated[
    int,
    Kind(instant_ms, instant_form, {"maximum": INSTANT_MS_MAX - 1}, "ms since 1970, or RFC 3339 text."),
    Told((1_767_225_600_000, "2026-01-01T00:00:00Z")),
]
At = Annotated[
    int, Kind(instant_ms, instant_form, says="As of an instant: ms since 1970, or RFC 3339. Default: now.")
]
Every = Annotated[
    str, Kind(span_text, schema={"maxLength": 64}, says="A length of calendar time."), Told(("1 month",))
]
Paid = Annotated[tuple[int, str], Kind(cost_within)]
Version = Annotated[
    int, Kind(lambda value, what: whole(value, what, 1), schema={"minimum": 1, "maximum": QUANTITY_MAX})
]
Cursor = Annotated[
    str,
    Kind(
        cursor_within,
        schema={"maxLength": CURSOR_CHARACTERS_MAX},
        says="`cursor` of the page before; none for the first.",
    ),
]
Limit = Annotated[
    int, Kind(items_within, schema={"minimum": 1, "maximum": PAGE_ITEMS_MAX}, says="At most so many items.")
]
