"""`Entitlements`: what programs hold. The hot methods are the native class's own; here is what surrounds
them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from . import _fastcheck
from .admin import Admin
from .answers import Explanation, Status
from .changes import KINDS, Change
from .clock import Clock, ManualClock, SystemClock, instant_ms
from .directory import prepare
from .embedded import Host, read_catalog
from .errors import NameInvalid, NotYet, WrongType
from .hub.requests import Instant
from .listener import Listener
from .wire import name

Self = TypeVar("Self", bound="Entitlements")

LEASE_TIMEOUT_S_MAX = 3_600.0
SEQ_POLL_S = 0.001
"""Between two looks whether the host has come to a change that a check waits for."""


class _Touch:
    """What the native module calls at the first touch of a pool. On an event loop's thread it may be told not
    to wait: it then notes what was asked, and the burn is repeated elsewhere."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._local = threading.local()

    def __call__(self, customer: str, pool: str) -> bool:
        asked = getattr(self._local, "asked", None)
        if asked is not None:
            asked.append((customer, pool))
            return False
        return self._host.touch(customer, pool)

    def without_waiting(self, call: Callable[[], bool]) -> tuple[bool, bool]:
        """(what the call said, whether it would have waited)."""
        self._local.asked = asked = list[tuple[str, str]]()
        try:
            return call(), bool(asked)
        finally:
            self._local.asked = None


class Entitlements(_fastcheck.Checker):
    """Answers what customers may do, and burns what they have, for every process of a host.

    `check`, `consume`, `decide`, `reserve`, `estimate`, `value`, `limit`, `handle`, `ids`, `check_many` and
    `consume_many` are described at the native class they come from."""

    _host: Host
    _listener: Listener
    _touch: _Touch
    _admin: Admin
    _lease_timeout_s: float

    @classmethod
    def open(
        cls: type[Self],
        directory: str | os.PathLike[str],
        catalog: object = None,
        *,
        strict: bool = False,
        lease_timeout: float = 1.0,
        clock: Clock | None = None,
    ) -> Self:
        """Opens a directory: the first process owns it, the others attach and take over when the owner dies.

        `catalog`: a path, its text, or None for the one in force; another one is put in force for all
        processes. `strict`: unknown features raise `UnknownFeature` instead of being denied. `lease_timeout`:
        seconds that the first touch of a pool may take. `clock`: for tests.

        Raises `DirectoryError`, `CatalogError`, `ArenaError`, `OwnerUnavailable`.

        >>> with Entitlements.open("./quickstart", catalog="catalog.yaml") as ents:
        ...     ents.admin.put_customer("acme", plan="pro")
        ...     ents.check("acme", "export")
        True
        True
        """
        return cls._made(prepare(directory, make=True), catalog, strict, lease_timeout, clock, may_own=True)

    @classmethod
    def attach(
        cls: type[Self],
        directory: str | os.PathLike[str],
        *,
        strict: bool = False,
        lease_timeout: float = 1.0,
        clock: Clock | None = None,
    ) -> Self:
        """Attaches to a directory that another process owns; never owns it. Raises as `open`.

        >>> with Entitlements.attach("./state") as worker:  # opened by another process, or here
        ...     worker.consume("acme", "gpt-4o", 12)
        True
        """
        return cls._made(prepare(directory, make=False), None, strict, lease_timeout, clock, may_own=False)

    @classmethod
    def _made(
        cls: type[Self],
        path: Path,
        catalog: object,
        strict: bool,
        lease_timeout: float,
        clock: Clock | None,
        *,
        may_own: bool,
    ) -> Self:
        if isinstance(lease_timeout, bool) or not isinstance(lease_timeout, (int, float)):
            raise WrongType(f"lease_timeout must be a number of seconds, not {type(lease_timeout).__name__}")
        if not 0 <= lease_timeout <= LEASE_TIMEOUT_S_MAX:
            raise WrongType(f"lease_timeout must lie between 0 and {LEASE_TIMEOUT_S_MAX:g} seconds")
        given = read_catalog(catalog, _fastcheck.Catalog.parse)
        host = Host(
            path,
            parse=_fastcheck.Catalog.parse,
            make_arena=_make_arena,
            clock=clock or SystemClock(),
            lease_timeout_s=lease_timeout,
            may_own=may_own,
        )
        host.start(given)
        try:
            touch = _Touch(host)
            self = cls(
                str(path),
                touch,
                strict=strict,
                manual_clock=isinstance(clock, ManualClock),
            )
            if isinstance(clock, ManualClock):
                self._set_clock(clock.now_ms())
        except BaseException:
            host.close()
            raise
        self._host = host
        self._touch = touch
        self._lease_timeout_s = float(lease_timeout)
        self._listener = Listener(host)
        self._admin = Admin(host.call, lambda: host.role == "owner")
        return self

    def _wait_seq(self, min_seq: int, /) -> None:
        """Waits until this host has come to change `min_seq`; the native methods call it for their `min_seq`.
        Raises `NotYet` after `lease_timeout`."""
        deadline = time.monotonic() + self._lease_timeout_s
        while (seq := self._seq()[1]) < min_seq:
            if time.monotonic() >= deadline:
                raise NotYet(f"this host is at change {seq}, not yet at {min_seq}: ask again, or wait longer")
            time.sleep(SEQ_POLL_S)

    def __repr__(self) -> str:
        host: Host | None = getattr(self, "_host", None)
        if host is None:
            return super().__repr__()
        role = None if self.closed else host.role
        return f"{type(self).__name__}({str(host.directory)!r}, role={role!r}, closed={self.closed})"

    @property
    def admin(self) -> Admin:
        """What administrators do: customers, overrides, grants, balances, the catalog, the audit log.

        >>> ents.admin.balance("acme", "ai_credits").remaining
        50000
        """
        return self._admin

    def explain(self, customer: str, feature: str, at: Instant | None = None) -> Explanation:
        """Every source of a feature for a customer, at an instant (default: now), and which one won. `print`
        it.

        Raises `UnknownCustomer`, `UnknownFeature`.

        >>> why = ents.explain("acme", "export")
        >>> why.value, why.source, [one.name for one in why.considered]
        (True, 'plan', ['pro@1', ''])
        """
        moment = None if at is None else instant_ms(at, "at")
        found: Explanation = self._host.call(
            "explain", name(customer, "customer"), name(feature, "feature"), moment
        )
        return found

    def status(self) -> Status:
        """How this process and its host are doing.

        >>> status = ents.status()
        >>> status.role, status.customers, status.panics
        ('owner', 2, 0)
        """
        native = self._status()
        as_of = int(native.get("heartbeat_at_ms") or 0)
        return Status(
            self._host.role, str(self._host.directory), native.get("owner_pid"), int(native.get("seq") or 0),
            int(native.get("customers") or 0), as_of, max(0, time.time_ns() // 1_000_000 - as_of),
            int(native.get("generation") or 0), int(native.get("unknown_names") or 0),
            int(native.get("journal_dropped") or 0), int(native.get("panics") or 0), self._host.notes,
        )  # fmt: skip

    def on(self, kind: str, callback: Callable[[Change], object]) -> Callable[[], None]:
        """Calls back on a thread of its own for each change of a kind: low_balance, limit_reached,
        tier_crossed, trial_ending, override_ending, grant_expiring, topped_up, top_up_capped,
        customer_changed, customer_deleted, catalog_changed. Call what it returns to end that.

        >>> end = ents.on("low_balance", lambda change: print(change.customer, change.pool))
        >>> end()
        """
        if kind not in KINDS:
            raise NameInvalid(f"there is no change of kind {kind!r:.40}: use one of {', '.join(KINDS)}")
        if not callable(callback):
            raise WrongType("the callback must be callable")
        return self._listener.on(kind, callback)

    def watch(self, customer: str | None = None, feature: str | None = None) -> AsyncIterator[Change]:
        """The changes of a customer, of a feature's balance, or all, as they come. Repetitions that nobody
        took yet are one change; more than can be kept become one change "missed".

        Watching begins with the call, which may ask the owner, and ends when the iterator is dropped. Raises
        `UnknownFeature`, `OwnerUnavailable`, `Closed`.

        >>> async def first_change():
        ...     changes = ents.watch(customer="acme")
        ...     ents.admin.put_override("acme", "seats", 26, reason="a trial")
        ...     return (await anext(changes)).kind
        >>> asyncio.run(first_change())
        'customer_changed'
        """
        pools = (
            None if feature is None else frozenset(self._host.call("pools_behind", name(feature, "feature")))
        )

        def wanted(change: Change) -> bool:
            if customer is not None and change.customer not in (None, customer):
                return False
            return pools is None or change.pool is None or change.pool in pools

        return self._listener.watch(wanted)

    async def aconsume(
        self, customer: str, feature: str, amount: int | Mapping[str, int] = 1, /, *, event: str | None = None
    ) -> bool:
        """`consume` that never blocks the event loop: at the first touch of a pool it waits in a thread.

        >>> asyncio.run(ents.aconsume("acme", "gpt-4o", 12))
        True
        """

        def burn() -> bool:
            return self.consume(customer, feature, amount, event=event)

        allowed, would_wait = self._touch.without_waiting(burn)
        if allowed or not would_wait:
            return allowed
        return await asyncio.get_running_loop().run_in_executor(None, burn)

    async def prewarm(self, wanted: Iterable[str | tuple[str, str]]) -> int:
        """Lends ahead, so that no check or burn has to ask: customers, or (customer, feature) pairs. How many
        leases were opened. Raises `UnknownCustomer`, `UnknownFeature`.

        >>> asyncio.run(ents.prewarm([("acme", "gpt-4o"), ("tiny", "api_calls")]))
        2
        """
        pairs = [_pair(one) for one in wanted]
        opened: int = await asyncio.get_running_loop().run_in_executor(
            None, self._host.call, "prewarm", pairs
        )
        return opened

    def close(self) -> None:
        """Settles what was spent and lets go of the directory. Again: nothing.

        >>> ents.close()
        >>> ents.closed
        True
        """
        host = getattr(self, "_host", None)
        if host is not None:
            self._listener.close()
            self._close()
            host.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _make_arena(directory: str, catalog: Any, now_ms: int) -> _fastcheck.Owner:
    return _fastcheck.Owner(directory, catalog, now_ms)


def _pair(wanted: object) -> tuple[str, str | None]:
    match wanted:
        case str():
            return name(wanted, "customer"), None
        case (customer, feature):
            return name(customer, "customer"), name(feature, "feature")
    raise WrongType("prewarm takes customers, or (customer, feature) pairs")


_fastcheck.install(Entitlements)  # The subclass answers through the native descriptors themselves.
