"""The OpenAPI description of the operations, made from their rows: paths, parameters, bodies and answers from
the classes of requests and answers, their docstrings as the text."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from fastcheck.hub.http.catalog import BY_HAND, describe
from fastcheck.hub.http.endpoints import IN_QUERY
from fastcheck.hub.http.examples import EXAMPLES
from fastcheck.hub.http.representation import TAGS_CHARACTERS_MAX
from fastcheck.wire.fields import AMOUNT_PATTERN, credits_form, instant_form
from fastcheck.wire.headers import AUTHOR, EPOCH, IDEMPOTENCY_KEY, PREFIX, PROBLEM, REASON, SEQ
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
    shape,
    write,
)
from fastcheck.wire.kinds import KINDS, Form
from fastcheck.wire.names import INTEGER_MAX, NAME_BYTES_MAX, REASON_BYTES_MAX, TEXT_BYTES_MAX
from fastcheck.wire.operation import Operation
from fastcheck.wire.scopes import scopes_of
from fastcheck.wire.shapes import CatalogText

Schema = dict[str, Any]

REFUSALS: Final = {
    400: "The body is not JSON.",
    401: "No token, or one that is not in force.",
    403: "The token's scopes do not allow this.",
    404: "There is no such thing.",
    409: "It contradicts what is stored.",
    412: "It was changed since it was read.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "The request is not as it must be; `problems` names each field.",
    429: "More requests than the token may make; see `Retry-After`.",
    500: "The hub failed; its log says why under `id`.",
    501: "The hub lacks an optional package.",
    503: "The ledger cannot be used at the moment; see `Retry-After`.",
}
_PROBLEM: Final[Schema] = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "`urn:fastcheck:problem:` and the code."},
        "title": {"type": "string", "description": "What kind of problem it is."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong with this request, and what to do."},
        "code": {
            "type": "string",
            "description": "The name of the error's class in `fastcheck.errors`, or of HTTP's refusal.",
        },
        "problems": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Every mistake, where there are several.",
        },
        "id": {"type": "string", "description": "Under which the hub's log has more."},
    },
}
_INSTANT: Final[list[Schema]] = [
    {"type": "integer", "minimum": 0},
    {"type": "string", "maxLength": 64, "format": "date-time"},
]
_AMOUNT: Final[Schema] = {
    "type": "string",
    "pattern": f"^-?{AMOUNT_PATTERN}$",
    "description": "Credits, exact, as decimal text.",
    "examples": ["50000", "12.5"],
}
_COST: Final[Schema] = {
    "type": "object",
    "description": "What is paid.",
    "required": ["minor_units", "currency"],
    "additionalProperties": False,
    "properties": {
        "minor_units": {
            "type": "integer",
            "minimum": 0,
            "maximum": INTEGER_MAX,
            "description": "In the currency's smallest unit: 1999 for 19.99 EUR.",
        },
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["EUR"]},
    },
}
_SETTINGS: Final = [
    f"For {' and '.join(one.word for one in KINDS.values() if one.form is form)}: {form.value}."
    for form in Form
]
_SETTING: Final[Schema] = {
    "description": f'{" ".join(_SETTINGS)} A meter\'s quota that is not whole: {{"decimal": "12.5"}}.',
    "anyOf": [
        {"type": "boolean"},
        {"type": "integer", "minimum": -INTEGER_MAX - 1, "maximum": INTEGER_MAX},
        {"type": "string", "maxLength": TEXT_BYTES_MAX},
        {
            "type": "object",
            "required": ["decimal"],
            "additionalProperties": False,
            "properties": {"decimal": {"type": "string", "pattern": f"^-?{AMOUNT_PATTERN}$"}},
        },
        {"type": "null"},
    ],
}
_CALLED: Final = {str: "string", int: "integer", bool: "boolean"}
_PLACE: Final[Schema] = {
    SEQ: {
        "description": "The ledger's number after the change, for `min_seq`.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    EPOCH: {"description": "The ledger's epoch.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
}
_TAG: Final[Schema] = {"ETag": {"description": "The entity tag.", "schema": {"type": "string"}}}


class Description:
    """The description of some operations."""

    def __init__(self) -> None:
        self.schemas: Schema = {"ProblemDocument": _PROBLEM}

    def paths(self, rows: Iterable[tuple[str, Operation[Any]]]) -> Schema:
        """The paths of operations, each with its subject."""
        found: Schema = {}
        for subject, row in rows:
            if not row.public:
                continue
            found.setdefault(PREFIX + row.path, {})[row.method.lower()] = self.operation(subject, row)
        return found

    def operation(self, subject: str, row: Operation[Any]) -> Schema:
        """One operation."""
        of = shape(row.request)
        assert isinstance(of, Record)
        kind: Any = row.request
        told, named = _told(kind), dict(of.fields)
        text = inspect.cleandoc(row.request.__doc__ or "")
        said: Schema = {
            "tags": [subject],
            "operationId": row.name,
            "summary": row.name.replace("_", " ").capitalize(),
            "description": f"{text}\n\nFor tokens with the scope {' or '.join(scopes_of(row.verb))}.",
            "parameters": [self._parameter(one, "path", named[one], told, True) for one in row.in_path],
            "responses": self._responses(row),
        }
        rest = {name: one for name, one in named.items() if name not in row.in_path}
        if row.request in BY_HAND:
            rest = {}
        if row.method in IN_QUERY:
            said["parameters"] += [
                self._parameter(one, "query", inner, told, one not in of.defaults)
                for one, inner in rest.items()
            ]
        elif rest:
            self.schemas[row.request.__name__] = self._object(rest, of.defaults, told, row.request)
            said["requestBody"] = {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": f"#/components/schemas/{row.request.__name__}"}}
                },
            }
        said["parameters"] += _headers(row)
        if row.request in BY_HAND:
            describe(row, said)
        return said

    def _responses(self, row: Operation[Any]) -> Schema:
        status = "204" if row.answer is type(None) else "200"
        said: Schema = {"description": "Done." if row.changes else "As asked."}
        headers = {**(_PLACE if row.changes else {}), **(_TAG if row.tagged else {})}
        if headers:
            said["headers"] = headers
        if status == "200" and row.answer is not CatalogText:
            said["content"] = {"application/json": {"schema": self.schema(shape(row.answer))}}
        found: Schema = {status: said}
        if row.tagged:
            found["304"] = {"description": "As the caller has it.", "headers": _TAG}
        return found | refused()

    def _parameter(self, name: str, place: str, of: Shape, told: dict[str, str], required: bool) -> Schema:
        schema = self.schema(of.of if isinstance(of, Maybe) else of, asked=True)
        description = told.get(name) or schema.pop("description", "")
        found: Schema = {"name": name, "in": place, "required": required, "schema": schema}
        return found | ({"description": description} if description else {})

    def _object(
        self, named: dict[str, Shape], defaults: Any, told: dict[str, str], kind: type[Any]
    ) -> Schema:
        properties: Schema = {}
        for name, of in named.items():
            schema = self.schema(of, asked=True)
            if name in told:
                schema = {**schema, "description": told[name]}
            if isinstance(defaults.get(name), (str, int, bool)) and name != "reason":
                schema = {**schema, "default": defaults[name]}
            properties[name] = schema
        found: Schema = {
            "type": "object",
            "description": _paragraph(kind),
            "properties": properties,
            "additionalProperties": False,
        }
        required = [name for name in named if name not in defaults]
        return found | ({"required": required} if required else {})

    def schema(self, of: Shape, *, asked: bool = False) -> Schema:
        """The schema of a value. `asked`: of a request, which takes more forms than an answer has."""
        match of:
            case Kinded(inner, kind, examples):
                found = self._kinded(inner, kind.form, asked)
                if "anyOf" not in found or "anyOf" in kind.schema:  # A kind may say it all.
                    found = {**found, **kind.schema}
                if kind.says:
                    found = {**found, "description": kind.says}
                return {**found, "examples": list(examples)} if examples else found
            case Maybe(inner):
                found = dict(self.schema(inner, asked=asked))
                text = found.pop("description", None)
                arms = found["anyOf"] if set(found) == {"anyOf"} else [found]
                either: Schema = {"anyOf": [*arms, {"type": "null"}]}
                return either | ({"description": text} if text else {})
            case Plain(kind):
                return {"type": _CALLED[kind]}
            case OneOf(words):
                return {"type": "string", "enum": list(words)}
            case Amount():
                return dict(_AMOUNT)
            case WideInt():
                return {
                    "type": "string",
                    "pattern": "^[0-9]+$",
                    "description": "A whole number of up to 63 bits, as text.",
                }
            case Setting():
                return dict(_SETTING)
            case Cost():
                self.schemas["Cost"] = _COST
                return {"$ref": "#/components/schemas/Cost"}
            case Either():
                return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
            case Loose():
                return {}
            case Many(item):
                return {"type": "array", "items": self.schema(item, asked=asked)}
            case Named(item):
                return {"type": "object", "additionalProperties": self.schema(item, asked=asked)}
            case Record():
                return self._record(of, asked)

    def _kinded(self, inner: Shape, form: Any, asked: bool) -> Schema:
        if asked and form is instant_form:
            return {"anyOf": [dict(one) for one in _INSTANT]}
        if asked and form is credits_form:
            whole = {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX}
            return {"anyOf": [whole, {"type": "string", "pattern": f"^-?{AMOUNT_PATTERN}$"}]}
        return self.schema(inner, asked=asked)

    def _record(self, of: Record, asked: bool) -> Schema:
        if of.name not in self.schemas:
            self.schemas[of.name] = {}  # Named before its fields are: it may hold itself.
            kind: Any = of.kind
            told = _told(kind)
            if asked:
                self.schemas[of.name] = self._object(dict(of.fields), of.defaults, told, of.kind)
            else:
                self.schemas[of.name] = self._answer(of, told)
        return {"$ref": f"#/components/schemas/{of.name}"}

    def _answer(self, of: Record, told: dict[str, str]) -> Schema:
        properties: Schema = {}
        for name, inner in of.fields:
            schema = self.schema(inner)
            if name in told:
                schema = {**schema, "description": told[name]}
            properties[name] = schema
        found: Schema = {
            "type": "object",
            "description": _paragraph(of.kind),
            "properties": properties,
            "required": [name for name, _ in of.fields],
        }
        example = EXAMPLES.get(of.kind)
        return found if example is None else {**found, "examples": [write(example, shape(type(example)))]}


def responses() -> Schema:
    """The refusals, which every operation shares."""
    return {f"Refused{status}": _refusal(status, text) for status, text in REFUSALS.items()}


def refused() -> Schema:
    """The responses of an operation that say why it was refused."""
    return {str(one): {"$ref": f"#/components/responses/Refused{one}"} for one in REFUSALS}


def _refusal(status: int, description: str) -> Schema:
    found: Schema = {
        "description": description,
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }
    if status in (429, 503):
        found["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    if status == 401:
        found["headers"] = {"WWW-Authenticate": {"description": "Bearer.", "schema": {"type": "string"}}}
    return found


def _headers(row: Operation[Any]) -> list[Schema]:
    """The headers that an operation takes."""
    tags = "Entity tags, as `ETag` gave them, or `*`."
    found = []
    if row.changes:
        found += [
            _header(
                AUTHOR,
                3 * REASON_BYTES_MAX,
                "In whose name, for the audit log: noted as `<token's name>/<author>`. Percent-encoded "
                "UTF-8.",
            ),
            _header(REASON, 3 * REASON_BYTES_MAX, "Why, for the audit log. Percent-encoded UTF-8."),
            _header(
                IDEMPOTENCY_KEY,
                3 * NAME_BYTES_MAX,
                "With a key the change is made once, however often it is asked for; the same request under "
                "it is answered as the first was, another is a conflict. Kept for 30 days. "
                "Percent-encoded UTF-8.",
            ),
        ]
    if row.tag_of is not None:
        found.append(_header("If-Match", TAGS_CHARACTERS_MAX, tags))
    if row.tag_of is not None or row.tagged:
        found.append(_header("If-None-Match", TAGS_CHARACTERS_MAX, tags))
    return found


def _header(name: str, most: int, description: str) -> Schema:
    schema = {"type": "string", "maxLength": most}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _paragraph(kind: type[Any]) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or kind.__name__).split())


@cache
def _told(kind: Any) -> dict[str, str]:
    """The docstrings below a class's fields, inherited ones included."""
    found: dict[str, str] = {}
    bases: tuple[Any, ...] = kind.__bases__
    for base in bases:
        if hasattr(base, "__dataclass_fields__"):
            found |= _told(base)
    [body] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
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
