"""Names and notes as they travel and are stored: text within bounds."""

from __future__ import annotations

from fastcheck.errors import NameInvalid, WrongType

NAME_BYTES_MAX = 512
"""Bytes of any name: feature, plan, pool, customer id, alias. The core has the same bound."""
TEXT_BYTES_MAX = 16_384
"""Bytes of a text value."""
REASON_BYTES_MAX = 4_096
"""Bytes of a reason or author, so that an audit log cannot be made to grow without a bound."""
INTEGER_MAX = (1 << 63) - 1


def name(text: object, what: str) -> str:
    """Checks an id, alias or name; `what` names it in the message. Raises `WrongType`, `NameInvalid`."""
    if not isinstance(text, str):
        raise WrongType(f"{what} must be a str, not {type(text).__name__}")
    return text_within(text, what, NAME_BYTES_MAX, empty=False)


def note(text: object, what: str) -> str:
    """Checks free text such as a reason; may be empty."""
    if not isinstance(text, str):
        raise WrongType(f"{what} must be a str, not {type(text).__name__}")
    return text_within(text, what, REASON_BYTES_MAX, empty=True)


def text_within(text: str, what: str, bytes_max: int, *, empty: bool) -> str:
    if not text and not empty:
        raise NameInvalid(f"{what} is empty: give it at least one character")
    # A character is at most four bytes; the first test keeps a huge text from being encoded at all.
    if len(text) > bytes_max:
        raise NameInvalid(
            f"{what} has {len(text)} characters, at most {bytes_max} bytes are stored: shorten it"
        )
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise NameInvalid(
            f"{what} holds a lone surrogate at position {error.start}, which is not Unicode text: "
            "decode its source as UTF-8"
        ) from None
    if size > bytes_max:
        raise NameInvalid(f"{what} has {size} bytes, at most {bytes_max} are stored: shorten it")
    if "\0" in text:
        raise NameInvalid(f"{what} holds a NUL at position {text.index(chr(0))}: remove it")
    return text
