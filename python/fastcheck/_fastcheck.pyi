"""The native module: the arena, the resolver, the burn. Python moves bytes, this understands them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, SupportsInt

import numpy as np
import numpy.typing as npt

__version__: str

Quantities = int | Mapping[str, int]
CellTotals = tuple[int, str, int, int, int, int, bool]
"""(customer number, pool name, lease, spent, returned, granted, closed); totals since the lease was opened, in pool units."""
UsageRecord = tuple[int, str, str, str, int, list[tuple[str, int]]]
"""(at_ms, event id, customer, feature, units burned, [(quantity, n)])."""

class Catalog:
    """A validated catalog."""

    @staticmethod
    def parse(text: bytes, filename: str) -> Catalog:
        """Reads YAML or JSON. Raises `CatalogError` whose `problems` lists every mistake with file, line and hint."""
    @staticmethod
    def schema() -> str:
        """The JSON Schema of catalog files, as JSON text."""
    @staticmethod
    def import_pricing2yaml(text: bytes, filename: str) -> tuple[str, list[str]]:
        """(catalog YAML text, notes on what the file itself contradicts). Raises `CatalogError`."""
    @property
    def digest(self) -> str:
        """Hex digest of the canonical content: equal for files that mean the same."""
    def document(self) -> dict[str, Any]:
        """The canonical content with every default filled in; amounts in integer pool units. See docs/catalog.md."""
    def resolve(self, record: bytes, at_ms: int) -> dict[str, tuple[bool | int | str | None, str]]:
        """What one customer record has at an instant: feature -> (setting, source). None = unlimited."""
    def boundaries(self, record: bytes) -> list[int]:
        """The instants (ms) at which `resolve` may change, ascending."""
    def explain(self, record: bytes, feature: str, at_ms: int) -> list[dict[str, Any]]:
        """Every source considered, strongest first: source, name, setting, active, starts_at_ms, ends_at_ms, won, why."""
    def customer_error(self, record: bytes) -> str | None:
        """What is wrong with a customer record under this catalog (unknown plan, wrong kind of override…), or None."""

class Owner:
    """The writing side of an arena. One per directory; the caller holds the owner lock."""

    def __init__(self, directory: str, catalog: Catalog, now_ms: int) -> None:
        """Adopts the arena in `directory`, or makes one. Raises `ArenaError`, `DirectoryError`."""
    @property
    def adopted(self) -> bool:
        """Whether an arena of this boot was found intact, with rows of this very catalog (digest) and `seq`."""
    @property
    def previous_boot(self) -> bool:
        """Whether the cells found were from an earlier boot: settle and close them, never spend on."""
    @property
    def seq(self) -> int: ...
    @property
    def customers(self) -> int: ...
    def load(self, records: Iterable[bytes], seq: int, now_ms: int) -> int:
        """Replaces all rows (new generation) by these chunks of records; nothing is visible before the end."""
    def put(self, records: bytes, seq: int, now_ms: int) -> int:
        """Upserts records, all or nothing; a record flagged deleted removes its customer. Returns how many."""
    def open_cell(
        self, number: int, pool: str, lease: int, granted: int, valid_until_ms: int | None, full: bool
    ) -> None:
        """Opens the cell of (customer, pool) for `lease`, lending `granted` units until `valid_until_ms`. `full`: all
        there is has been lent, so a denial here is final. An open cell of another lease must be closed before."""
    def raise_cell(self, number: int, pool: str, lease: int, granted: int, full: bool) -> bool:
        """Raises what is lent to an absolute total since the lease was opened; lower totals change nothing.
        False if that lease is not open."""
    def close_cell(self, number: int, pool: str, lease: int) -> CellTotals | None:
        """Closes for good; the totals returned are final. None if there is no cell for that lease. Repeatable."""
    def cells(self, changed_only: bool = False) -> list[CellTotals]:
        """All leases in the arena; `changed_only`: those whose totals moved since the last such call."""
    @property
    def detached(self) -> bool: ...
    def retire(self) -> list[CellTotals]: ...
    def late_returns(self) -> list[tuple[str, int, str, int, int]]: ...
    def late_returns_booked(self) -> None: ...
    def sweep(self, manual_now_ms: int | None = None) -> int:
        """Frees reservations that expired or whose process died. Returns how many."""
    def drain_journal(self, limit: int) -> list[UsageRecord]:
        """Usage records written by all processes of the host, oldest first per process; they stay until `ack_journal`."""
    def ack_journal(self) -> None:
        """The records drained last are stored: forget them."""
    def heartbeat(self, now_ms: int) -> None: ...
    def close(self) -> None: ...

class Checker:
    """The reading and spending side. `fastcheck.Entitlements` derives from it."""

    def __init__(
        self,
        directory: str,
        touch: Callable[[str, str], bool],
        *,
        strict: bool = False,
        manual_clock: bool = False,
    ) -> None:
        """Attaches to the arena in `directory`. `touch(customer, pool)` asks the owner for a lease of a pool this host
        holds none for; True: try again."""
    def check(self, customer: str, feature: str, /) -> bool: ...
    def consume(self, customer: str, feature: str, amount: Quantities = 1, /, *, event: str | None = None) -> bool: ...
    def decide(self, customer: str, feature: str, amount: Quantities = 1, /) -> Decision: ...
    def reserve(
        self, customer: str, feature: str, amount: Quantities, /, *, ttl: float = 60.0, event: str | None = None
    ) -> Reservation: ...
    def estimate(self, customer: str, feature: str, amount: Quantities, /) -> Estimate: ...
    def value(self, customer: str, feature: str, default: Any = None) -> Any: ...
    def limit(self, customer: str, feature: str) -> int | None: ...
    def handle(self, customer: str, feature: str, /) -> Handle: ...
    def ids(self, customers: Sequence[str], /) -> npt.NDArray[np.uint32]: ...
    def check_many(self, customers: Sequence[str] | npt.NDArray[np.uint32], feature: str, /) -> npt.NDArray[np.bool_]: ...
    def consume_many(
        self, customers: Sequence[str] | npt.NDArray[np.uint32], feature: str, amounts: int | npt.NDArray[np.int64] = 1, /
    ) -> npt.NDArray[np.bool_]: ...
    def _pool_totals(self, customer: str, pool: str) -> tuple[int, int, int] | None:
        """(spent, returned, granted) of the customer's open lease, or None."""
    def _status(self) -> dict[str, Any]:
        """generation, seq, customers, heartbeat_at_ms, arena uuid, unknown names counted, journal_dropped, panics, pid of owner."""
    def _set_clock(self, now_ms: int) -> None:
        """Sets the manual clock (tests)."""
    def _close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

class Handle:
    def check(self) -> bool: ...
    def consume(self, amount: Quantities = 1, /) -> bool: ...

class Decision:
    @property
    def allowed(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def remaining(self) -> Any: ...
    @property
    def resets_at(self) -> Any: ...
    @property
    def as_of(self) -> Any: ...
    def __bool__(self) -> bool: ...

class Estimate:
    @property
    def cost(self) -> Any: ...
    @property
    def balance_before(self) -> Any: ...
    @property
    def balance_after(self) -> Any: ...
    @property
    def allowed(self) -> bool: ...

class Reservation:
    @property
    def allowed(self) -> bool: ...
    def commit(self, actual: Quantities | None = None, /) -> Any: ...
    def release(self) -> None: ...
    def __enter__(self) -> Reservation: ...
    def __exit__(self, *exc: object) -> None: ...
    def __bool__(self) -> bool: ...

def install(cls: type[Checker], /) -> None:
    """Gives a subclass the native descriptors of the hot methods as its own, so that no lookup passes through two classes."""
