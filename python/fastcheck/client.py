"""`Entitlements`: what programs hold. The hot methods are the native class's own; here is what surrounds
them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from fastcheck import _fastcheck, factories
from fastcheck.clock import Clock, ManualClock
from fastcheck.errors import NameInvalid, NotYet, WrongType
from fastcheck.factories import Common
from fastcheck.host.changes import KINDS, Change
from fastcheck.host.listener import Listener
from fastcheck.loading import LOADING
from fastcheck.wire.names import name

if TYPE_CHECKING:  # Loaded by whoever uses them first: a worker that only checks never does.
    from fastcheck.admin import Admin
    from fastcheck.host.participant import AnyParticipant
    from fastcheck.wire.answers import Explanation, Status
    from fastcheck.wire.fields import Instant

Self = TypeVar("Self", bound="Entitlements")

SEQ_POLL_S = 0.0002
"""The first wait between two looks for a change; each further one is twice as long."""
SEQ_POLL_S_MAX = 0.01


class _Touch:
    """What the native module calls at the first touch of a pool; on a host on demand, with None for the pool,
    at that of a customer or a list of them. On an event loop's thread it may be told not to wait: it then
    notes what was asked, and the burn is repeated elsewhere."""

    def __init__(self, host: AnyParticipant) -> None:
        self._host = host
        self._local = threading.local()

    def __call__(self, customer: str | list[str], pool: str | None) -> bool:
        asked = getattr(self._local, "asked", None)
        if asked is not None:
            asked.append((customer, pool))
            return False
        if isinstance(customer, str):
            return self._host.touch(customer, pool)
        return self._host.touch_many(customer)

    def without_waiting(self, call: Callable[[], bool]) -> tuple[bool, bool]:
        """(what the call said, whether it would have waited)."""
        self._local.asked = asked = list[tuple[str | list[str], str | None]]()
        try:
            return call(), bool(asked)
        finally:
            self._local.asked = None


class Entitlements(_fastcheck.Checker):
    """Answers what customers may do, and burns what they have, for every process of a host.

    `check`, `consume`, `decide`, `reserve`, `estimate`, `value`, `limit`, `handle`, `ids`, `check_many` and
    `consume_many` are described at the native class they come from."""

    _host: AnyParticipant
    _listener: Listener
    _touch: _Touch
    _admin: Admin  # Of a ledger in the directory; a hub's client is the host's.
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
        common = Common(strict, lease_timeout, clock)
        return cls._over(factories.opened(directory, catalog, common), common)

    @classmethod
    def connect(
        cls: type[Self],
        url: str,
        directory: str | os.PathLike[str],
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        catalog: object = None,
        customers: str = "all",
        customers_max: int = 100_000,
        wait_ready_s: float = 5.0,
        strict: bool = False,
        lease_timeout: float = 1.0,
        ca_file: str | os.PathLike[str] | None = None,
        insecure: bool = False,
        clock: Clock | None = None,
    ) -> Self:
        """Follows a hub: the first process of the host keeps the directory at what the hub says, the others
        attach and take over when it dies. One stream per host, whatever the number of processes.

        Starts from what is on disk, with the hub away too; `status()` says how current that is. A directory
        that has nothing yet waits `wait_ready_s` seconds for the hub, then goes on with `catalog`, a bundled
        one, if there is one.

        `url`: wss:// or https://; without TLS only on this machine, or with `insecure`. `token`: or
        `token_file`, read anew for every attempt, or the environment's FASTCHECK_TOKEN; it needs the scope
        `stream`. `customers`: "all", or "on_demand" to fetch each at its first touch and hold at most
        `customers_max`. `lease_timeout`: seconds that the first touch of a customer may take. `ca_file`:
        certificates of the hub's authority. `strict`, `clock`: as in `open`.

        What is countable is denied as `no_lease`: there are no leases across a fleet yet.

        >>> hub, token = "ws://127.0.0.1:9", "fc_live_0123456789abcdef_secret"  # a hub that is away
        >>> with Entitlements.connect(
        ...     hub, "./follower", token=token, catalog="catalog.yaml", wait_ready_s=0
        ... ) as follower:
        ...     follower.status().connected, follower.check("acme", "export")
        (False, False)

        Raises `HubUnavailable`, `Forbidden` or `NotYet` where there is nothing to answer from,
        `DirectoryError` for a directory with a ledger of its own or of another hub, `NameInvalid`,
        `WrongType`, `CatalogError`, `ArenaError`, `OwnerUnavailable`."""
        common = Common(strict, lease_timeout, clock)
        host = factories.connected(
            url,
            directory,
            common,
            token=token,
            token_file=token_file,
            catalog=catalog,
            customers=customers,
            customers_max=customers_max,
            wait_ready_s=wait_ready_s,
            ca_file=ca_file,
            insecure=insecure,
        )
        return cls._over(host, common)

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
        common = Common(strict, lease_timeout, clock)
        return cls._over(factories.attached(directory, common), common)

    @classmethod
    def _over(cls: type[Self], host: AnyParticipant, common: Common) -> Self:
        """The checker of a host that has begun."""
        manual = isinstance(common.clock, ManualClock)
        try:
            touch = _Touch(host)
            self = cls(str(host.directory), touch, strict=common.strict, manual_clock=manual)
            if isinstance(common.clock, ManualClock):
                self._set_clock(common.clock.now_ms())
        except BaseException:
            host.close()
            raise
        self._host = host
        self._touch = touch
        self._listener = Listener(host)
        self._lease_timeout_s = common.lease_timeout
        host.serves(self)
        return self

    def __repr__(self) -> str:
        host: AnyParticipant | None = getattr(self, "_host", None)
        if host is None:
            return super().__repr__()
        role = None if self.closed else host.role
        return f"{type(self).__name__}({str(host.directory)!r}, role={role!r}, closed={self.closed})"

    @property
    def admin(self) -> Admin:
        """What administrators do: customers, overrides, grants, balances, the catalog, the audit log. Of a
        directory that follows a hub, this is a client of the hub (`pip install 'fastcheck[client]'`).

        >>> ents.admin.balance("acme", "ai_credits").remaining
        50000
        """
        return self._host.admin()

    def explain(self, customer: str, feature: str, at: Instant | None = None) -> Explanation:
        """Every source of a feature for a customer, at an instant (default: now), and which one won. `print`
        it.

        Raises `UnknownCustomer`, `UnknownFeature`.

        >>> why = ents.explain("acme", "export")
        >>> why.value, why.source, [one.name for one in why.considered]
        (True, 'plan', ['pro@1', ''])
        """
        with LOADING:
            from fastcheck.wire.fields import at_ms
            from fastcheck.wire.operations.features import Explain

        return self.admin._ask(Explain(customer, feature, at_ms(at, "at")))

    def status(self) -> Status:
        """How this process and its host are doing.

        >>> status = ents.status()
        >>> status.role, status.customers, status.panics
        ('owner', 2, 0)
        """
        with LOADING:
            from fastcheck.wire.answers import Status

        native = self._status()
        host = self._host
        as_of = int(native.get("heartbeat_at_ms") or 0)
        found = Status(
            host.role,
            str(host.directory),
            native.get("owner_pid"),
            int(native.get("seq") or 0),
            int(native.get("customers") or 0),
            as_of,
            max(0, time.time_ns() // 1_000_000 - as_of),
            int(native.get("generation") or 0),
            int(native.get("unknown_names") or 0),
            int(native.get("journal_dropped") or 0),
            int(native.get("panics") or 0),
            host.notes,
            epoch=int(native.get("epoch") or 0),
            stale_answers=int(native.get("stale_answers") or 0),
        )
        return host.told(found, connected=native.get("link") == _LINK_CONNECTED)

    def wait_ready(self, timeout_s: float | None = None) -> Status:
        """Waits until a hub has filled this host once; None: as long as it takes. At once where it has, or
        where the ledger is in the directory. Raises `NotYet` with the reason.

        >>> ents.wait_ready(timeout_s=5).role
        'owner'
        """
        self._host.wait_ready(timeout_s)
        return self.status()

    async def ready(self, timeout_s: float | None = None) -> Status:
        """`wait_ready` that blocks no event loop.

        >>> asyncio.run(ents.ready()).role
        'owner'
        """
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(None, self.wait_ready, timeout_s)

    def wait_seq(self, seq: int, timeout_s: float = 5.0) -> int:
        """Waits until checks see a change, by its number (`admin.last_seq` of a hub's client): read your own
        write. The number they see. Raises `NotYet`.

        >>> ents.wait_seq(ents.status().seq) >= ents.status().seq
        True
        """
        for wait_s in self._waits(seq, timeout_s):
            time.sleep(wait_s)
        return self._seq()[1]

    def _waits(self, seq: int, timeout_s: float) -> Iterator[float]:
        """How long to wait before each further look, until checks see a change. Raises `NotYet`."""
        end = time.monotonic() + timeout_s
        wait_s = SEQ_POLL_S
        while (at := self._seq()[1]) < seq:
            if time.monotonic() >= end:
                raise NotYet(
                    f"this host is at change {at}, not at {seq}, after {timeout_s:g} s: see status() for why"
                )
            yield wait_s
            wait_s = min(2 * wait_s, SEQ_POLL_S_MAX)

    def _wait_seq(self, min_seq: int, /) -> None:
        """Waits until this host has come to change `min_seq`; the native methods call it for their `min_seq`.
        Raises `NotYet` after `lease_timeout`."""
        self.wait_seq(min_seq, self._lease_timeout_s)

    async def reached(self, seq: int, timeout_s: float = 5.0) -> int:
        """`wait_seq` that blocks no event loop.

        >>> asyncio.run(ents.reached(1)) >= 1
        True
        """
        import asyncio

        for wait_s in self._waits(seq, timeout_s):
            await asyncio.sleep(wait_s)
        return self._seq()[1]

    def on(self, kind: str, callback: Callable[[Change], object]) -> Callable[[], None]:
        """Calls back on a thread of its own for each change of a kind: low_balance, limit_reached,
        tier_crossed, trial_ending, override_ending, grant_expiring, topped_up, top_up_capped, purchase_paid,
        purchase_refunded, purchase_charged_back, customer_changed, customer_deleted, catalog_changed,
        connected, disconnected. Call what it returns to end that.

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
        import asyncio

        def burn() -> bool:
            return self.consume(customer, feature, amount, event=event)

        allowed, would_wait = self._touch.without_waiting(burn)
        if allowed or not would_wait:
            return allowed
        return await asyncio.get_running_loop().run_in_executor(None, burn)

    async def prewarm(self, wanted: Iterable[str | tuple[str, str]]) -> int:
        """Lends ahead, so that no check or burn has to ask: customers, or (customer, feature) pairs. How many
        leases were opened; on a host on demand, how many customers were fetched. Raises `UnknownCustomer`,
        `UnknownFeature`.

        >>> asyncio.run(ents.prewarm([("acme", "gpt-4o"), ("tiny", "api_calls")]))
        2
        """
        import asyncio

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


_LINK_CONNECTED = 1
"""What the arena says where the hub is heard."""


def _pair(wanted: object) -> tuple[str, str | None]:
    match wanted:
        case str():
            return name(wanted, "customer"), None
        case (customer, feature):
            return name(customer, "customer"), name(feature, "feature")
    raise WrongType("prewarm takes customers, or (customer, feature) pairs")


_fastcheck.install(Entitlements)  # The subclass answers through the native descriptors themselves.
