"""The catalog, the audit log, usage records, and why something is as it is."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import Depends, Header, Query, Request
from starlette.responses import Response

from fastcheck.errors import CatalogError, NameInvalid
from fastcheck.hub.http.api.asked import ChangesTagged, Reads, ReadsBalances
from fastcheck.hub.http.api.bodies import QueryText
from fastcheck.hub.http.api.documented import answers, subject
from fastcheck.hub.use_cases import preconditions
from fastcheck.wire.headers import CATALOG_BYTES_MAX, FILENAME
from fastcheck.wire.names import NAME_BYTES_MAX, note
from fastcheck.wire.shapes import Changed, Mistakes

router = subject("records")

UNNAMED = "<catalog>"
_CATALOG = {"schema": {"description": f"As docs/catalog.md says; at most {CATALOG_BYTES_MAX} bytes."}}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The catalog's text.",
        "content": {"application/yaml": _CATALOG, "application/json": _CATALOG},
    }
}


async def _text(request: Request) -> bytes:
    return await request.body()


Text = Annotated[bytes, Depends(_text)]
Filename = Annotated[
    str,
    Header(
        alias=FILENAME,
        max_length=3 * NAME_BYTES_MAX,
        description="How messages call it. Percent-encoded UTF-8.",
    ),
]
CustomerQuery = Annotated[
    QueryText | None, Query(max_length=NAME_BYTES_MAX, description="Only this one's: id or alias.")
]


def _named(filename: str) -> str:
    try:
        return note(unquote(filename, errors="strict"), "the catalog's filename")
    except UnicodeDecodeError:
        raise NameInvalid(f"{FILENAME} is not percent-encoded UTF-8") from None


@router.get(
    "/catalog",
    responses={
        200: {
            "description": "The catalog's text, as it was put.",
            "content": {"application/yaml": _CATALOG},
            "headers": {
                "ETag": {"description": "The catalog's digest.", "schema": {"type": "string"}},
                FILENAME: {"description": "How messages call it.", "schema": {"type": "string"}},
            },
        },
        304: {"description": "As the caller has it."},
    },
)
def get_catalog(asked: ReadsBalances) -> Response:
    """The catalog in force."""
    stored = asked.service.stored_catalog()
    if stored is None:
        raise CatalogError(["there is no catalog yet: put one"])
    return asked.tagged(
        stored.source, f'"{stored.digest}"', "application/yaml", {FILENAME: quote(stored.filename)}
    )


@router.put("/catalog", openapi_extra=_BODY, **answers(Changed, changes=True))
def set_catalog(text: Text, change: ChangesTagged, filename: Filename = UNNAMED) -> Response:
    """Puts a catalog in force on every host. Refused with every mistake, and with everything in use that it
    would take away. `If-Match` with the entity tag of the catalog as it was read refuses where somebody was
    faster."""
    named, service = _named(filename), change.service
    parsed = service.parse(text, named)
    if change.conditional:
        # Looked at in the transaction, where nobody else changes the catalog.
        service = service.provided(
            preconditions.catalog(lambda digest: change.check_tag(None if digest is None else f'"{digest}"'))
        )
    changed = service.set_catalog(parsed, text, named, by=change.by)
    change.service.load_catalog()
    return change.done(Changed(changed))


@router.post("/catalog:check", openapi_extra=_BODY, **answers(Mistakes))
def check_catalog(text: Text, asked: Reads, filename: Filename = UNNAMED) -> Response:
    """What `set_catalog` would refuse; nothing is written."""
    try:
        parsed = asked.service.parse(text, _named(filename))
    except CatalogError as error:
        return asked.answer(Mistakes(tuple(map(str, error.problems))))
    return asked.answer(Mistakes(tuple(asked.service.catalog_problems(parsed))))
