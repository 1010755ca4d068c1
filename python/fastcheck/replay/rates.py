"""A rate card and a catalog template become a catalog file.

A rate card is a CSV file (plain or gzipped) with one model per row and its prices in USD per single token,
as decimal text. A template is a catalog file with two kinds of placeholders:

- `${rates MODEL}`  becomes `{input: …, cached: …, output: …}`, credits per token of that model
- `${scale}`        becomes the fewest decimal digits at which every rate of the file is exact

Nothing is rounded: a price that needs more than 12 digits is an error. Placeholders in comment lines stay
as they are, and no line is added, so that an error of the catalog names the template's own line.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from fastcheck.replay.csvfile import read_rows
from fastcheck.replay.errors import RatesError

CREDITS_PER_USD = 1000
"""Credits for one US dollar unless the caller says otherwise: whole numbers of credits then make sensible
grants.
"""

SCALE_MAX = 12
"""Most decimal digits a pool can have."""

PRICE_COLUMNS = {
    "input": "input_cost_per_token",
    "cached": "cache_read_input_token_cost",
    "output": "output_cost_per_token",
}
"""Quantity of the catalog -> column of the rate card."""

PRICE_CHARACTERS_MAX = 40

_EXACT = Context(prec=100)  # more digits than a price of 40 characters times a number of credits can have

_PLACEHOLDER = re.compile(r"\$\{([^}\n]*)\}")

RateCard = Mapping[str, Mapping[str, Decimal]]
"""Model -> quantity -> USD per token. A quantity without a price is absent."""


class RenderedCatalog(NamedTuple):
    """A catalog file made from a template."""

    text: str
    """The complete file."""
    scale: int | None
    """The value of `${scale}`; None if the template names no model."""
    models: tuple[str, ...]
    """The models the template names, in its order."""


def read_rates(path: Path) -> RateCard:
    """Reads a rate card. Raises `RatesError` with file, line and column."""

    def fail(problem: str, hint: str, line: int | None = None) -> RatesError:
        return RatesError(f"{path}{'' if line is None else f':{line}'}: {problem}; {hint}")

    rows = read_rows(path, fail)
    _, header = next(rows, (1, []))
    needed = ["model", *PRICE_COLUMNS.values()]
    if missing := [name for name in needed if name not in header]:
        raise fail(
            f"missing column{'s' * (len(missing) > 1)} {', '.join(missing)}",
            f"expected {','.join(needed)}",
            1,
        )
    card: dict[str, dict[str, Decimal]] = {}
    for line, fields in rows:
        if len(fields) != len(header):
            raise fail(f"{len(fields)} fields where the header has {len(header)}", "write every column", line)
        row = dict(zip(header, fields, strict=True))
        prices = {}
        for quantity, column in PRICE_COLUMNS.items():
            if text := row[column].strip():
                price = _price(text)
                if price is None:
                    hint = "write USD per token as a plain decimal, 0 or more"
                    raise fail(f"column {column}: {text[:PRICE_CHARACTERS_MAX]!r} is not a price", hint, line)
                prices[quantity] = price
        if card.setdefault(row["model"], prices) != prices:
            raise fail(
                f"model {row['model']} is listed twice with different prices", "keep one row per model", line
            )
    return card


def render_catalog(
    template: str, filename: str, card: RateCard, credits_per_usd: int = CREDITS_PER_USD
) -> RenderedCatalog:
    """Puts the prices of `card` into a template. `filename` is the template's, for messages."""
    rates: dict[str, dict[str, Decimal]] = {}

    def collect(what: str, where: str) -> str:
        word, _, model = what.partition(" ")
        if word == "rates" and model:
            rates[model] = _rates(model, where, card, credits_per_usd)
        elif what != "scale":
            raise RatesError(
                f"{where}: unknown placeholder ${{{what}}}; write ${{scale}} or ${{rates MODEL}}"
            )
        return ""

    _substitute(template, filename, collect)
    digits = {model: max(map(_digits, by_quantity.values())) for model, by_quantity in rates.items()}
    for model, needed in digits.items():
        if needed > SCALE_MAX:
            raise RatesError(
                f"{filename}: the rates of {model} need scale {needed} and a pool has at most {SCALE_MAX}; "
                f"choose more credits per USD than {credits_per_usd}"
            )
    scale = max(digits.values(), default=None)

    def fill(what: str, where: str) -> str:
        if what != "scale":
            return _flow(rates[what.partition(" ")[2]])
        if scale is None:
            raise RatesError(f"{where}: ${{scale}} without any ${{rates MODEL}}; write the scale as a number")
        return str(scale)

    return RenderedCatalog(_substitute(template, filename, fill), scale, tuple(rates))


def has_placeholders(template: str) -> bool:
    """Whether a catalog file needs a rate card."""
    found: list[str] = []

    def note(what: str, where: str) -> str:
        found.append(what)
        return ""

    _substitute(template, "", note)
    return bool(found)


def _substitute(template: str, filename: str, replace: Callable[[str, str], str]) -> str:
    lines = template.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if not line.lstrip().startswith("#"):
            where = f"{filename}:{number}"
            lines[number - 1] = _PLACEHOLDER.sub(lambda m, w=where: replace(m[1], w), line)  # type: ignore[misc]
    return "".join(lines)


def _rates(model: str, where: str, card: RateCard, credits_per_usd: int) -> dict[str, Decimal]:
    prices = card.get(model)
    if prices is None:
        raise RatesError(f"{where}: the rate card has no model {model}; use a name from its column model")
    if missing := [PRICE_COLUMNS[quantity] for quantity in PRICE_COLUMNS if quantity not in prices]:
        raise RatesError(
            f"{where}: the rate card has no {missing[0]} for {model}; choose a model that has one"
        )
    factor = Decimal(credits_per_usd)
    return {quantity: _EXACT.multiply(prices[quantity], factor) for quantity in PRICE_COLUMNS}


def _price(text: str) -> Decimal | None:
    try:
        price = Decimal(text) if len(text) <= PRICE_CHARACTERS_MAX and "_" not in text else None
    except InvalidOperation:
        return None
    return (
        price
        if price is not None and price.is_finite() and 0 <= price < 10**9 and _digits(price) < 40
        else None
    )


def _digits(value: Decimal) -> int:
    exponent = _EXACT.normalize(value).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else SCALE_MAX + 1


def _flow(rates: Mapping[str, Decimal]) -> str:
    return (
        "{" + ", ".join(f"{quantity}: {_EXACT.normalize(rate):f}" for quantity, rate in rates.items()) + "}"
    )
