"""The native module: the arena, the resolver, the burn. Python moves bytes, this understands them.

`Checker` is the base of `fastcheck.Entitlements`; `Catalog`, `Decision`, `Estimate`, `Handle`, `Reservation` and `Settlement`
are re-exported by `fastcheck`. `Owner`, `Checkpoint` and `SnapshotWriter` are for the runtime alone.

The examples below run as tests. In them `ents` is an open `Entitlements` on `examples/quickstart/catalog.yaml`, where customer
"acme" has plan `pro` and 50,000 `ai_credits`, and customer "tiny" has plan `free`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

__version__: str
__all__ = [
    "Catalog",
    "Checker",
    "Checkpoint",
    "Decision",
    "Estimate",
    "Handle",
    "Owner",
    "Reservation",
    "Settlement",
    "SnapshotWriter",
    "__version__",
    "arena_boot",
    "digest",
    "install",
    "snapshot_info",
]

_Credits: TypeAlias = int | Decimal
_Quantities: TypeAlias = int | Mapping[str, int]
_Customers: TypeAlias = Sequence[str] | npt.NDArray[np.uint32]
_CellTotals: TypeAlias = tuple[int, str, int, int, int, int, bool]
_UsageRecord: TypeAlias = tuple[str, int, str, str, str, int, list[tuple[str, int]]]

@final
class Catalog:
    """A validated catalog.

    >>> catalog = Catalog.parse(b"{fastcheck: 1, features: {export: {kind: switch}}}", "tiny.yaml")
    >>> catalog.document()["features"]["export"]["kind"]
    'switch'
    """

    @staticmethod
    def parse(text: bytes, filename: str) -> Catalog:
        """Reads YAML or JSON (docs/catalog.md). Raises `CatalogError`, whose `problems` lists every mistake with file,
        line and hint.

        >>> Catalog.parse(b"{fastcheck: 1, features: {export: {kind: swich}}}", "tiny.yaml")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        fastcheck.errors.CatalogError: the catalog has 1 problem:
          tiny.yaml:1: ...
        """
    @staticmethod
    def schema() -> str:
        """The JSON Schema of catalog files, as JSON text.

        >>> import json
        >>> json.loads(Catalog.schema())["title"]
        'fastcheck catalog'
        """
    @staticmethod
    def import_pricing2yaml(text: bytes, filename: str) -> tuple[str, list[str]]:
        """(catalog YAML text, notes on what could not be taken over). Raises `CatalogError`.

        >>> pricing = b"{features: {export: {valueType: BOOLEAN, defaultValue: false}}, plans: {PRO: {features: null}}}"
        >>> text, notes = Catalog.import_pricing2yaml(pricing, "pricing.yaml")
        >>> sorted(Catalog.parse(text.encode(), "catalog.yaml").document()["plans"]), notes
        (['PRO'], [])
        """
    @property
    def digest(self) -> str:
        """Hex digest of the canonical content: equal for files that mean the same."""
    def document(self) -> dict[str, Any]:
        """The canonical content with every default filled in; amounts in integer pool units (docs/catalog.md)."""
    def resolve(self, record: bytes, at_ms: int) -> dict[str, tuple[bool | int | str | None, str]]:
        """What one customer record has at an instant: feature -> (setting, source). None = unlimited."""
    def boundaries(self, record: bytes) -> list[int]:
        """The instants (ms since 1970) at which `resolve` may change, ascending."""
    def explain(self, record: bytes, feature: str, at_ms: int) -> list[dict[str, Any]]:
        """Every source considered, strongest first: source, name, setting, adds, active, starts_at_ms, ends_at_ms, won,
        why. Raises `UnknownFeature`."""
    def customer_error(self, record: bytes) -> str | None:
        """What is wrong with a customer record under this catalog (unknown plan, wrong kind of override…), or None."""

@final
class Owner:
    """The writing side of an arena. One per directory; the caller holds the owner lock.

    Numbers of customers are 1 to 2^32 - 2; amounts are pool units; a lease is named by (number, pool, lease).
    Totals are (number, pool, lease, spent, returned, granted, closed), since the lease was opened."""

    def __new__(cls, directory: str, catalog: Catalog, now_ms: int, *, on_demand: int | None = None) -> Owner:
        """Adopts the arena in `directory`, or makes one. `on_demand`: rows for some of many customers, at most so many (1 to
        2^27), put there by `put_found`; None: for all. Rows of the other mode are not adopted. Raises `ArenaError`,
        `DirectoryError`, `RecordError`."""
    @property
    def adopted(self) -> bool:
        """Whether an arena of this boot was found intact, with rows of this very catalog."""
    @property
    def previous_boot(self) -> bool:
        """Whether the cells found were from an earlier boot: settle and close them, never spend on."""
    @property
    def detached(self) -> bool:
        """Whether the files in the directory are no longer the ones in use: deleted or replaced from outside."""
    @property
    def seq(self) -> int:
        """Up to which sequence number the rows are current."""
    @property
    def epoch(self) -> int:
        """The ledger's epoch that the rows are of; 1 in a directory that is its own ledger, 0 before anything is loaded."""
    @property
    def digest(self) -> int:
        """Sum (mod 2^64) of the hashes of the records that the rows were made from."""
    @property
    def arena(self) -> int:
        """The arena's random id: another one after its files were made anew."""
    @property
    def customers(self) -> int:
        """How many customers have rows."""
    def load(self, records: Iterable[bytes], seq: int, now_ms: int, *, epoch: int = 1) -> int:
        """Replaces all rows (new generation) by these chunks of records; nothing is visible before the end. Returns how many
        customers there are. Raises `RecordError` with the former rows in force."""
    def load_checkpoint(self, checkpoint: Checkpoint, now_ms: int) -> int:
        """Replaces all rows by what the checkpoint has in force: base and log, streamed from disk. Epoch, seq and digest are
        the checkpoint's. Returns how many customers there are.

        The catalog must be the checkpoint's (`Checkpoint.recover`). Raises `Conflict` if the checkpoint has nothing,
        `ArenaError` if its files are not as they must be, `RecordError` for a record that the catalog refuses; the former
        rows are in force then."""
    def load_received(self, checkpoint: Checkpoint, now_ms: int) -> int:
        """The same from a snapshot that is received but not completed, so that a bad one is refused before it counts."""
    def put(self, records: bytes, seq: int, now_ms: int, *, epoch: int = 1) -> int:
        """Upserts records, all or nothing; a record flagged deleted removes its customer. Returns how many. Raises
        `RecordError` before anything is visible, also for more than 256 MiB at once."""
    def put_held(self, records: bytes, seq: int, now_ms: int, *, epoch: int) -> tuple[list[int], list[str]]:
        """On demand: applies of a change what is about customers held here, all or nothing; then the rows show change `seq`
        of `epoch`. A key that became another customer's leads nowhere until that one is found. Returns all numbers and all
        keys (ids, aliases) that the change was about, held or not.

        Here and in `put_found` a record flagged deleted removes its customer."""
    def put_found(self, records: bytes, now_ms: int) -> int:
        """On demand: takes customers in that were asked for, all or nothing, and moves no seq. Where there is no room an
        eighth of those held is evicted before. More than `on_demand` are held only while they have open leases. Returns how
        many records there were."""
    def held(self) -> int:
        """How many customers are held; as `customers`."""
    def evict(self, target: int) -> int:
        """On demand: drops customers until `target` are held. First those that no process looked up since the last time,
        oldest rows first, then the rest likewise; never one with an open lease. Makes a new generation. Returns how many
        went."""
    def held_numbers(self) -> list[int]:
        """The numbers of the customers held, ascending."""
    def held_keys(self, after: int, limit: int) -> list[tuple[int, str]]:
        """(number, id) of the customers held with the `limit` lowest numbers above `after`, ascending. Each call looks at all
        rows: take large pages."""
    def open_cell(
        self, number: int, pool: str, lease: int, granted: int, valid_until_ms: int | None, full: bool
    ) -> None:
        """Opens the cell of (number, pool) for `lease`, lending `granted` units until `valid_until_ms`. `full`: all
        there is has been lent, so a denial here is final. An open cell of another lease must be closed before."""
    def raise_cell(self, number: int, pool: str, lease: int, granted: int, full: bool) -> bool:
        """Raises what is lent to an absolute total since the lease was opened; lower totals change nothing.
        False if that lease is not open."""
    def close_cell(self, number: int, pool: str, lease: int) -> _CellTotals | None:
        """Closes for good; the totals returned are final. None if there is no cell for that lease. Repeatable."""
    def cell(self, number: int, pool: str, lease: int) -> _CellTotals | None:
        """One lease. None if there is no cell for it."""
    def cells(self, changed_only: bool = False) -> list[_CellTotals]:
        """All leases in the arena; `changed_only`: those whose totals moved since the last such call."""
    def retire(self) -> list[_CellTotals]:
        """Closes all leases and tells readers to attach again; the totals are final."""
    def sweep(self, manual_now_ms: int | None = None) -> int:
        """Ends reservations that expired or whose process died. Returns how many."""
    def late_returns(self) -> list[tuple[str, int, str, int, int]]:
        """What the last sweep found to be given back to closed leases: (key, number, pool, lease, units). A key is
        never used for another return."""
    def late_returns_booked(self) -> None:
        """The late returns listed last are in the ledger: forget them."""
    def drain_journal(self, limit: int) -> list[_UsageRecord]:
        """Usage records of all processes of the host, in order per process:
        (position, at_ms, event, customer, feature, units, [(quantity, n)]). A position names a record for good. They come
        again until `ack_journal`."""
    def ack_journal(self) -> None:
        """The records drained last are stored: forget them."""
    def heartbeat(self, now_ms: int, steady_ms: int | None = None) -> None:
        """Without a hub: the owner lives, so what is here is current. `steady_ms`: since boot, on the clock that goes on
        while the machine sleeps; None: now. An owner with a hub calls `link` and `fresh` instead."""
    def link(self, connected: bool) -> None:
        """With a hub: it is heard, or not. The first call forgets what owners without a hub said of freshness."""
    def fresh(self, as_of_ms: int, steady_ms: int | None = None) -> None:
        """With a hub: what is here was current at `as_of_ms` since 1970, heard at `steady_ms` as for `heartbeat`."""
    def close(self) -> None:
        """Lets go of the files. Leases stay open: other processes go on spending."""

@final
class SnapshotWriter:
    """Writes a snapshot's file: all customers as of one change of the ledger (docs/format/snapshot.md).

    Any thread may use it, one call at a time has effect. Until `finish` there is only a temporary file beside `path`; it is
    removed when the writer is dropped. After a `DirectoryError` it is of no use any more.

    >>> from fastcheck._fastcheck import SnapshotWriter, digest, snapshot_info
    >>> from fastcheck.wire.record import CustomerRecord, pack_record
    >>> records = pack_record(CustomerRecord(1, "acme", plan="pro", version=1))
    >>> writer = SnapshotWriter("acme.fcs", 1, 7, digest(records)[0], "catalog.yaml", b"{fastcheck: 1}")
    >>> writer.add(records)
    >>> customers, file_bytes = writer.finish()
    >>> customers, snapshot_info("acme.fcs")[:2]
    (1, (1, 7))
    """

    def __new__(
        cls, path: str, epoch: int, seq: int, digest: int, filename: str, source: bytes
    ) -> SnapshotWriter:
        """Begins the file. `digest`: what the records to come must sum up to (see `digest`). `filename`, `source`: the
        catalog in force, at most 16 MiB. Raises `DirectoryError`, `RecordError` for a catalog over its bounds."""
    def add(self, records: bytes) -> None:
        """Adds customers' records, one after the other, all of them or none; those flagged deleted are left out. Raises
        `RecordError` for bytes that are no records and for a record of more than 8 MiB, `DirectoryError`, `Closed`."""
    def finish(self) -> tuple[int, int]:
        """(customers, bytes of the file): ends it, syncs it, and gives it its name in one step. Raises `LedgerError` that
        says both sums if the records do not come to the digest, `DirectoryError`, `Closed`; there is no file then."""

def snapshot_info(path: str) -> tuple[int, int, int, int, int]:
    """(epoch, seq, digest, customers, raw bytes): what the header of a snapshot's file says, checked. The body is not read.
    Raises `ArenaError` if it is no snapshot, `DirectoryError` if it cannot be read."""

@final
class Checkpoint:
    """A host's durable copy of what it knows: the newest snapshot as it was received, a log of what changed since, and the
    generation before (docs/format/checkpoint.md).

    One process uses a directory at a time; all of its threads may share one object. A call waits for another thread's only as
    long as that writes; a `compact` keeps others waiting only while it puts its result in place. All methods raise `DirectoryError` where the disk refuses: what was
    in force before the call stays in force.

    >>> from fastcheck._fastcheck import Checkpoint, SnapshotWriter, digest
    >>> from fastcheck.wire.record import CustomerRecord, pack_record
    >>> records = pack_record(CustomerRecord(1, "acme", plan="pro", version=1))
    >>> at = (1, 7, digest(records)[0])
    >>> writer = SnapshotWriter("acme.fcs", *at, "catalog.yaml", b"{fastcheck: 1}")
    >>> writer.add(records)
    >>> _, size = writer.finish()
    >>> checkpoint = Checkpoint("checkpoint")
    >>> checkpoint.recover() is None
    True
    >>> checkpoint.begin(size)
    >>> with open("acme.fcs", "rb") as file:
    ...     checkpoint.piece(0, file.read())
    >>> checkpoint.complete(*at)
    >>> gone = pack_record(CustomerRecord(1, "acme", deleted=True))
    >>> checkpoint.append(gone, 1, 8, 0)
    >>> Checkpoint("checkpoint").recover()
    (1, 8, 0, b'{fastcheck: 1}', 'catalog.yaml')
    """

    def __new__(cls, directory: str) -> Checkpoint:
        """Uses the directory, and makes it (mode 0700) if it is not there. Reads nothing yet."""
    def recover(self) -> tuple[int, int, int, bytes, str] | None:
        """(epoch, seq, digest, catalog's text, its filename) of the newest generation that is whole, from where it goes on;
        None where there is none. Call it first.

        Reads and checks all of it. Of the log everything up to the last whole commit counts, what follows is cut off. A
        damaged generation is set aside as `*.damaged` and the one before is used, with all of its log."""
    def begin(self, file_bytes: int) -> None:
        """Begins to receive a snapshot's file of this size, at most 64 GiB. One that was under way is dropped."""
    def piece(self, offset: int, data: bytes) -> None:
        """The next bytes of it. Raises `Conflict` if `offset` is not where the last piece ended, or if it goes beyond the size
        announced; the transfer is dropped after any error."""
    def received_info(self) -> tuple[int, int, int, int, int]:
        """As `snapshot_info`, of the file received. Raises `Conflict` unless every byte is there, `ArenaError` if it is no
        snapshot."""
    def received_catalog(self) -> tuple[bytes, str]:
        """(text, filename) of the catalog in the file received, to parse it before it counts. Raises as `received_info`."""
    def complete(self, epoch: int, seq: int, digest: int) -> None:
        """Makes the file received the newest generation, with an empty log; it is on disk when this returns. Raises `Conflict`
        unless every byte is there, `ArenaError` if its header says anything else than these arguments or if it is damaged;
        the transfer is dropped then. Its content is read here unless `Owner.load_received` did."""
    def abandon(self) -> None:
        """Drops what is not complete: the transfer, and a catalog that no `append` followed. For when a connection ends."""
    def append(self, records: bytes, epoch: int, seq: int, digest: int) -> None:
        """Appends a change: its records (none is fine), and what everything comes to after it. It is written to the file when
        this returns, so a kill loses nothing; a loss of power loses what came after the last `sync`.

        A change up to `seq` of the same epoch that the log has already is not written again. Raises `Conflict` if it does not
        follow the last one without a gap, `RecordError` for bytes that are no records; nothing is written then. The digest is
        compared when the checkpoint is read: who appends knows it to be right."""
    def append_catalog(self, source: bytes, filename: str) -> None:
        """The catalog in force from the next `append` on. Kept in memory until then. Raises `RecordError` over 16 MiB."""
    def retract(self) -> None:
        """Takes the last change appended out of the log, once: for a change that the rows refuse. Raises `Conflict` if there
        is none."""
    def sync(self) -> None:
        """Makes durable against a loss of power what was appended. Appends of other threads go on meanwhile."""
    def compact(self) -> None:
        """Merges base and log into a new generation: of each customer the newest record, without deleted ones, and the newest
        catalog. Streams; it keeps one number for each customer in the log in memory (about 25 bytes).

        Changes that are appended meanwhile, by other threads, go to both logs. Does nothing if a snapshot is completed meanwhile.
        Raises `Conflict` if there is nothing in force or a change is retracted meanwhile, `ArenaError` if the files are
        damaged."""
    @property
    def log_bytes(self) -> int:
        """Bytes of the log; 0 where there is nothing in force."""
    @property
    def base_bytes(self) -> int:
        """Bytes of the base; 0 where there is nothing in force."""

@disjoint_base
class Checker:
    """The checking and spending side of one directory. `fastcheck.Entitlements` derives from it.

    Names are str of at most 512 bytes of UTF-8; longer or empty ones are known to nobody. A name that nobody knows answers
    with the feature's default (deny), is counted in `status()` and logged once. All methods may be called from
    any thread and after a fork. They raise `WrongType`, `NameInvalid` (a lone surrogate), `Closed` and, if the mapped files
    are damaged, `ArenaError`; and where said, more."""

    def __new__(
        cls,
        directory: str,
        touch: Callable[[Any, Any], bool],
        *,
        strict: bool = False,
        manual_clock: bool = False,
    ) -> Checker:
        """Attaches to the arena in `directory`. `touch(customer, pool)` asks the owner for a lease of a pool this host
        holds none for; True: try again. Where the rows are those of some customers (`Owner(on_demand=…)`), it is also called
        with a pool of None, for an id or alias that has no row, at most once in a call; from `ids` and the batches with a list
        of such names, each once. True: look again; False: they are nobody's. What it raises, the call raises. `strict`:
        unknown features raise `UnknownFeature`."""
    def check(self, customer: str, feature: str, /, *, min_seq: int | None = None) -> bool:
        """May the customer use the feature, and if it is countable, is one unit left? No side effect.

        `min_seq`: the answer shows that change of the ledger at least (what `admin` calls wrote reads back); waits for it up
        to `lease_timeout` and raises `NotYet`. A feature with `when_stale` and `max_staleness_s` (docs/catalog.md) answers by
        its policy where this host has not heard for longer that what it has is current. A feature that only has named quantities needs the smallest unit of its pool to be left.

        >>> ents.check("acme", "export"), ents.check("tiny", "export"), ents.check("nobody", "export")
        (True, False, False)
        """
    def consume(
        self,
        customer: str,
        feature: str,
        amount: _Quantities = 1,
        /,
        *,
        event: str | None = None,
        min_seq: int | None = None,
    ) -> bool:
        """Decides and records a burn, atomically across all processes of the host. False: nothing was recorded.

        `amount`: units of the feature, or {quantity: units} for one burn of several quantities. `event`: an id under which a
        usage record is kept. `min_seq`: as for `check`. Raises `NotCountable` for a feature without a pool, `AmountError` for an amount that is
        negative, too large for one burn (2^48 - 1 pool units) or of an unknown quantity.

        >>> ents.consume("acme", "gpt-4o", 12, event="req_8f2")
        True
        >>> ents.consume("acme", "gpt-4o", 1_000_000)
        False
        """
    def decide(
        self, customer: str, feature: str, amount: _Quantities = ..., /, *, min_seq: int | None = None
    ) -> Decision:
        """The answer with its reason. No side effect. Truthy if allowed. Without an amount: what `check` answers, of any
        feature. With one: what `consume` of it would answer; raises as `consume`. `min_seq`: as for `check`.

        >>> ents.decide("acme", "gpt-4o", 1_000_000).reason
        'exhausted'
        """
    def reserve(
        self, customer: str, feature: str, amount: _Quantities, /, *, ttl: float = 60.0
    ) -> Reservation:
        """Holds an estimate before the work; `commit` the true amount after it, or `release`.

        `ttl`: seconds after which the hold ends by itself, at most a week. Truthy if granted. Raises as `consume`, and
        `TooManyReservations`.

        >>> with ents.reserve("acme", "gpt-4o", 4000) as hold:
        ...     hold.commit(1234).charged
        1234
        """
    def estimate(self, customer: str, feature: str, amount: _Quantities, /) -> Estimate:
        """What an amount would cost, in credits, and the balance before and after. No side effect. Raises as `consume`.

        >>> ents.estimate("acme", "gpt-4o", 40).cost
        40
        """
    def value(self, customer: str, feature: str, default: Any = None) -> Any:
        """The customer's value of a feature (int, str or bool), or `default` where it has none.

        >>> ents.value("acme", "retention_days"), ents.value("tiny", "retention_days", default=7)
        (30, 7)
        """
    def limit(self, customer: str, feature: str) -> int | None:
        """The bound of a limit, or the quota of a meter; None = unlimited, 0 = not entitled. Raises `WrongType` for features
        of other kinds.

        >>> ents.limit("acme", "seats"), ents.limit("tiny", "api_calls")
        (25, 1000)
        """
    def handle(self, customer: str, feature: str, /) -> Handle:
        """One feature of one customer, for the tightest loops.

        >>> ents.handle("acme", "export").check()
        True
        """
    def ids(self, customers: _Customers, /) -> npt.NDArray[np.uint32]:
        """The customers' numbers, shape (n,), for the batch methods; 2^32 - 1 for unknown ones. They stay good for as
        long as the customers exist; on a host that holds some of many, for as long as they are held: after that the batches
        raise `StaleIds`.

        >>> ents.check_many(ents.ids(["acme", "tiny"]), "export").tolist()
        [True, False]
        """
    def check_many(self, customers: _Customers, feature: str, /) -> npt.NDArray[np.bool_]:
        """`check` for many customers: a list of str, or what `ids` gave. Shape (n,).

        >>> ents.check_many(["acme", "tiny", "nobody"], "export").tolist()
        [True, False, False]
        """
    def consume_many(
        self,
        customers: _Customers,
        feature: str,
        amounts: int | Sequence[int] | npt.NDArray[np.int64] | npt.NDArray[np.uint64] | None = None,
        /,
    ) -> npt.NDArray[np.bool_]:
        """`consume` for many customers, each burn by itself; `amounts` is one int, or one for each. Shape (n,). Raises as
        `consume`, before anything is burned.

        >>> ents.consume_many(["acme", "tiny"], "gpt-4o", [3, 4]).tolist()
        [True, False]
        """
    def _pool_totals(self, customer: str, pool: str) -> tuple[int, int, int] | None: ...
    def _status(self) -> dict[str, Any]: ...
    def _seq(self) -> tuple[int, int]: ...
    def _wait_seq(self, min_seq: int, /) -> None: ...
    def _set_clock(self, now_ms: int) -> None: ...
    def _close(self) -> None: ...
    def _panic(self) -> bool: ...
    def _floor(self, customer: str, feature: str, /) -> bool: ...
    @property
    def closed(self) -> bool:
        """Whether `close()` was called.

        >>> ents.closed
        False
        """

@final
class Handle:
    """`Entitlements.handle(customer, feature)`. Follows every change of the customer and of the catalog."""

    @property
    def customer(self) -> str:
        """The id or alias it was made with."""
    @property
    def feature(self) -> str:
        """The feature's name."""
    def check(self, /) -> bool:
        """As `Entitlements.check`.

        >>> ents.handle("tiny", "export").check()
        False
        """
    def consume(self, amount: _Quantities = 1, /) -> bool:
        """As `Entitlements.consume`.

        >>> ents.handle("acme", "api_calls").consume(5)
        True
        """

@final
class Decision:
    """What `decide` answers. Truthy if allowed.

    >>> decision = ents.decide("tiny", "export")
    >>> bool(decision), decision.reason, decision.source
    (False, 'not_entitled', 'default')
    """

    @property
    def allowed(self) -> bool:
        """The answer."""
    @property
    def reason(self) -> str:
        """allowed; never: not_entitled, unknown_customer, unknown_feature; not now: exhausted (nothing left), no_lease (this
        host has none, and the owner could not be asked); stale, either way: what is known here is too old for the feature, and
        its `when_stale` decided."""
    @property
    def source(self) -> str | None:
        """What the entitlement comes from: override, trial, addon, plan or default."""
    @property
    def remaining(self) -> _Credits | None:
        """Credits of the pool left on this host. None: not countable, unlimited, or not known."""
    @property
    def cost(self) -> _Credits:
        """Credits that the amount would burn."""
    @property
    def resets_at(self) -> datetime | None:
        """When the balance changes by itself: a refill, an expiry. UTC.

        >>> ents.decide("acme", "api_calls").resets_at.day
        1
        """
    @property
    def as_of(self) -> datetime:
        """As of when what this host knows was last known to be current: the owner's last sign of life; with a hub, the
        hub's. UTC."""
    @property
    def lag_ms(self) -> int:
        """How old that was when this was decided, in milliseconds.

        >>> ents.decide("acme", "export").lag_ms < 60_000
        True
        """
    def __bool__(self, /) -> bool: ...

@final
class Estimate:
    """What `estimate` answers. Amounts are credits.

    >>> estimate = ents.estimate("acme", "gpt-4o", 40)
    >>> estimate.balance_before, estimate.cost, estimate.balance_after
    (50000, 40, 49960)
    """

    @property
    def allowed(self) -> bool:
        """Whether a burn of that amount would be allowed now."""
    @property
    def reason(self) -> str:
        """As `Decision.reason`."""
    @property
    def cost(self) -> _Credits:
        """Credits that the amount would burn."""
    @property
    def balance_before(self) -> _Credits:
        """Credits left on this host."""
    @property
    def balance_after(self) -> _Credits:
        """Credits left after it; zero where they do not cover the cost."""

@final
class Reservation:
    """`Entitlements.reserve(...)`: a hold on a pool. A `with` block releases what was not committed; so does dropping it."""

    @property
    def allowed(self) -> bool:
        """Whether the hold was granted."""
    @property
    def reason(self) -> str:
        """As `Decision.reason`."""
    @property
    def amount(self) -> _Credits:
        """Credits asked for."""
    def commit(self, actual: _Quantities | None = None, /, *, event: str | None = None) -> Settlement:
        """Settles: keeps what was used (the whole estimate if not said), gives the rest back. What was used beyond the
        estimate is burned as far as the balance has it; the rest is the settlement's `shortfall`. A hold that expired
        before is burned anew. `event`: an id under which a usage record is kept.

        Raises `Conflict` if it was denied or is settled already, and as `consume`.

        >>> ents.reserve("acme", "gpt-4o", 10).commit(4)
        Settlement(charged=4, shortfall=0)
        """
    def release(self) -> None:
        """Gives all back. Raises as `commit`.

        >>> hold = ents.reserve("acme", "gpt-4o", 10)
        >>> hold.release()
        >>> ents.decide("acme", "gpt-4o").remaining
        50000
        """
    def __enter__(self) -> Reservation: ...
    def __exit__(self, *_exc: object) -> None: ...
    def __bool__(self, /) -> bool: ...

@final
class Settlement:
    """What `Reservation.commit` answers. Amounts are credits."""

    @property
    def charged(self) -> _Credits:
        """Credits burned for the work, all told."""
    @property
    def shortfall(self) -> _Credits:
        """Credits that the work cost beyond what the balance had."""

def install(class_: type[Checker], /) -> None:
    """Gives a class derived from `Checker` the hot methods as its own: a method descriptor that belongs to the very class of
    an object is called without a detour."""

def arena_boot(directory: str, /) -> bool | None:
    """Whether the arena in `directory` was last owned since this machine started: only then may its cells be spent from before
    an owner has adopted it. None: there is none, or its headers are not whole. Reads headers only.

    >>> from fastcheck._fastcheck import arena_boot
    >>> arena_boot(ents.status().directory), arena_boot("./nothing")
    (True, None)
    """

def digest(records: bytes, /) -> tuple[int, int]:
    """(sum, count): what these customer records, one after the other, add to a digest, and how many customers they are.

    A digest is the sum (mod 2^64) of a 64-bit hash of each customer's record; records flagged deleted add nothing. So it
    does not depend on the order, and a change moves it by the new record's hash less the old one's. Raises `RecordError`
    for bytes that are no records."""
