"""Requests from outside, as HTTP brings them: JSON bodies, and text in paths and queries. Everything that is
not of its form is named, all of it at once; nothing that was sent is repeated. What a well-formed value means
is checked by the request itself, as everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastcheck.errors import WrongType
from fastcheck.wire.json import (
    Amount,
    Cost,
    Either,
    Kinded,
    Loose,
    Many,
    Maybe,
    Named,
    OneOf,
    Plain,
    Record,
    Setting,
    Shape,
    WideInt,
    amount,
)
from fastcheck.wire.names import INTEGER_MAX, TEXT_BYTES_MAX

MISTAKES_MAX: Final = 100
"""Mistakes that are named."""
ITEMS_MAX: Final = 10_000
"""Of a list or an object, whatever its own bound: nothing longer is looked at."""


class Malformed(WrongType):
    """A request is not of its form. `problems` names each field and what is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems[:3])[:1_000])
        self.problems = problems


class Form:
    """Reads one request; collects what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def wrong(self, place: str, said: str) -> None:
        """Notes a mistake."""
        if len(self.problems) < MISTAKES_MAX:
            self.problems.append(f"{place}: {said}")

    def done(self) -> None:
        """Raises `Malformed` if anything was wrong."""
        if self.problems:
            raise Malformed(self.problems)

    def fields(
        self, named: Mapping[str, Shape], defaults: Mapping[str, Any], given: Mapping[str, Any], place: str
    ) -> dict[str, Any]:
        """Fields by their names; those left out have their defaults."""
        found: dict[str, Any] = {}
        for name, of in named.items():
            if name in given:
                found[name] = self.value(given[name], of, f"{place}.{name}", name)
            elif name not in defaults:
                self.wrong(f"{place}.{name}", "is missing")
        for name in given:
            if name not in named:
                self.wrong(f"{place}.{str(name)[:80]}", "there is no such field")
        return found

    def value(self, data: Any, of: Shape, place: str, name: str) -> Any:
        """One value of JSON."""
        match of:
            case Kinded(inner, kind):
                if kind.form is not None:
                    return self._formed(kind.form, data, place, name)
                most = kind.schema.get("maxItems", kind.schema.get("maxProperties", ITEMS_MAX))
                if isinstance(data, (list, dict)) and len(data) > most:
                    self.wrong(place, f"has {len(data)} items, at most {most}")
                    return None
                return self.value(data, inner, place, name)
            case Maybe(inner):
                return None if data is None else self.value(data, inner, place, name)
            case Plain(kind):
                if type(data) is kind:
                    return data
                self.wrong(place, f"must be {_CALLED[kind]}")
            case OneOf(words):
                if isinstance(data, str):
                    return data  # Whether it is one of them, the request itself says.
                self.wrong(place, f"must be one of {', '.join(words)}")
            case Many(item):
                if isinstance(data, list) and len(data) <= ITEMS_MAX:
                    return tuple(self.value(one, item, f"{place}.{at}", name) for at, one in enumerate(data))
                self.wrong(place, f"must be a list of at most {ITEMS_MAX}")
            case Named(item):
                if isinstance(data, dict) and len(data) <= ITEMS_MAX:
                    return {
                        key: self.value(one, item, f"{place}.{key[:80]}", name) for key, one in data.items()
                    }
                self.wrong(place, "must be an object")
            case Record(kind, _, named, defaults):
                if isinstance(data, dict):
                    return self._record(kind, dict(named), defaults, data, place)
                self.wrong(place, "must be an object")
            case Setting():
                return self._setting(data, place)
            case Cost():
                return self._cost(data, place)
            case Amount() | WideInt() | Either() | Loose():
                raise TypeError(f"{place} needs a kind that says how it is read")
        return None

    def _formed(self, form: Any, data: Any, place: str, name: str) -> Any:
        try:
            return form(data, name)
        except WrongType as error:
            self.wrong(place, str(error)[:200])
            return None

    def _record(
        self, kind: type[Any], named: Mapping[str, Shape], defaults: Mapping[str, Any], data: Any, place: str
    ) -> Any:
        before = len(self.problems)
        found = self.fields(named, defaults, data, place)
        return None if len(self.problems) > before else kind(**found)

    def _setting(self, data: Any, place: str) -> Any:
        match data:
            case None | bool():
                return data
            case int() if -INTEGER_MAX - 1 <= data <= INTEGER_MAX:
                return data
            case str() if len(data) <= TEXT_BYTES_MAX:
                return data
            case {"decimal": str() as text} if len(data) == 1:
                try:
                    return amount(text, whole=False)
                except Exception:
                    pass
        self.wrong(place, 'must be true, false, a whole number, text, null, or {"decimal": "12.5"}')
        return None

    def _cost(self, data: Any, place: str) -> Any:
        match data:
            case {"minor_units": int() as paid, "currency": str() as currency} if len(data) == 2:
                if not isinstance(paid, bool):
                    return paid, currency
        self.wrong(place, 'must be {"minor_units": 1999, "currency": "EUR"}')
        return None

    def text(self, data: str, of: Shape, place: str, name: str) -> Any:
        """One value of a path or a query."""
        match of:
            case Kinded(inner, kind):
                if kind.form is not None:
                    return self._formed(kind.form, data, place, name)
                return self.text(data, inner, place, name)
            case Maybe(inner):
                return self.text(data, inner, place, name)
            case Plain(kind) if kind is int:
                digits = data[1:] if data[:1] == "-" else data
                if digits.isascii() and digits.isdigit() and len(digits) < 20:
                    return int(data)
                self.wrong(place, "must be a whole number")
                return None
            case Plain(kind) if kind is bool:
                if data in ("true", "false"):
                    return data == "true"
                self.wrong(place, "must be true or false")
                return None
            case Plain() | OneOf():
                return data
        raise TypeError(f"{place} does not fit a query")


_CALLED: Final = {str: "text", int: "a whole number", bool: "true or false"}
