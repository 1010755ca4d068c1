"""Operations on the owner's socket: the request and its answer as the plain values that HTTP has, too."""

from __future__ import annotations

from typing import Any, Final

from fastcheck.errors import ProtocolError
from fastcheck.wire.by import By
from fastcheck.wire.json import read, shape, write
from fastcheck.wire.operation import Answer, Asks, Operation, Request
from fastcheck.wire.operations import OPERATIONS

ASK: Final = "ask"
"""The method's name on the socket."""


def question(row: Operation[Answer], request: Request[Answer], by: By) -> tuple[Any, ...]:
    """The arguments that the owner is sent."""
    return (row.name, write(request, shape(row.request)), by.author, by.reason, by.key)


def answer_of(row: Operation[Answer], plain: Any) -> Answer:
    """The answer that the owner sent. Raises `ProtocolError`."""
    found: Answer = read(plain, shape(row.answer))
    return found


def answered(asks: Asks, name: Any, plain: Any, author: Any, reason: Any, key: Any) -> Any:
    """Answers a question of another process. Raises what the request raises, and `ProtocolError` for what is
    none."""
    row = OPERATIONS.by_name(name)
    request = read(plain, shape(row.request))
    if not isinstance(request, Request):
        raise ProtocolError(f"{row.name} was not sent a request")
    return write(asks(request, By(author, reason, key)), shape(row.answer))
