"""`HubClient`: the methods of `ents.admin`, asked of a hub."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, TypeVar

from fastcheck.hub_client.methods import HubMethods
from fastcheck.hub_client.routes import Routed
from fastcheck.hub_client.transport import TIMEOUT_S, Sender

Self = TypeVar("Self", bound="HubClient")


class HubClient(HubMethods):
    """Administers a hub, from any thread. Close it, or use it in a `with`.

    Every request is tried again, with jitter, while its time lasts: a change is sent under an idempotency key
    (one is made up where none was given with `once`), so that it is made once. Errors are those of
    `ents.admin`; `HubUnavailable` where no answer came in time, `Forbidden` for a token that is not in force
    or may not, `RateLimited`.

    ::

        with HubClient("https://hub:8700", token) as admin:
            admin.by("jo@example.com").put_customer("acme", plan="pro")
            ents.wait_seq(admin.last_seq)
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = TIMEOUT_S,
        ca_file: str | os.PathLike[str] | None = None,
        insecure: bool = False,
        transport: Any = None,
    ) -> None:
        """`timeout_s`: of one request, repetitions included. `ca_file`: authorities of one's own, as PEM.
        `insecure`: `http://` to another machine is allowed. `transport`: one of httpx, for tests.

        Raises `MissingExtra` without the extra `client`, `NameInvalid`, `WrongType`, `DirectoryError`."""
        self._sender = Sender(
            url, token, timeout_s=timeout_s, ca_file=ca_file, insecure=insecure, transport=transport
        )
        super().__init__(self._send)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._sender.url!r})"

    def _send(self, routed: Routed) -> Any:
        return routed.read(self._sender.send(routed.request))

    @property
    def url(self) -> str:
        """The hub's address."""
        return self._sender.url

    @property
    def last_seq(self) -> int | None:
        """The ledger's number after the last change that was made with this client (or one `by` or `once`
        made of it); None before the first. A host that has come so far sees the change."""
        place = self._sender.place
        return None if place is None else place[1]

    @property
    def last_epoch(self) -> int | None:
        """The epoch that `last_seq` belongs to."""
        place = self._sender.place
        return None if place is None else place[0]

    def close(self) -> None:
        """Hangs up, also for those that `by` and `once` made of it. Again: nothing."""
        self._sender.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
