"""Requests and answers as JSON and back, by the types of their fields; over the owner's socket, the same as
msgpack.

Amounts of credits are decimal text ("50000", "12.5"), because many readers of JSON make floats of numbers.
Instants stay ms since 1970. What may be text or a decimal (the value of an override) writes the decimal as
``{"decimal": "12.5"}``. What is paid is ``{"minor_units": 1999, "currency": "EUR"}``.

`shape` reads a type once; `write` and `read` follow it, and the hub's OpenAPI document is made from it.
Whoever reads takes nothing on trust: JSON that is not of the shape raises `ProtocolError`."""

from __future__ import annotations

import re
import types
from collections import abc
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

from fastcheck.errors import ProtocolError
from fastcheck.wire.fields import AMOUNT, Kind, Told

_WIDE = re.compile(r"[0-9]{1,40}")
AMOUNTS = frozenset({"amount", "remaining"})
"""Fields in credits where the fields themselves have no types, as in an event's data."""

_LIST: Any = tuple

Wide = NewType("Wide", int)
"""A whole number that JSON's usual readers would round: decimal text."""


@dataclass(frozen=True)
class Plain:
    """str, int or bool, as JSON has it."""

    kind: type


@dataclass(frozen=True)
class Amount:
    """Credits."""


@dataclass(frozen=True)
class WideInt:
    """See `Wide`."""


@dataclass(frozen=True)
class Setting:
    """The value of a feature: bool, int, text, a decimal, or null for unlimited."""


@dataclass(frozen=True)
class Cost:
    """(minor units, currency)."""


@dataclass(frozen=True)
class Either:
    """A word or a whole number."""


@dataclass(frozen=True)
class Loose:
    """Whatever msgpack and JSON both have: the data of an event, a row of the audit log."""


@dataclass(frozen=True)
class Many:
    """A list; a tuple here."""

    item: Shape


@dataclass(frozen=True)
class Maybe:
    """Something, or null."""

    of: Shape


@dataclass(frozen=True)
class Named:
    """An object with names that are not fixed; a dict here."""

    item: Shape


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Kinded:
    """A field of a request, with its kind."""

    of: Shape
    kind: Kind
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Record:
    """An object with named fields; a frozen dataclass or a named tuple here."""

    kind: type[Any]
    name: str
    fields: tuple[tuple[str, Shape], ...]
    defaults: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Of the fields that a caller may leave out."""

    @cached_property
    def ways(self) -> tuple[tuple[str, Shape, type | None, bool], ...]:
        """(field, its shape, the type of one that JSON has as it is, whether it may be null): pages have many
        records, most of whose fields need no more than a look at their type."""
        return tuple((name, inner, *_as_it_is(inner)) for name, inner in self.fields)


Shape = (
    Plain
    | Amount
    | WideInt
    | Setting
    | Cost
    | Either
    | Loose
    | Many
    | Maybe
    | Named
    | OneOf
    | Kinded
    | Record
)


def _as_it_is(of: Shape) -> tuple[type | None, bool]:
    match of:
        case Maybe(inner):
            return _as_it_is(inner)[0], True
        case Kinded(inner):
            return _as_it_is(inner)
        case Plain(kind):
            return kind, False
    return None, False


def shape(hint: Any) -> Shape:
    """How values of a type look in JSON."""
    return _shape(hint)


@lru_cache(maxsize=512)
def _shape(hint: Hashable) -> Shape:
    if hint is Wide:
        return WideInt()
    if hint in (None, type(None)):
        return Maybe(OneOf(()))  # Null alone: what has no answer.
    if hint in (str, int, bool, bytes):
        return Plain(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _kinded(args)
    if origin is Literal:
        return OneOf(args)
    if origin in (Union, types.UnionType):
        return _of_union(args)
    if hint is tuple or hint is Any or origin is dict:
        return Loose()
    if origin is abc.Mapping:
        return Named(shape(args[1]))
    if args == (int, str):
        return Cost()
    if origin in (tuple, list):
        return Many(shape(args[0]))
    kind = origin or hint
    assert isinstance(kind, type)
    return _record(kind, args)


def _kinded(args: tuple[Any, ...]) -> Shape:
    of, *extras = args
    kind = next((one for one in extras if isinstance(one, Kind)), None)
    examples = next((one.examples for one in extras if isinstance(one, Told)), ())
    return shape(of) if kind is None else Kinded(shape(of), kind, examples)


def _record(kind: type[Any], args: tuple[Any, ...]) -> Record:
    hints = get_type_hints(kind, include_extras=True)
    name = kind.__name__ + "".join(getattr(one, "__name__", "") for one in args)
    if is_dataclass(kind):
        item = dict(zip(getattr(kind, "__parameters__", ()), args, strict=True))
        found = tuple((one.name, shape(_bound(hints[one.name], item))) for one in fields(kind))
        defaults: dict[str, Any] = {}
        for one in fields(kind):
            if one.default is not MISSING:
                defaults[one.name] = one.default
            elif one.default_factory is not MISSING:
                defaults[one.name] = one.default_factory()
        return Record(kind, name, found, defaults)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return Record(kind, name, tuple((one, shape(hints[one])) for one in kind._fields))
    raise TypeError(f"{kind} has no form in JSON")


def _of_union(arms: tuple[Any, ...]) -> Shape:
    args = set(arms)
    if str in args and Decimal in args:
        return Setting()
    without = args - {type(None)}
    found: Shape
    if without == {int, str}:
        found = Either()
    else:
        found = Amount() if without == {int, Decimal} else shape(without.pop())
    return found if len(without) == len(args) else Maybe(found)


def _bound(hint: Any, item: dict[Any, Any]) -> Any:
    """A generic field with its item filled in: `tuple[Item, ...]`."""
    args = get_args(hint)
    if args and args[0] in item:
        return _LIST[item[args[0]], ...]
    return hint


def write(value: Any, of: Shape) -> Any:
    """A value as JSON's own types."""
    match of:
        case Maybe(inner):
            return None if value is None else write(value, inner)
        case Many(item):
            return [write(one, item) for one in value]
        case Record():
            return {
                name: getattr(value, name) if kind is not None else write(getattr(value, name), inner)
                for name, inner, kind, _ in of.ways
            }
        case Amount():
            return decimal_text(value)
        case WideInt():
            return str(value)
        case Setting():
            return {"decimal": decimal_text(value)} if isinstance(value, Decimal) else value
        case Cost():
            return {"minor_units": value[0], "currency": value[1]}
        case Named(item):
            return {name: write(one, item) for name, one in value.items()}
        case Kinded(inner):
            return write(value, inner)
        case Loose():
            return _loose(value)
    return value


def decimal_text(value: int | Decimal) -> str:
    """Credits without exponent or loss."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _loose(value: Any, key: object = "") -> Any:
    if isinstance(value, dict):
        return {str(name): _loose(one, name) for name, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [_loose(one) for one in value]
    if key in AMOUNTS and isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return decimal_text(value)
    return value


def read(data: Any, of: Shape) -> Any:
    """The inverse of `write`. Raises `ProtocolError`."""
    match of:
        case Plain(kind):
            if type(data) is kind:
                return data
        case Maybe(inner):
            return None if data is None else read(data, inner)
        case Many(item):
            if isinstance(data, (list, tuple)):
                return tuple(read(one, item) for one in data)
        case Named(item):
            if isinstance(data, dict):
                return {name: read(one, item) for name, one in data.items()}
        case OneOf(words):
            if isinstance(data, str) and data in words:
                return data
        case Either():
            if type(data) in (int, str):
                return data
        case Kinded(inner):
            return read(data, inner)
        case Record():
            if isinstance(data, dict):
                return _read_record(data, of)
        case Amount():
            return amount(data)
        case WideInt():
            if isinstance(data, str) and _WIDE.fullmatch(data) is not None:
                return int(data)
        case Setting():
            if data is None or type(data) in (bool, int, str):
                return data
            if isinstance(data, dict) and "decimal" in data:
                return amount(data["decimal"], whole=False)
        case Cost():
            if isinstance(data, dict):
                paid = data.get("minor_units"), data.get("currency")
                if type(paid[0]) is int and isinstance(paid[1], str):
                    return paid
        case Loose():
            return _tight(data)
    raise ProtocolError(f"what came is malformed: {_named(of)} is {data!r:.80}")


def _read_record(data: dict[Any, Any], of: Record) -> Any:
    found: dict[str, Any] = {}
    for name, inner, kind, optional in of.ways:
        if name not in data:
            raise ProtocolError(f"what came is malformed: {of.name} has no {name}")
        one = data[name]
        found[name] = one if type(one) is kind or (one is None and optional) else read(one, inner)
    return of.kind(**found)


def amount(data: Any, *, whole: bool = True) -> int | Decimal:
    """Credits from text; an int where they are whole, unless told otherwise. Raises `ProtocolError`."""
    if isinstance(data, str) and AMOUNT.fullmatch(data) is not None:
        return int(data) if whole and "." not in data else Decimal(data)
    raise ProtocolError(f"what came is malformed: an amount is {data!r:.80}")


def _tight(data: Any, key: str = "") -> Any:
    if isinstance(data, dict):
        return {name: _tight(one, name) for name, one in data.items()}
    if isinstance(data, (list, tuple)):
        return tuple(_tight(one) for one in data)
    return amount(data) if key in AMOUNTS and isinstance(data, str) else data


def _named(of: Shape) -> str:
    return of.name if isinstance(of, Record) else type(of).__name__.lower()
