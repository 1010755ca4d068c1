"""`docs/format/` against real files: the offsets and constants that the pages state are read from their
tables and looked up in what an `Entitlements` made."""

from __future__ import annotations

import json
import re
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest

from fastcheck import Entitlements, errors
from fastcheck._fastcheck import Catalog, Checkpoint, SnapshotWriter, digest
from fastcheck.wire import frames
from fastcheck.wire.record import ADDONS_MAX, ALIASES_MAX, CustomerRecord, Trial, pack_record

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "format"
QUICKSTART = ROOT / "examples" / "quickstart" / "catalog.yaml"
WORD = 8
MILLION = 10**6
"""Units of a credit: the quickstart's pool has scale 6."""


def tables(page: str) -> list[list[list[str]]]:
    """The tables of a page, each a list of rows of cells, header first."""
    found: list[list[list[str]]] = []
    inside = False
    for line in (PAGES / page).read_text().splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not all(re.fullmatch(":?-+:?", cell) for cell in cells):
                found[-1].append(cells)
        inside = line.startswith("|")
    return found


def offsets(page: str, having: str) -> dict[str, int]:
    """name -> word, from the table of words that has a row of that name."""
    for table in tables(page):
        if table[0][:3] == ["word", "byte", "name"]:
            words = {row[2]: int(row[0]) for row in table[1:]}
            assert all(int(row[1]) == int(row[0]) * WORD for row in table[1:]), f"{page}: bytes and words"
            if having in words:
                return words
    raise AssertionError(f"{page} has no table with {having}")


class File:
    """A file of words, with the names of a page's table."""

    def __init__(self, path: Path, page: str, having: str = "magic") -> None:
        self.data = path.read_bytes()
        self.names = offsets(page, having)

    def word(self, index: int) -> int:
        return int(struct.unpack_from("=Q", self.data, index * WORD)[0])

    def __getitem__(self, name: str) -> int:
        return self.word(self.names[name])

    def text(self, name: str) -> bytes:
        return self.data[self.names[name] * WORD :][:WORD]


@pytest.fixture
def ents(tmp_path: Path) -> Iterator[Entitlements]:
    with Entitlements.open(tmp_path / "state", catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro", aliases=["stripe:cus_9"])
        ents.admin.grant("acme", "ai_credits", 100)
        yield ents


def directory(ents: Entitlements) -> Path:
    return Path(ents.status().directory)


def control(ents: Entitlements) -> File:
    return File(directory(ents) / "control", "control.md")


def rows(ents: Entitlements) -> File:
    return File(directory(ents) / f"rows-{control(ents)['generation']}", "rows.md")


def test_every_page_states_the_magic_that_its_file_begins_with(ents: Entitlements) -> None:
    assert ents.consume("acme", "gpt-4o", 1, event="req_1")
    [journal] = (directory(ents) / "journal").iterdir()
    generation = control(ents)["generation"]
    for path, page in [
        ("control", "control.md"),
        (f"rows-{generation}", "rows.md"),
        ("cells-0", "cells.md"),
        (str(journal), "journal.md"),
    ]:
        file = File(directory(ents) / path, page)
        [stated] = re.findall(r"\| magic \| `(\w{8})`", (PAGES / page).read_text())
        assert file.text("magic") == stated.encode()
        # The files of an arena know each other by its id.
        assert file["arena"] == control(ents)["arena"] != 0


def test_control_says_what_status_says(ents: Entitlements) -> None:
    page, status = control(ents), ents.status()
    assert len(page.data) == 4096
    assert page.text("ready") == b"READY\0\0\0"
    assert page["layout"] == 1
    assert page["epoch"] == 1
    assert (page["seq"], page["generation"], page["customers"], page["owner_pid"]) == (
        status.seq,
        status.generation,
        status.customers,
        status.owner_pid,
    )
    assert page["segments"] == len(list(directory(ents).glob("cells-*")))
    assert page["heartbeat_at_ms"] <= ents.status().as_of


def test_a_row_is_found_by_the_page_alone(ents: Entitlements) -> None:
    """From the numbers to acme's row, its profile, and what its entries say."""
    file = rows(ents)
    document = ROOT / "docs" / "format" / "rows.md"
    assert f"`0x{file['layout']:016x}`" in document.read_text(), "the layout changed: update the page"
    assert (file["features"], file["pools"]) == (5, 2)
    assert file["generation"] == control(ents)["generation"]
    place = file.word(file["numbers_at"] + 1)
    row = file["heap_at"] + place
    first, second = file.word(row), file.word(row + 1)
    assert (first >> 32, first & 3, second & 0x3FF) == (1, 1, len("acme"))
    assert file.data[(row + 3) * WORD :][:WORD] == b"acme".ljust(WORD, b"\0")
    profile = file["heap_at"] + ((second >> 10) & ((1 << 38) - 1))
    assert file.word(profile) >> 48 == file["features"]
    found = {}
    for feature in range(file["features"]):
        about = file["features_at"] + feature * 8
        name = file.data[file.word(about) * WORD :][: file.word(about + 1)].decode()
        entry = profile + 1 + feature * 4
        found[name] = (file.word(about + 2), file.word(entry) & 7, file.word(entry + 1), file.word(entry + 2))
    assert found == {
        # kind, flags (allowed, countable, unlimited), cost, number
        "api_calls": (4, 0b011, 1, 100_000),
        "export": (1, 0b001, 0, 0),
        "gpt-4o": (5, 0b011, MILLION, 0),
        "retention_days": (3, 0b001, 0, 30),
        "seats": (2, 0b001, 0, 25),
    }
    # One slot for the id, one for the alias; both within the part for slots.
    slots = [file.word(file["slots_at"] + one) for one in range(file["slots"])]
    leads_to = {word & ((1 << 40) - 1) for word in slots if word}
    assert len(leads_to) == file["slots_used"] == 2
    assert place in leads_to


def cells(ents: Entitlements) -> tuple[File, list[dict[str, int]]]:
    """The cells in use, by the names of the page."""
    file = File(directory(ents) / "cells-0", "cells.md")
    names = offsets("cells.md", "base_spent")
    start = 64 + file["holds"] * 8
    found = []
    for index in range(file["cells"]):
        at = start + index * 8
        if file.word(at + names["identity"]):
            found.append({name: file.word(at + word) for name, word in names.items()} | {"at": at})
    return file, found


TOTAL = (1 << 48) - 1


def spent(cell: dict[str, int]) -> int:
    return (cell["word"] & TOTAL) - cell["base_spent"]


def returned(cell: dict[str, int]) -> int:
    return (cell["returned"] & TOTAL) - cell["base_returned"]


def test_a_cell_shows_what_was_consumed_and_given_back(ents: Entitlements) -> None:
    assert ents.consume("acme", "gpt-4o", 12)
    file, found = cells(ents)
    assert len(file.data) == 5_243_392
    assert (file["cells"], file["holds"], file["index"]) == (1 << 16, 1 << 14, 0)
    [cell] = found
    assert cell["identity"] == 1 << 32 | 1
    assert (spent(cell), returned(cell)) == (12 * MILLION, 0)
    assert cell["granted"] + cell["base_returned"] - cell["base_spent"] == 100 * MILLION
    assert cell["limits"] == ((1 << 56) - 1) << 8 | 1, "no end, and all there is"
    assert cell["word"] >> 63 == 0, "open"
    with ents.reserve("acme", "gpt-4o", 30) as held:
        file, [cell] = cells(ents)
        slot = (cell["word"] >> 48) & 0x7FFF
        names = offsets("cells.md", "ends_at_ms")
        hold = {name: file.word(64 + slot * 8 + word) for name, word in names.items()}
        assert hold["state"] & 0xF == 3, "held"
        assert (hold["cell"], hold["lease"], hold["amount"]) == (cell["at"], cell["identity"], 30 * MILLION)
        assert hold["pool"] == cell["pool"]
        held.commit(10)
    _, [cell] = cells(ents)
    assert (spent(cell), returned(cell)) == (42 * MILLION, 20 * MILLION)


def test_a_closed_lease_leaves_a_higher_total_behind(ents: Entitlements) -> None:
    """The rule of the page: no value of `word` comes back."""
    assert ents.consume("acme", "gpt-4o", 12)
    _, [before] = cells(ents)
    ents.admin.void(ents.admin.grant("acme", "ai_credits", 5))
    assert ents.consume("acme", "gpt-4o", 1)
    _, [after] = cells(ents)
    assert after["identity"] & 0xFFFF_FFFF > before["identity"] & 0xFFFF_FFFF
    assert after["base_spent"] > before["word"] & TOTAL
    assert spent(after) == MILLION


def test_a_journal_record_is_laid_out_as_stated(ents: Entitlements) -> None:
    assert ents.consume("acme", "gpt-4o", 12, event="req_8f2")
    [path] = (directory(ents) / "journal").iterdir()
    file = File(path, "journal.md")
    pid, started, number = (int(part) for part in path.name.split("-"))
    assert (file["pid"], file["started"], number) == (pid, started, 1)
    assert len(file.data) == 131_072 * WORD
    at = 64
    first, units, lengths = file.word(at), file.word(at + 2), file.word(at + 3)
    assert (first >> 48, units) == (0x4A52, 12 * MILLION)
    assert file["next"] == at + ((first >> 32) & 0xFFFF)
    sizes = [(lengths >> shift) & 0xFFFF for shift in (48, 32, 16, 0)]
    assert sizes == [len("req_8f2"), len("acme"), len("gpt-4o"), 1]
    texts = file.data[(at + 4) * WORD :]
    assert texts[: 3 * WORD] == b"req_8f2\0" + b"acme\0\0\0\0" + b"gpt-4o\0\0"
    assert (file.word(at + 7), file.word(at + 8)) == (0, 12), "the unnamed quantity, twelve of it"


def test_a_snapshot_and_a_log_are_laid_out_as_stated(tmp_path: Path) -> None:
    record = pack_record(CustomerRecord(7, "acme", plan="pro", version=1))
    at = (3, 40, digest(record)[0])
    writer = SnapshotWriter(str(tmp_path / "s.fcs"), *at, "catalog.yaml", b"{fastcheck: 1}")
    writer.add(record)
    writer.finish()
    base = File(tmp_path / "s.fcs", "snapshot.md")
    catalog = msgpack.packb(["catalog.yaml", b"{fastcheck: 1}"])
    assert base.text("magic") == b"FCSNAP01"
    assert (base["layout"], base["epoch"], base["seq"], base["digest"]) == (1, *at)
    assert (base["customers"], base["raw_bytes"]) == (1, len(catalog) + len(record))
    assert base["catalog_bytes"] == len(catalog)
    zstd_frame = base.data[(base.names["hash"] + 1) * WORD :]
    assert zstd_frame[:4] == b"\x28\xb5\x2f\xfd"
    assert zstd_frame[4] & 4, "the flag of the content's checksum"

    checkpoint = Checkpoint(str(tmp_path / "checkpoint"))
    checkpoint.begin(len(base.data))
    checkpoint.piece(0, base.data)
    checkpoint.complete(*at)
    gone = pack_record(CustomerRecord(7, "acme", deleted=True))
    checkpoint.append_catalog(b"{}", "other.yaml")
    checkpoint.append(gone, 3, 41, 0)
    assert (tmp_path / "checkpoint" / "base-1.fcs").read_bytes() == base.data
    log = File(tmp_path / "checkpoint" / "log-1", "checkpoint.md")
    assert log.text("magic") == b"FCCLOG01"
    assert (log["layout"], log["number"], log["epoch"], log["seq"], log["digest"]) == (1, 1, *at)
    blocks, place = [], (log.names["hash"] + 1) * WORD
    while place < len(log.data):
        size, kind = struct.unpack_from("<II", log.data, place)
        blocks.append((kind, log.data[place + 16 : place + 16 + size]))
        place += 16 + size
    [kinds] = [table for table in tables("checkpoint.md") if table[0] == ["kind", "payload"]]
    [records, text, commit] = [int(row[0].split()[0]) for row in kinds[1:]]
    assert blocks == [
        (records, gone),
        (text, msgpack.packb(["other.yaml", b"{}"])),
        (commit, struct.pack("<QQQ", 3, 41, 0)),
    ]


def test_the_stream_has_the_frames_and_fields_stated() -> None:
    [table] = [table for table in tables("stream.md") if table[0][0] == "type"]
    stated: dict[str, list[tuple[int, str, list[str]]]] = {}
    for number, name, cell in table[1:]:
        if not number:
            side = re.sub(r" \(.*", "", name).strip("*")
            stated[side] = []
        else:
            named = re.sub(r"\(.*?\)|:.*", "", cell).split(",")
            stated[side].append((int(number), name, [one.strip(" `") for one in named]))
    made = {
        side: [(number, row.name, list(row.fields)) for number, row in sorted(rows.items())]
        for side, rows in (("host → hub", frames.FROM_HOST), ("hub → host", frames.FROM_HUB))
    }
    assert stated == made


def test_the_stream_ends_with_the_codes_stated() -> None:
    [said] = re.findall(r"Codes: (.*?)\n\n", (PAGES / "stream.md").read_text(), re.DOTALL)
    assert set(re.findall("`([a-z_]+)`", said)) == frames.CODES


def test_a_record_has_the_positions_stated() -> None:
    [positions] = [table for table in tables("record.md") if table[0][0] == "position"]
    names = [row[1] for row in positions[1:]]
    record = CustomerRecord(
        7,
        "acme",
        True,
        "pro",
        2,
        1_000,
        (("pack", 3, None),),
        (("seats", (3, 40), None, 99),),
        ("stripe:cus_9",),
        Trial("max", None, 5_000),
    )
    stated = dict(zip(names, msgpack.unpackb(pack_record(record)), strict=True))
    assert stated == {
        "number": 7,
        "id": "acme",
        "flags": 1,
        "plan": "pro",
        "version": 2,
        "since_ms": 1_000,
        "addons": [["pack", 3, None]],
        "overrides": [["seats", [3, 40], None, 99]],
        "aliases": ["stripe:cus_9"],
        "trial": ["max", None, 5_000],
    }


def test_the_ledger_has_the_tables_and_columns_stated(ents: Entitlements) -> None:
    [stated] = [table for table in tables("ledger.md") if table[0][0] == "table"]
    pages = {row[0]: row[1].split(", ") for row in stated[1:]}
    ledger = sqlite3.connect(f"file:{directory(ents) / 'ledger.db'}?mode=ro", uri=True)
    found = {
        name: [column[1] for column in ledger.execute(f"PRAGMA table_info({name})")]
        for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    [(version,)] = ledger.execute("SELECT version_num FROM alembic_version")
    ledger.close()
    assert pages == found
    assert f"`version_num` is {version}." in (PAGES / "ledger.md").read_text()


@pytest.mark.parametrize(("what", "most"), [("aliases", ALIASES_MAX), ("addons", ADDONS_MAX)])
def test_bounds_on_records_are_the_cores(tmp_path: Path, what: str, most: int) -> None:
    """The page's bounds on lists, ours and the core's, each tried at the bound and one above."""
    [positions] = [table for table in tables("record.md") if table[0][0] == "position"]
    [stated] = [row[3] for row in positions[1:] if row[1] == what]
    assert f"at most {most:,}" in stated
    names = [f"{what} {one:04}" for one in range(most + 1)]
    catalog = {
        "fastcheck": 1,
        "features": {"export": {"kind": "switch"}},
        "plans": {"pro": {"features": {"export": True}}},
        "addons": {one: {"features": {"export": True}} for one in names if what == "addons"},
    }

    text = json.dumps(catalog)
    core = Catalog.parse(text.encode(), "catalog.json")

    def refused(count: int) -> str | None:
        parts: tuple[Any, ...] = tuple(names[:count])
        if what == "addons":
            parts = tuple((one, 1, None) for one in parts)
        record = CustomerRecord(1, "acme", plan="pro", version=1)
        changed: Any = {what: parts}
        return core.customer_error(pack_record(replace(record, **changed)))

    assert refused(most) is None
    assert f"at most {most} are allowed" in str(refused(most + 1))
    with Entitlements.open(tmp_path, catalog=text) as ents:
        given: Any = dict.fromkeys(names, 1) if what == "addons" else names
        with pytest.raises(errors.RecordError, match=f"{most + 1} .*, at most {most} for one customer"):
            ents.admin.put_customer("acme", plan="pro", **{what: given})
        given = dict.fromkeys(names[:most], 1) if what == "addons" else names[:most]
        ents.admin.put_customer("acme", plan="pro", **{what: given})
        assert ents.check("acme", "export")
