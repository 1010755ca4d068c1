"""Answers as HTTP has them: JSON, entity tags, and what a caller takes for granted about them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from fastcheck.errors import NameInvalid, PreconditionFailed
from fastcheck.wire.json import shape, write

TAG_CHARACTERS: Final = 32
"""Of a SHA-256 in hex: enough that no two representations share a tag."""
TAGS_CHARACTERS_MAX: Final = 4_096
"""Of a header that names tags."""


def body_of(answer: Any, hint: Any = None) -> bytes:
    """An answer as JSON. `hint`: its type where the class does not say it all, as of a page."""
    plain = write(answer, shape(type(answer) if hint is None else hint))
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def tag_of(body: bytes) -> str:
    """The strong entity tag of a representation."""
    return f'"{hashlib.sha256(body).hexdigest()[:TAG_CHARACTERS]}"'


def tags(headers: Mapping[str, str], name: str) -> str | None:
    """A header that names tags; None where there is none. Raises `NameInvalid` for one that is too long."""
    found = headers.get(name)
    if found is not None and len(found) > TAGS_CHARACTERS_MAX:
        raise NameInvalid(f"{name} has more than {TAGS_CHARACTERS_MAX} characters: name fewer tags")
    return found


def named(header: str, tag: str | None, *, weak: bool = False) -> bool:
    """Whether an If-Match or If-None-Match header names what there is; `tag` None: there is nothing. `weak`:
    a tag counts that a proxy on the way made a weak one, as only If-None-Match allows."""
    tags = {one.strip() for one in header.split(",")}
    return tag is not None and ("*" in tags or tag in tags or (weak and f"W/{tag}" in tags))


def check_tag(if_match: str | None, if_none_match: str | None, tag: str | None) -> None:
    """Raises `PreconditionFailed` unless the tag of what there is (None: nothing) is what the headers of a
    change take for granted."""
    if if_match is not None and not named(if_match, tag):
        raise PreconditionFailed("it was changed since it was read: read it again, and decide anew")
    if if_none_match is not None and named(if_none_match, tag, weak=True):
        raise PreconditionFailed("it is there already: read it, and decide anew")


def decoded(header: str | None, name: str) -> str:
    """A percent-encoded header; "" where there is none. Raises `NameInvalid`."""
    if header is None:
        return ""
    try:
        return unquote(header, errors="strict")
    except UnicodeDecodeError:
        raise NameInvalid(f"{name} is not percent-encoded UTF-8") from None
