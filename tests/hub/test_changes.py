"""The change log: every change once, in order, with an exact digest; and what hosts are sent from it."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgpack
import psycopg
import pytest
from sqlalchemy import Connection

from fastcheck import errors
from fastcheck.clock import ManualClock
from fastcheck.hub.service import Beyond, LoggedChange, Position
from fastcheck.hub.service import streaming as streaming_module
from fastcheck.hub.store import Store
from fastcheck.hub.store.digests import signed, summed, unsigned
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.sqlite import SqliteStore
from fastcheck.hub.store.statements import StoredCatalog
from fastcheck.hub.store.statements import change_log as change_log_module
from fastcheck.hub.use_cases import rewriting
from fastcheck.wire.operations.deletions import FreeId, RestoreCustomer
from fastcheck.wire.operations.merging import MergeCustomers
from fastcheck.wire.packing import unpack
from fastcheck.wire.record import pack_record, unpack_record
from rig.fake_catalog import FakeCatalog, parse
from rig.instants import MAY_2024_MS
from rig.postgres import PrivatePostgres
from rig.requests import (
    destination,
    move_customers,
    put_customer,
    put_members,
    put_override,
    put_segment_override,
)
from rig.serving import Service
from store.test_store_suite import at_once

ALL = 1 << 40


def hub_over(store: Store, clock: ManualClock) -> Service:
    service = Service(store, clock, parse, streams=True)
    service.begin_streaming()
    catalog = FakeCatalog()
    service.set_catalog(catalog, catalog.source(), "catalog.json")
    return service


@pytest.fixture
def hub(any_store: Store, clock: ManualClock) -> Service:
    return hub_over(any_store, clock)


class Host:
    """The slow, obvious host: it keeps every record and sums the digest anew after each change."""

    def __init__(self) -> None:
        self.seq = 0
        self.records: dict[int, bytes] = {}
        self.catalogs: list[tuple[str, bytes]] = []

    def take(self, change: LoggedChange) -> None:
        assert change.seq == self.seq + 1, "a gap"
        self.seq = change.seq
        if change.kind == "catalog":
            self.catalogs.append(unpack(change.body))
        else:
            packed = split(change.body)
            assert len(packed) == change.count
            self.records.update((unpack_record(one).number, one) for one in packed)
        assert summed(b"".join(self.records.values())) == change.digest

    def follow(self, service: Service, limit_bytes: int = ALL) -> None:
        while items := service.changes(self.seq, limit_bytes).items:
            for change in items:
                self.take(change)


def split(records: bytes) -> list[bytes]:
    """Single records of a body."""
    unpacker, found, start = msgpack.Unpacker(use_list=False), [], 0
    unpacker.feed(records)
    while start < len(records):
        unpacker.skip()
        found.append(records[start : unpacker.tell()])
        start = unpacker.tell()
    return found


def stored(service: Service) -> dict[int, bytes]:
    """Everything in the ledger, deleted customers left out."""
    packed = [one for chunk in service.records() for one in split(chunk)]
    return {unpack_record(one).number: one for one in packed}


def living(host: Host) -> dict[int, bytes]:
    return {number: one for number, one in host.records.items() if not unpack_record(one).deleted}


def check_whole(service: Service) -> Host:
    """Follows the whole log and finds the ledger at its end."""
    host = Host()
    host.follow(service)
    at = service.position()
    assert living(host) == stored(service)
    assert (at.seq, at.digest) == (host.seq, summed(b"".join(host.records.values())))
    return host


# What is logged.


def test_every_kind_of_change_is_logged_once_and_comes_to_what_is_stored(
    hub: Service, clock: ManualClock
) -> None:
    hub.put_customers([put_customer(f"c{one}", plan="pro") for one in range(5)])
    hub.put_customers([put_customer("c1", plan="free"), put_customer("new", plan="pro", aliases=["alias"])])
    hub.put_customers([put_customer("c1", plan="free")])  # Changes nothing.
    hub.put_override(put_override("c2", "seats", 7))
    hub.remove_override("c2", "seats")
    hub.move(move_customers(["c3"], destination("free")))
    hub.move(move_customers(["c4"], destination("free", when=clock.now_ms() + 1_000)))
    clock.advance(5_000)
    hub.carry_out([id for id, _ in hub.due_moves(clock.now_ms(), 10)])
    hub.put_members(put_members("beta", add=["c0", "c1"]))
    hub.put_segment_override(put_segment_override("beta", "seats", 9))
    hub.delete_customer("c2")
    hub.ask(RestoreCustomer("c2"))
    hub.ask(MergeCustomers("c1", "new"))
    hub.delete_customer("c0")
    hub.ask(FreeId("c0"))
    hub.put_customers([put_customer("c0", plan="free")])
    hub.delete_customer("c2")
    host = check_whole(hub)
    assert host.seq == hub.seq() == 15
    assert [(one, parse(source, one).digest) for one, source in host.catalogs] == [
        ("catalog.json", FakeCatalog().digest)
    ]
    assert hub.position().catalog_digest == FakeCatalog().digest


def test_a_change_that_counts_from_an_earlier_instant_is_logged_at_the_one_it_was_stored(
    hub: Service, clock: ManualClock
) -> None:
    hub.put_customers([put_customer("acme", plan="pro")])
    hub.move(move_customers(["acme"], destination("free", when=clock.now_ms() + 1_000)))
    clock.advance(60_000)
    hub.carry_out([id for id, _ in hub.due_moves(clock.now_ms(), 10)])
    assert hub.changes(2, ALL).items[0].at == MAY_2024_MS + 60_000


def test_a_change_that_is_undone_is_not_logged(hub: Service) -> None:
    hub.put_customers([put_customer("one", plan="pro", aliases=["x"])])
    before = hub.position()
    with pytest.raises(errors.Conflict):
        hub.put_customers([put_customer("two", plan="pro"), put_customer("three", plan="pro", aliases=["x"])])
    assert hub.position() == before
    check_whole(hub)


def test_a_service_that_does_not_stream_logs_nothing(service: Service) -> None:
    service.put_customers([put_customer("acme", plan="pro")])
    state = service.store.read(lambda connection: connection.exec_driver_sql("SELECT * FROM changes").all())
    assert state == []


def test_a_bulk_load_is_in_changes_of_bounded_size(hub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "CHANGE_BYTES_MAX", 1_000)
    wide = put_customer("wide", plan="pro", aliases=[f"{'x' * 400}{one}" for one in range(5)])
    asked = [put_customer(f"c{one:03}", plan="pro") for one in range(100)]
    hub.put_customers([*asked[:50], wide, *asked[50:]])
    items = hub.changes(1, ALL).items
    alone = [one for one in items if len(one.body) > 1_000]
    assert [one.count for one in alone] == [1], "only the one that is longer alone"
    assert sum(one.count for one in items) == 101
    assert len(items) > 3
    check_whole(hub)


# Reading it.


def test_a_part_of_the_log_has_the_bytes_asked_for_and_at_least_one_change(hub: Service) -> None:
    for one in range(20):
        hub.put_customers([put_customer(f"c{one:02}", plan="pro")])
    size = len(hub.changes(1, 1).items[0].body)
    assert [one.seq for one in hub.changes(1, 1).items] == [2]
    assert [one.seq for one in hub.changes(1, size * 3).items] == [2, 3, 4]
    assert [one.seq for one in hub.changes(1, size * 4 - 1).items] == [2, 3, 4]
    assert hub.changes(21, ALL).items == ()
    assert hub.changes(0, ALL).first_kept == 1
    host = Host()
    host.follow(hub, size * 3)
    assert host.seq == 21


def test_the_statement_is_bounded_where_changes_are_small(
    hub: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = change_log_module._SIZES.limit(3)
    monkeypatch.setattr(change_log_module, "_SIZES", statement)
    for one in range(5):
        hub.put_customers([put_customer(f"c{one}", plan="pro")])
    assert [one.seq for one in hub.changes(1, ALL).items] == [2, 3, 4]


def test_the_oldest_changes_go_by_age_and_by_size_and_a_bounded_number_at_once(
    hub: Service, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in range(10):
        clock.advance(1_000)
        hub.put_customers([put_customer(f"c{one}", plan="pro")])
    assert hub.prune_changes() == 0
    size = len(hub.changes(2, ALL).items[0].body)
    assert hub.prune_changes(keep_bytes=ALL, keep_ms=7_000) == 3, "the catalog and two older than 7 s"
    assert [one.seq for one in hub.changes(0, ALL).items] == list(range(4, 12))
    assert hub.changes(0, ALL).first_kept == 4
    assert hub.prune_changes(keep_bytes=5 * size + 1, keep_ms=7_000) == 3
    assert hub.changes(0, ALL).first_kept == 7
    monkeypatch.setattr(streaming_module, "CHANGES_PER_PRUNING", 2)
    clock.advance(60_000)
    assert [hub.prune_changes(ALL, 1_000) for _ in range(4)] == [2, 2, 1, 0]
    left = hub.changes(0, ALL)
    assert (left.first_kept, left.items) == (12, ())
    at = hub.position()
    hub.put_customers([put_customer("after", plan="pro")])
    [last] = hub.changes(at.seq, ALL).items
    assert (last.seq, last.digest) == (12, hub.position().digest)
    assert hub.position().digest == summed(b"".join(stored(hub).values()))


def test_who_listens_hears_of_a_change_once_it_is_stored(hub: Service) -> None:
    heard: list[tuple[int, bool]] = []
    hub.committed = lambda seq: heard.append((seq, hub.seq() >= seq))
    hub.put_customers([put_customer("acme", plan="pro")])
    hub.put_customers([put_customer("acme", plan="pro")])
    with pytest.raises(errors.UnknownCustomer):
        hub.delete_customer("nobody")
    hub.balance("acme", "ai_credits")
    hub.delete_customer("acme")
    assert heard == [(2, True), (3, True)]


# A ledger that others wrote to.


def test_a_hub_takes_over_what_an_embedded_owner_wrote(any_store: Store, clock: ManualClock) -> None:
    owner = Service(any_store, clock, parse)
    catalog = FakeCatalog()
    owner.set_catalog(catalog, catalog.source(), "catalog.json")
    owner.put_customers([put_customer(f"c{one}", plan="pro") for one in range(10)])
    owner.delete_customer("c3")
    hub = Service(any_store, clock, parse, streams=True)
    hub.begin_streaming()
    hub.begin_streaming()
    at = hub.position()
    assert (at.seq, at.digest) == (3, summed(b"".join(stored(hub).values())))
    assert (hub.changes(0, ALL).first_kept, hub.changes(0, ALL).items) == (4, ())
    hub.put_customers([put_customer("c1", plan="free")])
    assert [one.seq for one in hub.changes(3, ALL).items] == [4]
    assert hub.position().digest == summed(b"".join(stored(hub).values()))


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_a_ledger_from_before_there_was_a_log_is_streamed(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> None:
    url = request.getfixturevalue("postgres_ledger_url") if kind == "postgres" else ""

    def opened() -> Store:
        return PostgresStore(url) if url else SqliteStore(tmp_path / "ledger.db")

    def back_to_0001(connection: Connection) -> None:
        for statement in (
            "DROP TABLE changes",
            "DROP TABLE tokens",
            *(f"DROP TABLE {one}" for one in ("unbooked", "deletions", "purchases")),
            "ALTER TABLE catalog DROP COLUMN lines",
            *(
                f"ALTER TABLE {table} DROP COLUMN {column}"
                for table in ("grants", "grants_past")
                for column in ("allowed", "used")
            ),
            "UPDATE alembic_version SET version_num = '0001'",
            "DELETE FROM meta WHERE key IN ('digest', 'digest_seq', 'changes_from', 'changes_bytes')",
        ):
            connection.exec_driver_sql(statement)

    store = opened()
    owner, catalog = Service(store, clock, parse), FakeCatalog()
    owner.set_catalog(catalog, catalog.source(), "catalog.json")
    owner.put_customers([put_customer(f"c{one}", plan="pro") for one in range(3)])
    store.run(back_to_0001)
    store.close()
    store = opened()
    hub = Service(store, clock, parse, streams=True)
    at = hub.position()
    assert (at.seq, at.digest) == (2, summed(b"".join(stored(hub).values())))
    assert hub.changes(0, ALL).first_kept == 3
    assert hub.list_tokens().items == ()
    store.close()


@pytest.mark.parametrize("looks_first", [True, False])
def test_a_digest_is_mended_where_somebody_wrote_meanwhile_without_logging(
    looks_first: bool, hub: Service, any_store: Store, clock: ManualClock
) -> None:
    hub.put_customers([put_customer(f"c{one}", plan="pro") for one in range(4)])
    other = Service(any_store, clock, parse)
    other.put_customers([put_customer("c1", plan="free")])
    if looks_first:
        assert hub.position().digest == summed(b"".join(stored(hub).values()))
    hub.put_customers([put_customer("c2", plan="free")])
    assert hub.position().digest == summed(b"".join(stored(hub).values()))
    found = hub.changes(2, ALL)
    assert (found.first_kept, [one.seq for one in found.items]) == (4, [4]), "change 3 is not to be had"


def test_a_new_epoch_begins_the_log_anew(hub: Service) -> None:
    hub.put_customers([put_customer("acme", plan="pro")])
    before = hub.position()
    hub.new_epoch(Beyond(seq=40))
    at = hub.position()
    assert (at.epoch != before.epoch, at.seq, at.digest) == (True, 41, before.digest)
    found = hub.changes(0, ALL)
    assert found.first_kept == 41
    [one] = found.items
    assert (one.seq, one.kind, one.body, one.count, one.digest) == (41, "records", b"", 0, before.digest)


def test_an_empty_ledger_has_a_position(any_store: Store, clock: ManualClock) -> None:
    service = Service(any_store, clock, parse, streams=True)
    at = service.position()
    assert (at.seq, at.digest, at.catalog_digest) == (0, 0, "")
    assert service.changes(0, ALL).items == ()
    assert service.find_records([]).records == b""
    with pytest.raises(errors.CatalogError, match="set one"):
        service.scan(lambda *_: None)


def test_a_ledger_that_others_never_stop_writing_to_is_given_up(
    hub: Service, any_store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Service(any_store, clock, parse)
    written = iter(range(100))

    def overtaken() -> None:
        other.put_customers([put_customer(f"c{next(written)}", plan="pro")])

    overtaken()
    monkeypatch.setattr(hub.streaming, "begin_streaming", overtaken)
    with pytest.raises(errors.Conflict, match="without logging"):
        hub.position()


# Snapshots.


def scanned(service: Service) -> tuple[Position, StoredCatalog, bytes]:
    return service.streaming.scan(lambda at, catalog, chunks: (at, catalog, b"".join(chunks)))


def test_a_scan_is_everything_of_one_instant(hub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log_module, "SCAN_ROWS", 7)
    monkeypatch.setattr(change_log_module, "SCAN_CHUNK_BYTES", 200)
    hub.put_customers([put_customer(f"c{one}", plan="pro") for one in range(50)])
    hub.delete_customer("c7")
    sizes: list[int] = []

    def work(at: Position, catalog: StoredCatalog, chunks: Iterator[bytes]) -> bytes:
        assert at == hub_position
        assert (catalog.filename, catalog.source) == ("catalog.json", FakeCatalog().source())
        found = list(chunks)
        sizes.extend(len(one) for one in found)
        return b"".join(found)

    hub_position = hub.position()
    records = hub.scan(work)
    assert {unpack_record(one).number: one for one in split(records)} == stored(hub)
    assert summed(records) == hub_position.digest
    assert len(sizes) > 1
    assert max(sizes) <= 200


def test_a_record_longer_than_a_chunk_is_a_chunk(hub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log_module, "SCAN_CHUNK_BYTES", 1)
    hub.put_customers([put_customer(f"c{one}", plan="pro") for one in range(3)])
    assert hub.scan(lambda at, catalog, chunks: len(list(chunks))) == 3


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_changes_go_on_beside_a_scan_which_does_not_see_them(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> None:
    store: Store
    if kind == "file":
        store = SqliteStore(tmp_path / "ledger.db")
    else:
        store = PostgresStore(request.getfixturevalue("postgres_ledger_url"))
    hub = hub_over(store, clock)
    hub.put_customers([put_customer(f"c{one}", plan="pro") for one in range(10)])

    def work(at: Position, catalog: StoredCatalog, chunks: Iterator[bytes]) -> tuple[Position, bytes]:
        hub.put_customers([put_customer("c3", plan="free"), put_customer("new", plan="pro")])
        return at, b"".join(chunks)

    at, records = hub.scan(work)
    assert (at.seq, summed(records), len(split(records))) == (2, at.digest, 10)
    assert hub.position().seq == 3
    with pytest.raises(ZeroDivisionError):
        hub.scan(lambda at, catalog, chunks: 1 // 0)
    assert summed(scanned(hub)[2]) == hub.position().digest
    store.close()
    with pytest.raises(errors.Closed):
        scanned(hub)


def test_a_scan_of_a_file_that_is_gone_says_so(tmp_path: Path, clock: ManualClock) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    hub = hub_over(store, clock)
    (tmp_path / "ledger.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(errors.DirectoryError, match="removed"):
        store.scan(lambda connection: None)
    (tmp_path / "elsewhere.db").rename(tmp_path / "ledger.db")
    assert summed(scanned(hub)[2]) == hub.position().digest
    store.close()


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_a_scan_that_meets_damage_ends_the_use_of_the_file(store: SqliteStore) -> None:
    def meets(connection: Connection) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.raises(errors.DirectoryError, match="restore a backup"):
        store.scan(meets)
    with pytest.raises(errors.DirectoryError, match="restore a backup"):
        store.run(lambda connection: None)


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_what_a_snapshot_fails_with_is_not_the_ledgers(store: SqliteStore, clock: ManualClock) -> None:
    hub = hub_over(store, clock)

    def full(at: Position, catalog: StoredCatalog, chunks: Iterator[bytes]) -> None:
        raise OSError(28, "No space left on device", "/elsewhere")

    with pytest.raises(OSError, match="elsewhere") as caught:
        hub.scan(full)
    assert not isinstance(caught.value, errors.DirectoryError)
    hub.put_customers([put_customer("acme", plan="pro")])


# Single customers.


def test_customers_are_found_by_id_and_alias_each_once(hub: Service) -> None:
    hub.put_customers(
        [
            put_customer("one", plan="pro", aliases=["first", "uno"]),
            put_customer("two", plan="pro"),
            put_customer("gone", plan="pro", aliases=["was"]),
        ]
    )
    hub.delete_customer("gone")
    found = hub.find_records(["uno", "two", "nobody", "one", "first", "gone", "was", "uno"])
    assert found.missing == ("nobody", "gone", "was")
    assert sorted(unpack_record(one).id for one in split(found.records)) == ["one", "two"]
    assert (found.epoch, found.seq) == (hub.epoch(), 3)


def test_an_id_is_stronger_than_an_alias(hub: Service) -> None:
    hub.put_customers([put_customer("a", plan="pro"), put_customer("b", plan="pro", aliases=["b2"])])
    [one] = split(hub.find_records(["b2"]).records)
    assert unpack_record(one).id == "b"


def test_too_many_keys_and_impossible_ones_are_refused(hub: Service) -> None:
    with pytest.raises(errors.RecordError, match="257 customers"):
        hub.find_records([f"c{one}" for one in range(257)])
    assert len(hub.find_records([f"c{one}" for one in range(256)]).missing) == 256
    with pytest.raises(errors.NameInvalid):
        hub.find_records(["\0"])


# Several at once.


def test_several_writers_leave_no_gap_and_an_exact_digest(any_store: Store, clock: ManualClock) -> None:
    hubs = [hub_over(any_store, clock), Service(any_store, clock, parse, streams=True)]
    heard: list[int] = []
    hubs[1].committed = heard.append

    def works(thread: int) -> None:
        chance, hub = random.Random(thread), hubs[thread % 2]
        for step in range(12):
            with contextlib.suppress(errors.UnknownCustomer):
                random_change(hub, chance, f"t{thread}-{step}")

    at_once(works)
    host = check_whole(hubs[0])
    assert len(heard) == len(set(heard)) > 0
    assert max(heard) <= host.seq


def random_change(hub: Service, chance: random.Random, key: str) -> None:
    id = f"c{chance.randrange(6)}"
    kind = chance.randrange(5)
    if kind == 0:
        hub.delete_customer(id)
    elif kind == 1:
        hub.put_override(put_override(id, "seats", chance.randrange(1_000)))
    elif kind == 2:
        chosen = chance.sample(range(6), 3)
        hub.put_customers([put_customer(f"c{one}", plan=chance.choice(["pro", "free"])) for one in chosen])
    else:
        hub.put_customers([put_customer(id, plan="pro", aliases=[key])])


KILLS = 15
KILLS_TRIED_MAX = 2_000
"""A kill may fall between two changes of every thread, and then meets nobody."""
_VICTIM = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fastcheck' "
    "AND backend_xid IS NOT NULL ORDER BY random() LIMIT 1"
)


def test_killed_connections_leave_no_gap_and_an_exact_digest(
    postgres: PrivatePostgres, postgres_schema_url: str, clock: ManualClock
) -> None:
    """Connections are killed at any point of a transaction that has written, its commit included."""
    store = PostgresStore(postgres_schema_url, connections=6)
    hub = hub_over(store, clock)
    over, moved = threading.Event(), threading.Event()
    hub.committed = lambda seq: moved.set()

    def works(thread: int) -> None:
        chance, step = random.Random(thread), 0
        while not over.is_set():
            step += 1
            with contextlib.suppress(errors.UnknownCustomer, errors.OutcomeUnknown, errors.StoreError):
                random_change(hub, chance, f"t{thread}-{step}")

    killed = tried = 0
    with ThreadPoolExecutor(4) as pool, psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        working = [pool.submit(works, thread) for thread in range(4)]
        try:
            while killed < KILLS and tried < KILLS_TRIED_MAX:
                tried += 1
                found = len(admin.execute(_VICTIM).fetchall())
                killed += found
                if found:
                    moved.clear()
                    assert moved.wait(30), "changes go on after a kill"
        finally:
            over.set()
        for one in working:
            one.result(60)
    assert killed == KILLS
    check_whole(hub)
    store.close()


# Digests.


def test_a_digest_is_kept_as_a_signed_number() -> None:
    for value in (0, 1, 2**63 - 1, 2**63, 2**64 - 1):
        assert unsigned(signed(value)) == value
        assert -(2**63) <= signed(value) < 2**63


def test_the_digest_of_nothing_is_zero() -> None:
    assert summed(b"") == 0
    with pytest.raises(errors.RecordError):
        summed(b"\xc1")


def test_packed_records_are_hashed_as_hosts_hash_them(hub: Service) -> None:
    hub.put_customers([put_customer("acme", plan="pro")])
    [one] = stored(hub).values()
    assert hub.position().digest == summed(pack_record(unpack_record(one)))
