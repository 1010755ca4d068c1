"""The owner's side of an arena in plain Python: what is in `Files` outlives every process, as mapped files
do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fastcheck.host.embedded.owner import CellTotals, LateReturn, UsageRecord
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.record import unpack_record


@dataclass
class Cell:
    """A lease's cell."""

    lease: int
    granted: int
    valid_until: int | None
    full: bool
    spent: int = 0
    returned: int = 0
    closed: bool = False


@dataclass
class Files:
    """The mapped files of one directory."""

    cells: dict[tuple[int, str], list[Cell]] = field(default_factory=dict)
    records: dict[int, bytes] = field(default_factory=dict)
    seq: int = -1
    digest: str = ""
    journal: list[UsageRecord] = field(default_factory=list)
    late: list[LateReturn] = field(default_factory=list)
    deleted: bool = False

    def spend(self, number: int, pool: str, units: int, now: int) -> bool:
        """What a checker does: decide and record in one step."""
        cell = self.open_cell(number, pool)
        if cell is None or (cell.valid_until is not None and now >= cell.valid_until):
            return False
        if cell.spent + units > cell.granted + cell.returned:
            return False
        cell.spent += units
        return True

    def open_cell(self, number: int, pool: str) -> Cell | None:
        """The cell that can be spent from."""
        cells = self.cells.get((number, pool), [])
        return cells[-1] if cells and not cells[-1].closed else None


class FakeArena:
    """The interface of the native `Owner`."""

    def __init__(self, files: Files, catalog: CatalogLike, *, previous_boot: bool = False) -> None:
        self.files = files
        self.adopted = files.digest == catalog.digest and not previous_boot
        self.previous_boot = previous_boot
        if not self.adopted:
            files.records.clear()
            files.seq = -1
        files.digest = catalog.digest
        self._told: dict[tuple[int, str, int], tuple[int, int, bool]] = {}

    @property
    def seq(self) -> int:
        return self.files.seq

    @property
    def customers(self) -> int:
        return len(self.files.records)

    def load(self, records: Iterable[bytes], seq: int, now_ms: int) -> int:
        chunks = list(records)
        self.files.records = {}
        for chunk in chunks:
            self._apply(chunk)
        self.files.seq = seq
        return len(self.files.records)

    def put(self, records: bytes, seq: int, now_ms: int) -> int:
        assert seq > self.files.seq, "changes come in the order of their numbers"
        count = self._apply(records)
        self.files.seq = seq
        return count

    def _apply(self, records: bytes) -> int:
        import msgpack

        unpacker = msgpack.Unpacker(use_list=False)
        unpacker.feed(records)
        count = 0
        for record in unpacker:
            packed = msgpack.packb(record)
            if unpack_record(packed).deleted:
                self.files.records.pop(record[0], None)
            else:
                self.files.records[record[0]] = packed
            count += 1
        return count

    def open_cell(
        self, number: int, pool: str, lease: int, granted: int, valid_until_ms: int | None, full: bool
    ) -> None:
        cells = self.files.cells.setdefault((number, pool), [])
        assert not cells or cells[-1].closed, "an open cell must be closed before"
        assert all(cell.lease < lease for cell in cells), "a lease is opened once"
        assert 0 <= granted < 1 << 47
        cells.append(Cell(lease, granted, valid_until_ms, full))

    def raise_cell(self, number: int, pool: str, lease: int, granted: int, full: bool) -> bool:
        cell = self.files.open_cell(number, pool)
        if cell is None or cell.lease != lease:
            return False
        if granted > cell.granted:
            cell.granted, cell.full = granted, full
        return True

    def close_cell(self, number: int, pool: str, lease: int) -> CellTotals | None:
        for cell in self.files.cells.get((number, pool), []):
            if cell.lease == lease:
                cell.closed = True
                return (number, pool, lease, cell.spent, cell.returned, cell.granted, True)
        return None

    def cell(self, number: int, pool: str, lease: int) -> CellTotals | None:
        return next((one for one in self.cells() if one[:3] == (number, pool, lease)), None)

    def cells(self, changed_only: bool = False) -> list[CellTotals]:
        found = []
        for (number, pool), cells in self.files.cells.items():
            for cell in cells:
                state = (cell.spent, cell.returned, cell.closed)
                if changed_only and self._told.get((number, pool, cell.lease)) == state:
                    continue
                if changed_only:
                    self._told[(number, pool, cell.lease)] = state
                found.append((number, pool, cell.lease, cell.spent, cell.returned, cell.granted, cell.closed))
        return found

    @property
    def detached(self) -> bool:
        return self.files.deleted

    def retire(self) -> list[CellTotals]:
        for cells in self.files.cells.values():
            for cell in cells:
                cell.closed = True
        return self.cells()

    def sweep(self, manual_now_ms: int | None = None) -> int:
        return 0

    def late_returns(self) -> list[LateReturn]:
        return list(self.files.late)

    def late_returns_booked(self) -> None:
        self.files.late.clear()

    def drain_journal(self, limit: int) -> list[UsageRecord]:
        return self.files.journal[:limit]

    def ack_journal(self) -> None:
        self.files.journal.clear()

    def heartbeat(self, now_ms: int, steady_ms: int | None = None) -> None:
        pass

    def close(self) -> None:
        pass
