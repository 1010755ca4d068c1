"""The answers of the API for its OpenAPI document, made from the answers' own classes: their fields, types
and docstrings are the description."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from fastcheck.hub.http.examples import EXAMPLES
from fastcheck.wire.fields import AMOUNT_PATTERN
from fastcheck.wire.json import (
    Amount,
    Cost,
    Loose,
    Many,
    Maybe,
    Plain,
    Record,
    Setting,
    Shape,
    WideInt,
    shape,
    write,
)

AmountText = Annotated[
    str,
    Field(
        pattern=f"^-?{AMOUNT_PATTERN}$",
        description="Credits, exact, as decimal text.",
        examples=["50000", "12.5"],
    ),
]
WideText = Annotated[str, Field(pattern="^[0-9]+$", description="A whole number of up to 63 bits, as text.")]


class DecimalSetting(BaseModel):
    """A meter's quota that is not whole."""

    decimal: str = Field(pattern=f"^{AMOUNT_PATTERN}$", description="Exact decimal text.")


class Price(BaseModel):
    """What was paid."""

    minor_units: int = Field(ge=0, description="In the currency's smallest unit: 1999 for 19.99 EUR.")
    currency: str = Field(description="Three capital letters.", examples=["EUR"])


SettingValue = bool | int | str | DecimalSetting | None


def model(answer: Any) -> type[BaseModel]:
    """The model of an answer's class, or of a page of them (`Page[Customer]`)."""
    of = shape(answer)
    assert isinstance(of, Record), f"{answer} is no object"
    return _model(of)


@lru_cache(maxsize=256)  # The document names a model once, so there must be one of each.
def _model(of: Record) -> type[BaseModel]:
    told = _described(of.kind)
    made: dict[str, Any] = {
        name: (_annotation(inner), Field(description=told.get(name))) for name, inner in of.fields
    }
    example = EXAMPLES.get(of.kind)
    extra = {} if example is None else {"examples": [write(example, shape(type(example)))]}
    return create_model(
        of.name,
        __doc__=inspect.getdoc(of.kind) or of.name,
        __config__=ConfigDict(json_schema_extra=extra),  # type: ignore[typeddict-item]
        **made,
    )


def _annotation(of: Shape) -> Any:
    match of:
        case Plain(kind):
            return kind
        case Amount():
            return AmountText
        case WideInt():
            return WideText
        case Setting():
            return SettingValue
        case Cost():
            return Price
        case Loose():
            return Any
        case Many(item):
            return list[_annotation(item)]  # type: ignore[misc]
        case Maybe(inner):
            return _annotation(inner) | None
        case Record():
            return _model(of)


def _described(kind: type[Any]) -> dict[str, str]:
    """The docstrings below a class's fields."""
    [body] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str() as text)):
                    found[field.target.id] = " ".join(text.split()).replace("None", "null")
    for field in body.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            name = field.target.id
            if name not in found and (name.endswith("_at") or name in ("at", "as_of")):
                found[name] = "An instant, in ms since 1970 (UTC)."
    return found
