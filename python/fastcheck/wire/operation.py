"""What an operation is: a request that checks itself, the answer it asks for, and one row that says how it
travels.

::

    admin      makes a request, and hands it to whoever answers: `ask(request, by) -> answer`
    client     sends it over HTTP, by the row's method and path
    worker     sends it over the owner's socket, by the row's name
    endpoint   reads it from HTTP, and asks the service
    owner      brings leases up to date as `touches` says, and asks the service
    service    runs its use case in one transaction, once per idempotency key

A request is a frozen dataclass of a module in `wire/operations`. Its type says what is answered, its fields
say their kinds (`wire/fields`), and its docstrings are the documentation of the HTTP API. Fields that the
path names travel in the path; the others in the body, or, of a GET or DELETE, in the query."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, get_args, get_origin

from fastcheck.errors import ProtocolError
from fastcheck.wire.by import ANYBODY, By, own_id
from fastcheck.wire.fields import Checked

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


class Request(Checked, Generic[Answer_co]):
    """What is asked for; checked when it is made, wherever that is. Raises what the kinds of its fields
    raise, and what `agree` does."""


class Asks(Protocol):
    """Whoever answers requests: an owner, a worker that asks it, a hub's client, a service."""

    def __call__(self, request: Request[Answer], by: By = ANYBODY) -> Answer: ...


class Repeat(enum.Enum):
    """Why a request may be sent again when its answer was lost."""

    READS = "it changes nothing"
    NAMES = "it names what it makes, or says what shall be"
    KEYED = "it is sent under an idempotency key"
    NEVER = "it must not be"


class Touches(enum.Enum):
    """Which leases a change concerns: what an owner does around it, and a hub that recalls them from hosts.
    Whose leases they are, the use case says (`concerns`)."""

    NOTHING = "no lease"
    SETTLED = "what was used of the leases is booked first"
    LOWERS = "it may take back what is lent: leases are closed before, and lent anew after"
    RAISES = "it puts units into one account, whose lease is raised after"
    PUBLISHES = "it rewrites customers: leases are closed, rows are published, leases are lent anew"


@dataclass(frozen=True, eq=False)
class Operation(Generic[Answer]):
    """One row: how a request travels, who may ask, and what it touches."""

    request: type[Request[Answer]]
    method: str
    path: str
    """Below `/v1`; `{field}` is a field of the request."""
    verb: str
    """What a token must be allowed: `subject.read`, `subject.write` and the like; see `wire/scopes`."""
    touches: Touches = Touches.NOTHING
    repeat: Repeat = Repeat.READS
    id_prefix: str = ""
    """Of the id that is made up for what has none; with an event, the id is `<prefix>:<event>`."""
    tag_of: type[Request[Any]] | None = None
    """The request that reads what this one changes, with the same path: `If-Match` compares with its answer's
    entity tag."""
    tagged: bool = False
    """Whether the answer has an entity tag."""
    public: bool = True
    """Whether it is an operation of HTTP. What is none a directory does for itself: over its owner's socket,
    and not by a hub, whose client answers with None."""

    @cached_property
    def name(self) -> str:
        """`PutCap` is `put_cap`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.request.__name__).lower()

    @cached_property
    def answer(self) -> Any:
        """The type of the answer; `type(None)` for none."""
        for base in getattr(self.request, "__orig_bases__", ()):
            if get_origin(base) is Request:
                [found] = get_args(base)
                return found
        raise TypeError(f"{self.request.__name__} does not say what it is answered with: Request[…]")

    @cached_property
    def in_path(self) -> tuple[str, ...]:
        """The fields that the path names."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self.repeat is not Repeat.READS

    def named(self, request: Request[Answer], key: str | None) -> Request[Answer]:
        """The request with an id for what it makes, if it has none: a repetition makes nothing twice."""
        given: Any = request
        if self.id_prefix and given.id is None:
            event = getattr(given, "event", None)
            id = own_id(self.id_prefix, key) if event is None else f"{self.id_prefix}:{event}"
            given = replace(given, id=id)
        named: Request[Answer] = given
        return named


class Operations:
    """The rows of all subjects."""

    def __init__(self, rows: Iterable[Operation[Any]]) -> None:
        self.rows = tuple(rows)
        self._by_name = {one.name: one for one in self.rows}
        self._by_request = {one.request: one for one in self.rows}
        assert len(self._by_name) == len(self._by_request) == len(self.rows), "one row for each request"

    def of(self, request: Request[Answer]) -> Operation[Answer]:
        """The row of a request."""
        return self._by_request[type(request)]

    def by_name(self, name: object) -> Operation[Any]:
        """The row of a name that another process sent. Raises `ProtocolError`."""
        found = self._by_name.get(name) if isinstance(name, str) else None
        if found is None:
            raise ProtocolError(
                f"there is no request {name!r:.40}: use the same version of fastcheck everywhere"
            )
        return found
